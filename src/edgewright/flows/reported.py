"""What a report says of how its candidates were made, read strictly: the file may be anybody's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.candidate import Steps
from edgewright.core.errors import InputError
from edgewright.core.fields import Fields
from edgewright.core.files import read_file
from edgewright.core.strict import parse_json
from edgewright.flows.place import SCHEMA

LIMIT_BYTES = 1 << 28
_MOST_CANDIDATES, _MOST_STEPS, _LONGEST_PATH = 10_000, 64, 4096
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{12}")
SPLITS = ("calibration", "search", "test")


@dataclass(frozen=True)
class Made:
    """How one candidate was made. ``after``: the digest after every step, as far as it was told."""

    id: str
    recipe: Steps
    engine: str
    options: Mapping[str, Any]
    digest: str
    after: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Reported:
    """What a run was made of. ``model`` and ``data`` are paths as they were given, None for a run from Python;
    ``reading`` is how the data were read, as ``dataset`` takes it.

    ``versions``: the software and processor by name; ``best`` is a candidate's id, or None.
    """

    model: str | None
    model_digest: str
    data: str | None
    reading: Mapping[str, Any]
    splits: Mapping[str, str]
    seed: int
    isa: frozenset[str]
    versions: Mapping[str, str]
    candidates: Mapping[str, Made]
    best: str | None

    def candidate(self, identity: str | None) -> Made:
        """The candidate of that id, the best by default. Raises InputError naming what there is."""
        chosen = identity if identity is not None else self.best
        made = [c.id for c in self.candidates.values() if not c.refused]
        there = ", ".join(made[:8]) + (f" and {len(made) - 8} more" if len(made) > 8 else "")
        if chosen is None:
            raise InputError(f"the report has no best candidate; name one with --candidate: {there or 'there is none'}")
        if chosen not in self.candidates:
            raise InputError(f"the report has no candidate {chosen[:40]!r}; it has: {there or 'none that was made'}")
        return self.candidates[chosen]


def read_report(path: Path) -> Reported:
    """The report at ``path``. Raises InputError for whatever is no whole report of this schema."""
    try:
        return parse(parse_json(read_file(path, LIMIT_BYTES), LIMIT_BYTES))
    except ValueError as error:
        raise InputError(f"{path} is no report that can be used: {error}") from error


def parse(value: Any) -> Reported:
    """The report in a JSON value. Raises ValueError saying what is wrong with it."""
    report = Fields(value, "the report")
    schema = report.text("schema")
    if schema != SCHEMA:
        raise ValueError(f"its schema is {schema[:40]!r}, this version reads {SCHEMA!r}")
    model, data = _object(report, "model"), _object(report, "data")
    splits = {name: _digest(_object(data, name), "digest") for name in SPLITS}
    seed = _object(report, "settings").whole("seed")
    if data.whole("seed") != seed:
        raise ValueError("its splits and its search were seeded differently")
    best = report.optional_text("best")
    entries = [_object(report, "baseline"), *_objects(report, "candidates")]
    candidates = [_candidate(entry) for entry in entries]
    by_id = {c.id: c for c in candidates}
    if len(by_id) != len(candidates):
        raise ValueError("two of its candidates have the same id")
    if best is not None and best not in by_id:
        raise ValueError("its best candidate is not among its candidates")
    return Reported(
        model=_path(model), model_digest=_digest(model, "digest"), data=_path(data),
        reading=_reading(data), splits=splits, seed=seed,
        isa=frozenset(_object(_object(report, "target"), "isa").texts("names")),
        versions=_software(_object(report, "environment")), candidates=by_id, best=best,
    )  # fmt: skip


def _candidate(entry: Fields) -> Made:
    identity, recipe = entry.text("id"), entry.mappings("recipe")
    if not _ID.fullmatch(identity):
        raise ValueError(f"{identity[:40]!r} is no candidate's id")
    if len(recipe) > _MOST_STEPS:
        raise ValueError(f"candidate {identity} has {len(recipe)} steps, more than the {_MOST_STEPS} allowed")
    digest, told = _digest(entry, "digest"), entry.mappings("steps")
    options = entry.named("engine_options")
    if not all(type(value) in (bool, int, str) for value in options.values()):
        raise ValueError(f"candidate {identity} has an engine option that is neither a number nor text")
    known = all("digest" in one for one in told)
    after = tuple(_digest(Fields(one, f"a step of {identity}"), "digest") for one in told if known)
    refused = tuple(entry.texts("refused"))
    whole = len(after) == len(recipe) and not any(one.get("status") == "refused" for one in told)
    if recipe and whole and after[-1] != digest:
        raise ValueError(f"candidate {identity} does not have the digest of its last step")
    return Made(identity, tuple(recipe), entry.text("engine"), options, digest, after, refused)


def _object(fields: Fields, key: str) -> Fields:
    return Fields(fields.named(key), f"{key!r}")


def _objects(fields: Fields, key: str) -> list[Fields]:
    values = fields.mappings(key)
    if len(values) > _MOST_CANDIDATES:
        raise ValueError(f"{key!r} has {len(values):,} entries, more than the {_MOST_CANDIDATES:,} allowed")
    return [Fields(value, f"{key}[{i}]") for i, value in enumerate(values)]


def _digest(fields: Fields, key: str) -> str:
    text = fields.text(key)
    if not _DIGEST.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no SHA-256 digest")
    return text


def _path(fields: Fields) -> str | None:
    text = fields.optional_text("source")
    if text is not None and (not 0 < len(text) <= _LONGEST_PATH or "\0" in text):
        raise ValueError("a path in it cannot be one")
    return text


def _reading(data: Fields) -> dict[str, Any]:
    preprocessing = data.optional_mapping("preprocessing")
    left = data.rest()
    labels, missing = left.get("labels"), left.get("missing", "refuse")
    if not (labels is None or labels is False or isinstance(labels, str)) or missing not in ("refuse", "keep"):
        raise ValueError("it does not say in a way that is known how the data were read")
    return {"labels": labels, "missing": missing, "preprocessing": preprocessing}


def _software(environment: Fields) -> dict[str, str]:
    facts = environment.rest()
    versions = facts.get("versions")
    told = {name: facts.get(name) for name in ("python", "cpu", "architecture")}
    told |= versions if isinstance(versions, dict) else {}
    return {name: value for name, value in told.items() if isinstance(value, str)}
