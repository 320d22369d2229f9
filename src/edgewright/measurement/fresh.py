"""A fresh process that opens a model and answers its first requests: where cold start and peak memory are seen.

One child gives both. Its order: Python and numpy are up, the requests are read; then the engine's library is imported
(timed by itself), memory is read and its high-water mark reset, the model's files are read, opened and asked (timed).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.child import run_child
from edgewright.core.errors import InputError
from edgewright.core.model import Model, Signature
from edgewright.core.session import Arrays, EngineOptions
from edgewright.measurement.latency import Checkpoint
from edgewright.measurement.subject import Subject

_MOST_REQUESTS = 32


@dataclass(frozen=True)
class Fresh:
    """What one fresh process saw. Times in ms, memory in bytes.

    ``process_ms`` runs from the start of the process (interpreter and all) to the first answer. ``before_bytes`` is the
    resident memory with the engine's library loaded and no model, ``peak_bytes`` the most until the last request,
    ``private_bytes`` the growth of memory that is nobody else's (smaps_rollup), once things are settled; None where the
    system does not tell. ``how`` names the source of the peak. ``cold_disk``: the model's files had to come from the
    disk.
    """

    import_ms: float
    read_ms: float
    open_ms: float
    first_ms: float
    second_ms: float
    process_ms: float
    before_bytes: int
    peak_bytes: int
    private_bytes: int | None
    how: str
    cold_disk: bool
    provider: str

    @property
    def start_ms(self) -> float:
        """From the decision to open the model to its first answer, the engine's library being there."""
        return self.read_ms + self.open_ms + self.first_ms


def observe(
    subjects: Mapping[str, Subject],
    inputs: Sequence[Arrays],
    *,
    runs: int = 5,
    seed: int = 0,
    cold_disk: bool = False,
    timeout_s: float = 120.0,
    checkpoint: Checkpoint | None = None,
) -> dict[str, list[Fresh]]:
    """``runs`` fresh processes for every subject, in rounds of random order, so that drift cancels.

    With ``cold_disk`` the kernel is asked to forget the model's files before each process; where it does not (a file
    system in memory), ``Fresh.cold_disk`` stays False. Raises InputError without inputs; EdgewrightError when a child
    dies or runs past ``timeout_s``.
    """
    if not subjects or not inputs:
        raise InputError("a cold start needs a model and an input to ask it")
    seen: dict[str, list[Fresh]] = {name: [] for name in subjects}
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(prefix="edgewright-fresh-") as scratch:
        asked = _write_requests(Path(scratch) / "requests.npz", inputs[:_MOST_REQUESTS])
        tasks = {n: _task(Path(scratch) / str(i), s, asked) for i, (n, s) in enumerate(subjects.items())}
        names = list(subjects)
        for _ in range(max(runs, 1)):
            for i in rng.permutation(len(names)):
                task = tasks[names[i]]
                forgotten = cold_disk and {_forget(Path(p)) for p in task["files"].values()} == {True}
                begun = time.monotonic()
                found = run_child("edgewright.measurement.fresh:answer", task | {"begun": begun}, timeout_s=timeout_s)
                seen[names[i]].append(Fresh(**found, cold_disk=forgotten))
            if checkpoint is not None and checkpoint() is False:
                break
    return seen


def _write_requests(path: Path, inputs: Sequence[Arrays]) -> dict[str, Any]:
    """The requests as one file of plain arrays; names may hold anything, so they travel beside it."""
    names = sorted(inputs[0])
    arrays = {f"{i}_{j}": rows[name] for i, rows in enumerate(inputs) for j, name in enumerate(names)}
    plain: dict[str, Any] = {k: a.astype(np.str_) if a.dtype.kind in "OS" else a for k, a in arrays.items()}
    np.savez(path, **plain)
    return {"path": str(path), "names": names, "count": len(inputs)}


def _task(folder: Path, subject: Subject, asked: Mapping[str, Any]) -> dict[str, Any]:
    files = {}
    for name, data in subject.model.files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        files[name] = str(place)
    model = subject.model
    return {
        "requests": dict(asked), "files": files, "format": model.format, "main": model.main,
        "signature": model.signature.to_json(), "engine": subject.engine, "options": subject.options.to_json(),
    }  # fmt: skip


def _forget(path: Path) -> bool:
    """Ask the kernel to drop the file from the page cache (posix_fadvise(2)) and look whether it did."""
    if not hasattr(os, "posix_fadvise"):
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        if not hasattr(os, "RWF_NOWAIT") or not os.fstat(handle).st_size:
            return False
        try:
            # preadv2(2): with RWF_NOWAIT a read that would have to wait for the disk fails with EAGAIN.
            os.preadv(handle, [bytearray(1)], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False  # the file system cannot tell
        return False
    finally:
        os.close(handle)


def answer(task: Mapping[str, Any]) -> dict[str, Any]:
    """In the child: open the model, ask it, and tell what that took. The fields of Fresh but ``cold_disk``."""
    requests = list(_read_requests(task["requests"]))
    model_files = {name: Path(path) for name, path in task["files"].items()}
    signature = Signature.from_json(task["signature"])
    options = EngineOptions(**task["options"])
    early = task["engine"] in sys.modules
    t0 = time.perf_counter_ns()
    from edgewright.engines import engine

    opener = engine(task["engine"])
    opener.version()  # makes an engine that loads its library late load it now
    t1 = time.perf_counter_ns()
    _return_unused()
    how = _reset_peak()
    before, private = _resident(), _private()
    t2 = time.perf_counter_ns()
    files = {name: path.read_bytes() for name, path in model_files.items()}
    model = Model(task["format"], task["main"], files, signature)
    t3 = time.perf_counter_ns()
    session = opener.open(model, options)
    t4 = time.perf_counter_ns()
    kept = session.infer(requests[0])
    t5 = time.perf_counter_ns()
    process = time.monotonic() - task["begun"]
    kept = session.infer(requests[0])
    t6 = time.perf_counter_ns()
    for request in requests[1:]:
        kept = session.infer(request)
    peak = max(_peak(how), before)
    del model, files, kept
    _return_unused()
    late = _private()
    provider = session.provider
    session.close()
    return {
        "import_ms": 0.0 if early else (t1 - t0) / 1e6,
        "read_ms": (t3 - t2) / 1e6,
        "open_ms": (t4 - t3) / 1e6,
        "first_ms": (t5 - t4) / 1e6,
        "second_ms": (t6 - t5) / 1e6,
        "process_ms": process * 1e3,
        "before_bytes": before,
        "peak_bytes": peak,
        "private_bytes": None if private is None or late is None else max(late - private, 0),
        "how": how,
        "provider": provider,
    }


def _read_requests(asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    with np.load(asked["path"], allow_pickle=False) as arrays:
        for i in range(asked["count"]):
            rows = {name: arrays[f"{i}_{j}"] for j, name in enumerate(asked["names"])}
            yield {name: a.astype(object) if a.dtype.kind == "U" else a for name, a in rows.items()}


def _status(field: str) -> int | None:
    """A field of /proc/self/status in bytes (proc(5))."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return None


def _resident() -> int:
    return _status("VmRSS") or _worst()


def _worst() -> int:
    # getrusage(2): kilobytes on Linux, bytes on macOS. On Linux it may hold the parent's memory from before exec.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _reset_peak() -> str:
    """Reset the high-water mark where allowed; how the peak will be known."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): 5 resets VmHWM to the current resident size
        return "VmHWM, reset"
    return "VmHWM since start" if _status("VmHWM") is not None else "ru_maxrss since start"


def _peak(how: str) -> int:
    return _worst() if how.startswith("ru_maxrss") else _status("VmHWM") or _worst()


def _private() -> int | None:
    """Memory that is this process's alone, in bytes."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        parts = [int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:"))]
        return sum(parts) * 1024
    return None


def _return_unused() -> None:
    """Have the C library give freed memory back, so that what remains is what is held (malloc_trim(3), glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
