"""Process: the runtime as a child that outlives the agent.

The agent may be killed at any moment; what serves must not be. So the runtime is no child that dies with its parent:
the next agent finds it by ``run/runtime.json`` (process id and the time that the kernel started it at, which no other
process shares) and goes on with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from edgewright.core.child import environment
from edgewright.core.errors import EngineError
from edgewright.core.files import remove, write_file

_END_S, _LOG_BYTES = 15.0, 2**20


class Process:
    """A process by its number, ours or one that an earlier agent began."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid, self._child = pid, child
        self._handle = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        if self._child is not None:
            return self._child.poll() is None
        return not select.select([self._handle], [], [], 0.0)[0]

    def arguments(self) -> list[str]:
        """Its command line (proc(5)); nothing where it cannot be read."""
        try:
            return os.fsdecode(Path(f"/proc/{self.pid}/cmdline").read_bytes()).split("\0")
        except OSError:
            return []

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many s."""
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
            return self._child.returncode is not None
        return bool(select.select([self._handle], [], [], seconds)[0])

    def end(self) -> None:
        """Ask it to end, requests answered; end it when it does not. Comes back when it is gone."""
        for number, seconds in ((signal.SIGTERM, _END_S), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)
            if self.wait(3600.0 if seconds is None else seconds):
                break

    def let_go(self) -> None:
        """Leave it running, or forget it when it has ended."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            if self._child is not None and self._child.returncode is None:
                self._child.returncode = 0  # it goes on without us: that is no resource left behind


def start(command: Sequence[str], record: Path, log: Path) -> Process:
    """``python command`` in a session of its own, its output at the end of ``log``, and ``record`` to find it by.
    Raises EngineError."""
    try:
        with _opened(log) as stream:
            child = subprocess.Popen(
                [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                env=environment(None), start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise EngineError(f"the runtime cannot be started: {error.strerror or error}") from error
    with contextlib.suppress(Exception):  # without it the next agent begins a runtime of its own
        write_file(record, json.dumps({"pid": child.pid, "since": _since(child.pid)}).encode())
    return Process(child.pid, child)


def find(record: Path) -> Process | None:
    """The process that ``record`` tells of, None when it is gone."""
    try:
        told = json.loads(record.read_bytes())
        pid, since = int(told["pid"]), str(told["since"])
        process = Process(pid)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if since and _since(pid) == since and process.alive:
        return process
    process.let_go()
    with contextlib.suppress(OSError):
        remove(record)
    return None


def _since(pid: int) -> str:
    """What no other process shares: the machine's boot and the process's start in it (proc(5), field 22 of stat)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path(f'/proc/{pid}/stat').read_text('utf-8').rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return ""


def _opened(log: Path) -> BinaryIO:
    """The log, begun anew when it is long; nothing's file where it cannot be written."""
    try:
        stream = log.open("ab")
        if stream.tell() > _LOG_BYTES:
            stream.truncate(0)
    except OSError:
        return open(os.devnull, "wb")  # noqa: PTH123 - as a file, to be closed by its user
    return stream
