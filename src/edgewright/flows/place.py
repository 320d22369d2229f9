"""The folder of a run: one run's at a time, its result shown as a whole, an earlier result lost to no failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.core.files import exclusive, read_file, remove, storage, sweep, sync_folder
from edgewright.core.store import Store
from edgewright.core.strict import parse_json

SCHEMA = "edgewright.report/1"
"""Of ``report.json``."""
RESULT = ("candidates", "bundle", "readiness.json", "report.html", "report.json")
"""What a run leaves, in the order in which it appears. Without the last, the folder holds no finished run."""
STORE = ".store"
_NEW, _BEFORE = f"{STORE}/new", f"{STORE}/before"
_LIMIT = 1 << 28
KEPT = "bundle.before"
"""Where an earlier run's bundle goes when the new run found nothing to seal."""


@contextmanager
def run_folder(out: Path) -> Iterator[Path]:
    """Hold ``out`` for one run and give a folder inside it to write the result to, under the names in ``RESULT``.

    An earlier result is set aside at once, so that a killed run shows none. When the block ends, the new one takes its
    place, and an earlier bundle that has no successor is kept beside it; when it raises, the earlier one comes back,
    and a folder that held nothing to go on from is gone again.
    Raises StorageError when another run has the folder or it cannot be written, InputError when it is somebody else's.
    """
    made = not os.path.lexists(out)
    try:
        with exclusive(out):
            there = _ours(out)
            try:
                new = _begin(out, there)
                yield new
                _show(new, out)
            except BaseException:
                _restore(out, there, made)
                raise
    except BaseException:
        if made:
            with suppress(OSError):
                out.rmdir()
        raise


def _ours(out: Path) -> list[str]:
    """The parts of an earlier result; InputError when they are not a run's."""
    there = [name for name in RESULT if os.path.lexists(out / name)]
    if there and not Store(out / STORE).prepared and not _is_report(out / RESULT[-1]):
        raise InputError(f"{out} already holds {there[0]!r}, which no run left there; choose another folder")
    return there


def _begin(out: Path, there: list[str]) -> Path:
    Store(out / STORE).prepare()
    sweep(out)
    with storage(out):
        for name in (_NEW, _BEFORE):
            remove(out / name)
            (out / name).mkdir()
        for name in reversed(there):
            (out / name).rename(out / _BEFORE / name)
    return out / _NEW


def _show(new: Path, out: Path) -> None:
    strange = {path.name for path in new.iterdir()} - set(RESULT)
    if strange:
        raise ValueError(f"a result has no place for {min(strange)!r}; add it to RESULT")
    with storage(out):
        for name in RESULT:
            if (new / name).exists():
                (new / name).rename(out / name)
        if (out / _BEFORE / "bundle").exists() and not (out / "bundle").exists():
            remove(out / KEPT)
            (out / _BEFORE / "bundle").rename(out / KEPT)
        sync_folder(out)
        for name in (_NEW, _BEFORE):
            remove(out / name)


def _restore(out: Path, there: list[str], made: bool) -> None:
    """As it was, as far as a failing disk allows."""
    with suppress(OSError):
        moved = [name for name in there if os.path.lexists(out / _BEFORE / name)]
        for name in reversed(RESULT):
            if name in moved or name not in there:
                remove(out / name)
        for name in moved:
            (out / _BEFORE / name).rename(out / name)
        for name in (_NEW, _BEFORE):
            remove(out / name)
        if made and not (out / STORE / "entries").exists():
            remove(out / STORE)


def _is_report(path: Path) -> bool:
    try:
        found = parse_json(read_file(path, _LIMIT), _LIMIT)
    except (InputError, ValueError):
        return False
    return isinstance(found, dict) and found.get("schema") == SCHEMA
