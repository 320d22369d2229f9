"""What the user names on the command line, as subjects: model files, candidates' folders and bundles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgewright.bundles.names import MANIFEST
from edgewright.core.errors import InputError, TrustError
from edgewright.engines import ENGINES
from edgewright.flows.kept import CANDIDATE, read_kept
from edgewright.formats import load
from edgewright.measurement.subject import Subject

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
    kept = read_kept(folder)
    model = load(kept.main)
    if kept.digest not in ("", model.digest):
        raise InputError(f"{folder} has changed since {CANDIDATE} was written; make it again: edgewright reproduce")
    return Subject(model, kept.spec.runner.engine, kept.spec.runner.options)


def _only_model(folder: Path) -> Path:
    found = sorted(p for p in folder.iterdir() if p.suffix in (".onnx", ".ort", ".xml") and p.is_file())
    if len(found) != 1:
        what = "no model" if not found else f"{len(found)} models ({', '.join(p.name for p in found[:4])})"
        raise InputError(f"{folder} holds {what} and no {CANDIDATE}; name the model file itself")
    return found[0]
