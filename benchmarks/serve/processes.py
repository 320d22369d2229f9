"""Servers as trees of processes: started, pinned, paused while others are measured, and what they cost.

From /proc alone. CPU time is utime + stime of the tree (10 ms a tick, so it is taken over many requests); memory is the
proportional set size, which counts a page that several processes share once.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, ppid, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """``root`` and everybody it started, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


class Server:
    """A command that serves. ``close`` ends it and everybody it started."""

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        plain |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | dict(environment or {})
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=plain, cwd=log.parent,
                start_new_session=True,
            )  # fmt: skip
        self.pids = [self._process.pid]

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def look(self) -> None:
        """See who belongs to the tree now."""
        self.pids = tree(self._process.pid)

    def pin(self, cpus: Iterable[int]) -> None:
        """Every thread of the tree."""
        chosen = set(cpus)
        for pid in self.pids:
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(ProcessLookupError):
                        os.sched_setaffinity(int(task.name), chosen)

    def pause(self) -> None:
        """Stop the tree: an idle server's timers and pollers must not cost the one that is measured."""
        self._signal(signal.SIGSTOP, self.pids)

    def resume(self) -> None:
        self._signal(signal.SIGCONT, self.pids[::-1])

    def cpu_s(self) -> float:
        """Of the tree since its start."""
        ticks = 0
        for pid in self.pids:
            with suppress(OSError, IndexError):
                fields = _stat(pid)
                ticks += int(fields[11]) + int(fields[12])
        return ticks * _TICK_S

    def memory_bytes(self) -> int:
        """Proportional set size of the tree."""
        total = 0
        for pid in self.pids:
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += 1024 * int(line.split()[1])
        return total

    def why(self) -> str:
        """The last line it wrote that says something."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:160] if lines else "it wrote nothing"

    def close(self) -> None:
        self.look()
        self.resume()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(8)
        self._signal(signal.SIGKILL, self.pids)  # by number: only those that this very server had
        self._process.wait()

    @staticmethod
    def _signal(number: int, pids: Iterable[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def wait_ready(server: Server, asks: Callable[[], bool], limit_s: float = 60.0) -> float:
    """Seconds until ``asks`` says yes. Raises RuntimeError when the server ends or the limit passes."""
    began = time.perf_counter()
    while time.perf_counter() - began < limit_s:
        with suppress(OSError):
            if asks():
                return time.perf_counter() - began
        if server.ended:
            raise RuntimeError(f"it ended: {server.why()}")
        time.sleep(0.002)
    raise RuntimeError(f"not ready after {limit_s:g} s: {server.why()}")


def free_ports(count: int = 4) -> int:
    """The first of so many free ports in a row."""
    for first in range(21000 + os.getpid() % 4000, 60000, count):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
    raise RuntimeError("no free ports")
