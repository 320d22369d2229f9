"""A quiet place to measure in: the collector off, threads held on their own cores, all put back afterwards."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from edgewright.targets.cpu import read_cpu

_TASKS = Path("/proc/self/task")


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Keep Python's cyclic collector off inside the block."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Pin:
    """Holds this thread and the engines' own on as many distinct physical cores as the run has threads.

    Python's other threads (a progress line, a server) stay free, so that they do not land on the measured cores. Where
    pinning is not possible or changes nothing, ``cpus`` stays empty and everything works without.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._before: dict[int, set[int]] = {}
        self.cpus: tuple[int, ...] = ()

    def hold(self) -> None:
        """Pin, starting from the core the scheduler found for us: the least loaded it knew."""
        if not hasattr(os, "sched_setaffinity") or not _TASKS.is_dir():
            return
        allowed = os.sched_getaffinity(0)
        chosen = choose_cpus(allowed, self._threads, _current_cpu())
        if not chosen or set(chosen) == allowed:
            return
        for task in _tasks():
            with contextlib.suppress(OSError):  # the thread ended, or the system forbids it
                before = os.sched_getaffinity(task)
                os.sched_setaffinity(task, chosen)
                self._before[task] = before
        self.cpus = tuple(sorted(chosen)) if self._before else ()

    def release(self) -> None:
        """Give every thread its former CPUs back, those that were started meanwhile included."""
        if not self._before:
            return
        mine = self._before.get(threading.get_native_id()) or next(iter(self._before.values()))
        held = set(self.cpus)
        for task in _tasks():
            with contextlib.suppress(OSError):
                if task in self._before or os.sched_getaffinity(task) == held:
                    os.sched_setaffinity(task, self._before.get(task, mine))
        self._before.clear()
        self.cpus = ()

    def __enter__(self) -> Pin:
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def choose_cpus(allowed: set[int], threads: int, current: int | None, root: Path = Path("/")) -> set[int]:
    """``threads`` logical CPUs on distinct physical cores: the most capable first, the ``current`` one among equals.

    Empty when there are not that many physical cores: then the scheduler does better by itself.
    """
    siblings = read_cpu(root).siblings

    def rank(cpu: int) -> tuple[int, bool, int]:
        # Kernel documentation, sysfs-devices-system-cpu: cpu_capacity, 1024 for the most capable core.
        path = root / f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity"
        text = path.read_text().strip() if path.exists() else ""
        return (-int(text) if text.isdigit() else 0, cpu != current, cpu)

    chosen: list[int] = []
    used: set[int] = set()
    for cpu in sorted(allowed, key=rank):
        if cpu not in used and len(chosen) < threads:
            chosen.append(cpu)
            used |= siblings.get(cpu, frozenset({cpu}))
    return set(chosen) if len(chosen) == threads else set()


def _tasks() -> list[int]:
    """This thread and every thread that Python does not know: the engines'."""
    python = {t.native_id for t in threading.enumerate()} - {threading.get_native_id()}
    return [int(p.name) for p in _TASKS.iterdir() if int(p.name) not in python]


def _current_cpu() -> int | None:
    """Field 39 of /proc/thread-self/stat (proc(5)), counted after the name, which may hold spaces."""
    try:
        text = Path("/proc/thread-self/stat").read_text()
        return int(text.rpartition(")")[2].split()[36])
    except (OSError, ValueError, IndexError):
        return None
