"""Memory: what served models hold, and which of them make room for another. The rule is pure."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewright.core.model import FilesIn, Model

_MB = 1e6
_TIMES, _BESIDE = 2, 2_000_000
"""Of a model's bytes, and beside them: the most growth that is put down to it."""


@dataclass(frozen=True)
class Holding:
    """One model in memory. ``used``: when it was last asked, on any clock; ``pinned``: it is not to be unloaded
    (requests of its are running, or somebody said so)."""

    name: Hashable
    size_bytes: int
    used: float
    pinned: bool = False


@dataclass(frozen=True)
class Room:
    """``unload``: who goes, the coldest first. ``refused`` says why there is no room however many go; then none go."""

    unload: tuple[Hashable, ...] = ()
    refused: str = ""
    alone: bool = False
    """Whether it was refused because of its own size, so that asking again later is of no use."""


def make_room(held: Iterable[Holding], need_bytes: int, budget_bytes: int) -> Room:
    """Room for a model of ``need_bytes`` beside those ``held``, within ``budget_bytes`` in all (0: no limit).

    Those asked least recently go first, and no more of them than it takes. With ``need_bytes`` 0: what has to go when
    the models there have outgrown the budget.
    """
    there = list(held)
    over = sum(one.size_bytes for one in there) + need_bytes - budget_bytes
    if not budget_bytes or over <= 0:
        return Room()
    if need_bytes > budget_bytes:
        return Room(refused=f"it needs {_mb(need_bytes)}, more than the {_mb(budget_bytes)} that memory_mb allows all "
                    "models together; raise memory_mb or serve a smaller model", alone=True)  # fmt: skip
    chosen: list[Hashable] = []
    for one in sorted((one for one in there if not one.pinned), key=lambda one: one.used):
        chosen.append(one.name)
        over -= one.size_bytes
        if over <= 0:
            return Room(tuple(chosen))
    kept = sum(one.size_bytes for one in there if one.pinned)
    return Room(refused=f"it needs {_mb(need_bytes)}, and models that cannot be unloaded now hold {_mb(kept)} of the "
                f"{_mb(budget_bytes)} that memory_mb allows; ask again later or raise memory_mb")  # fmt: skip


class Uses:
    """When each model was last asked, told by its counter of answers, the cache's among them: nothing is noted on a
    request's way.

    ``look`` now and then (each second) and before a decision; between two looks who was asked last is not known.
    """

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}
        self._used: dict[Hashable, float] = {}

    def look(self, counts: Mapping[Hashable, int], now: float) -> None:
        """Take the counters of all models that are there. One that is new counts as just asked."""
        for name, count in counts.items():
            if self._counts.get(name) != count:
                self._used[name] = now
        self._used = {name: self._used[name] for name in counts}
        self._counts = dict(counts)

    def used(self, name: Hashable) -> float:
        """When it was last seen to have been asked, on the clock given to ``look``; 0.0 if never."""
        return self._used.get(name, 0.0)


def held_bytes(model: Model, grown_bytes: int = 0, pid: int | None = None) -> int:
    """What a served model holds, in bytes: an estimate, made when it is opened.

    The model's own bytes where the server keeps them, and what the engine made of them: for one in a process of its own
    (``pid``) the process's proportional set size, interpreter and all; for one in this process what anonymous memory
    grew by while it was opened (``grown_bytes``, see ``anonymous_bytes``), but no less than the model's bytes, for the
    allocator may have had room left from before. Files that the engine maps where they lie count once, though the
    system may take their pages back.

    What else the process took meanwhile is in the growth, too, so no more than twice the model's bytes and 2 MB of
    it are put down to the model: engines keep weights once or twice, packed and as they came, and a session takes some
    hundred kB of its own. A small model whose activations are larger than that holds more than is said here.

    Measured (ONNX Runtime 1.31, 48 MB of MatMul weights): it grew by twice the weights, by 0.8 times in OpenVINO.
    """
    size, kept = _size(model), not isinstance(model.files, FilesIn)
    grown_bytes = min(grown_bytes, _TIMES * size + _BESIDE)
    own = _proportional(pid) if pid is not None else None
    if own is not None:
        return own + (size if kept else 0)
    return size + (max(grown_bytes, size) if kept else grown_bytes)


def _size(model: Model) -> int:
    files = model.files
    if not isinstance(files, FilesIn):
        return model.size_bytes
    found = 0
    for name in files:
        with contextlib.suppress(OSError):
            found += (files.folder / name).stat().st_size  # not to read it all
    return found


def anonymous_bytes() -> int:
    """Anonymous resident memory of this process, in bytes (RssAnon, proc(5)); 0 where the system does not tell."""
    return _field(Path("/proc/self/status"), "RssAnon") or 0


def _proportional(pid: int) -> int | None:
    return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss")


def _field(path: Path, name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _mb(size: int) -> str:
    return f"{size / _MB:,.1f} MB" if size >= _MB / 10 else f"{size / 1e3:,.1f} kB"
