"""What the user names on the command line, as subjects: model files, candidates' folders and bundles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from edgewright.bundles.names import MANIFEST
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, safe_name
from edgewright.core.session import EngineOptions
from edgewright.core.strict import parse_json
from edgewright.engines import ENGINES
from edgewright.formats import load
from edgewright.measurement.subject import Subject

CANDIDATE = "candidate.json"
_LIMIT = 16 * 2**20
_DEFAULT_ENGINES = {"openvino": "openvino"}


def read_subjects(
    paths: Sequence[Path], engine: str | None, threads: int | None, keys: Sequence[Path] | None = None
) -> dict[str, Subject]:
    """A subject for every path, named as it was written.

    ``threads`` holds for all; without it the candidates' own count holds for the plain models too. ``keys``: whose
    bundles are opened, the user's own if None. Raises InputError
    for what is not there, cannot be read, or is no longer what its candidate.json says.
    """
    if threads is not None and not 1 <= threads <= 1024:
        raise InputError(f"--threads must be from 1 to 1024, got {threads}")
    if engine is not None and engine not in ENGINES:
        raise InputError(f"no engine is named {engine!r}; there are: {', '.join(ENGINES)}")
    read: dict[str, tuple[Subject, bool]] = {}
    for path in paths:
        name, again = str(path), 2
        while name in read:
            name, again = f"{path} ({again})", again + 1
        read[name] = _read(path, engine, keys)
    own = next((subject.options.threads for subject, told in read.values() if told), 1)

    def counted(subject: Subject, told: bool) -> Subject:
        count = threads if threads is not None else subject.options.threads if told else own
        return replace(subject, options=replace(subject.options, threads=count))

    return {name: counted(*found) for name, found in read.items()}


def _read(path: Path, engine: str | None, keys: Sequence[Path] | None) -> tuple[Subject, bool]:
    """The subject, and whether its own file told how to run it."""
    if path.is_dir():
        if (path / MANIFEST).is_file():  # first: what lies in a bundle's folder is a bundle's, or does not verify
            return read_bundle(path, engine, keys), True
        if (path / CANDIDATE).is_file():
            return read_candidate(path), True
        path = _only_model(path)
    if path.suffix == ".ewb":
        return read_bundle(path, engine, keys), True
    model = load(path)
    chosen = engine or _DEFAULT_ENGINES.get(model.format, "onnxruntime")
    return Subject(model, chosen), False


def read_bundle(path: Path, engine: str | None, keys: Sequence[Path] | None) -> Subject:
    """What the bundle at ``path`` runs on ``engine`` (default: what was chosen by measuring). Raises TrustError unless
    one of ``keys`` (None: the user's own) signed it, InputError when it holds no model for the engine."""
    from edgewright.bundles import verify
    from edgewright.trust import load_public_key

    trusted = None if keys is None else [load_public_key(key) for key in keys]
    try:
        variant = verify(path, trusted).variant(engine or "")
    except TrustError as error:
        raise TrustError(f"{path}: {error}") from error
    return Subject(variant.model, variant.engine, variant.options)


def read_candidate(folder: Path) -> Subject:
    """The candidate in ``folder`` as its candidate.json describes it. Raises InputError."""
    place = folder / CANDIDATE
    try:
        told = parse_json(read_file(place, _LIMIT), _LIMIT)
    except ValueError as error:
        raise InputError(f"{place} cannot be used: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.get("main"), str):
        raise InputError(f"{place} does not name its model file ('main'); make the candidate again")
    engine, options = told.get("engine"), told.get("engine_options")
    if not isinstance(engine, str) or engine not in ENGINES:
        raise InputError(f"{place} names the engine {engine!r}; there are: {', '.join(ENGINES)}")
    model = load(folder / safe_name(told["main"]))
    if told.get("digest") not in (None, model.digest):
        raise InputError(f"{folder} has changed since {CANDIDATE} was written; make it again: edgewright reproduce")
    return Subject(model, engine, _options(options, place))


def _options(told: Any, place: Path) -> EngineOptions:
    """Engine options out of JSON: known names and the right kinds of values only."""
    defaults = {field.name: field.default for field in fields(EngineOptions)}
    if not isinstance(told, dict) or not told.keys() <= defaults.keys():
        raise InputError(f"{place} holds engine_options that are not known; there are: {', '.join(defaults)}")
    wrong = [name for name, value in told.items() if type(value) is not type(defaults[name])]
    if wrong or not 1 <= told.get("threads", 1) <= 1024:
        raise InputError(f"{place} holds an engine option of the wrong kind: {', '.join(wrong) or 'threads'}")
    options = EngineOptions(**told)
    if options.graph_level not in ("none", "basic", "extended", "all") or options.policy not in ("fail", "degrade"):
        raise InputError(f"{place} holds an engine option that is not known: {options.graph_level}, {options.policy}")
    return options


def _only_model(folder: Path) -> Path:
    found = sorted(p for p in folder.iterdir() if p.suffix in (".onnx", ".ort", ".xml") and p.is_file())
    if len(found) != 1:
        what = "no model" if not found else f"{len(found)} models ({', '.join(p.name for p in found[:4])})"
        raise InputError(f"{folder} holds {what} and no {CANDIDATE}; name the model file itself")
    return found[0]
