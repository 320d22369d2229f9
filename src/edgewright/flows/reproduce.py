"""Reproduce: a candidate made again from its model, recipe and data. The same bytes, or the step that first differs."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.compression.contract import Context, versions
from edgewright.compression.passes import make_pass
from edgewright.compression.recipe import Recipe
from edgewright.core.candidate import candidate_id
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.files import check_ours, write_folder
from edgewright.core.model import Model
from edgewright.datasets import Dataset, Splits, dataset
from edgewright.datasets.code import names_code
from edgewright.flows.record import candidate_files
from edgewright.flows.reported import SPLITS, Made, Reported, read_report
from edgewright.measurement.conditions import environment


class DifferentBytes(EdgewrightError):  # noqa: N818 - reads as what it says
    """A candidate made again came out different. Exit status 1."""


@dataclass(frozen=True, eq=False)
class Reproduction:
    """A candidate made again.

    ``differs`` is "" when the bytes are those of the report, else a clause that names the step at which they first
    differ. ``changed`` maps what is not as it was then (software, processor) to (then, now).
    """

    made: Made
    model: Model
    differs: str
    changed: Mapping[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether the bytes are the report's."""
        return not self.differs

    def check(self) -> None:
        """Raise DifferentBytes, saying where and what may be why, unless the bytes are the same."""
        if self.differs:
            moved = ", ".join(f"{name} was {then}, is {now}" for name, (then, now) in sorted(self.changed.items()))
            why = f"what is not as it was: {moved}" if moved else "software and processor are as they were: report it"
            raise DifferentBytes(f"candidate {self.made.id} came out different: {self.differs}; {why}")

    def write(self, folder: Path) -> Path:
        """Write the candidate's folder, whole or not at all; the path of its model.

        Raises DifferentBytes, InputError when ``folder`` holds anything else, StorageError.
        """
        self.check()
        made = self.made
        files = candidate_files(made.id, made.recipe, made.engine, made.options, self.model)
        check_ours(folder, files, "the candidate")
        write_folder(folder, files)
        return folder / self.model.main

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            "candidate": self.made.id, "same": self.same, "differs": self.differs, "expected": self.made.digest,
            "digest": self.model.digest, "recipe": [dict(step) for step in self.made.recipe],
            "changed": {name: {"then": then, "now": now} for name, (then, now) in self.changed.items()},
        }  # fmt: skip


def reproduce(
    report: str | Path, candidate: str | None = None, *, model: str | Path | Model | None = None, data: Any = None
) -> Reproduction:
    """Make ``candidate`` (default: the best) of the report in a file again, from nothing but its model and data.

    ``model`` and ``data`` (as ``dataset`` takes it) stand in for the paths in the report, which are taken as they were
    given, relative to the current folder. Code that a report names as its data is run only when it is passed here.
    Raises InputError when the report cannot be used or the model or data are others than the report's.
    """
    told = read_report(Path(report))
    made = told.candidate(candidate)
    source = _model(told, model)
    splits = _splits(told, source, data)
    _check_id(made, source, splits)
    result = Recipe(made.recipe)(source, Context(splits.calibration, told.seed, told.isa))
    if result.status == "refused" and made.refused:
        raise InputError(f"candidate {made.id} was never made: {made.refused[0]}; name another with --candidate")
    differs = _difference(made, result.model, result.facts.get("steps", []), result.reason)
    return Reproduction(made, result.model, differs, _changed(told))


def _model(told: Reported, given: str | Path | Model | None) -> Model:
    from edgewright.formats import load

    if isinstance(given, Model):
        found, name = given, "the model"
    else:
        path = _named(given, told.model, "model")
        if not Path(path).exists():
            raise InputError(f"the report was made of the model {path}, which is not there; pass it with --model")
        found, name = load(path), str(path)
    if found.digest != told.model_digest:
        raise InputError(
            f"{name} is not the model of the report: its digest begins with {found.digest[:12]}, the report's with "
            f"{told.model_digest[:12]}; pass the original with --model"
        )
    return found


def _splits(told: Reported, model: Model, given: Any) -> Splits:
    if isinstance(given, Dataset):
        name, found = "the data", given
    elif isinstance(given, Mapping):
        name, found = "the data", dataset(given, **told.reading)
    else:
        path = _named(given, told.data, "data")
        name = str(path)
        if not Path(path).exists() and not names_code(name):
            raise InputError(f"the report was made with the data {name}, which are not there; pass them with --data")
        if not Path(path).exists() and given is None:
            raise InputError(f"the report's data come from code, which would be run; allow it with --data {name}")
        found = dataset(path, **told.reading)
    splits = found.bind(model.signature).splits(told.seed)
    others = [part for part in SPLITS if getattr(splits, part).digest != told.splits[part]]
    if others:
        what = "splits differ" if len(others) > 1 else "split differs"
        raise InputError(f"{name} is not the data of the report: the {', '.join(others)} {what}; pass --data")
    return splits


def _check_id(made: Made, source: Model, splits: Splits) -> None:
    """A candidate is named after what it is made of and how it runs; a report that was changed tells another name."""
    for step in made.recipe:
        make_pass(step)  # what no pass takes is told as such
    # The baseline, which has no recipe, is named after the samples it was judged by.
    names = {
        candidate_id(source.digest, made.recipe, data, made.engine, made.options)
        for data in ([splits.calibration.digest] if made.recipe else [splits.calibration.digest, splits.search.digest])
    }
    if made.id not in names:
        raise InputError(
            f"candidate {made.id} is not what its recipe, engine and options in the report make; "
            "the report was changed after it was written"
        )


def _named(given: str | Path | None, told: str | None, what: str) -> str | Path:
    if given is None and told is None:
        raise InputError(f"the report names no file of its {what} (it was made in Python); pass --{what}")
    return given if given is not None else str(told)


def _difference(made: Made, model: Model, steps: list[Mapping[str, Any]], reason: str) -> str:
    """ "" for the same bytes, else a clause that names the first step whose result differs."""
    if reason:
        return f"step {len(steps)} of {len(made.recipe)} was refused ({reason})"
    if model.digest == made.digest:
        return ""
    for place, (step, then) in enumerate(zip(steps, made.after, strict=False), 1):
        if step["digest"] != then:
            return f"first at step {place} of {len(made.recipe)}, {made.recipe[place - 1]['pass']}"
    return "the report does not tell at which step"


def _changed(told: Reported) -> dict[str, tuple[str, str]]:
    facts = environment()
    now = {**versions(), "python": platform.python_version()}
    now |= {name: str(facts.get(name, "")) for name in ("cpu", "architecture")}
    return {name: (told.versions[name], now[name]) for name in now if told.versions.get(name, now[name]) != now[name]}


__all__ = ["DifferentBytes", "Reproduction", "reproduce"]
