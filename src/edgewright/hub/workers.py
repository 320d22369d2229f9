"""Workers: several processes at the same sockets, and a small parent that does nothing but keep them.

The parent binds and holds the sockets, so that none of their queues is lost when a worker ends. It starts each worker
as a program of its own: after SIGHUP the workers are replaced one by one, by the release that is installed then. A
worker that died is started again, at growing intervals when it dies soon. SIGTERM and SIGINT end them all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgewright.core.errors import EdgewrightError
from edgewright.core.notify import notify

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_SOCKETS, _READY = "EDGEWRIGHT_SOCKETS", "EDGEWRIGHT_READY"
_START_S, _END_S = 120.0, 40.0
_SOON_S, _LONGEST_S = 10.0, 30.0
_LOG = logging.getLogger("edgewright.hub")


@dataclass(frozen=True)
class Inherited:
    """What a worker was given: ``sockets`` in the order in which the parent holds them; ``ready`` is a pipe;
    ``first``: no other worker ran before it."""

    sockets: tuple[socket.socket, ...]
    ready: int
    first: bool

    def tell(self) -> None:
        """Say that connections are taken."""
        os.write(self.ready, b"1")
        os.close(self.ready)


def inherited() -> Inherited | None:
    """What this process was given as a worker; None when it is none."""
    told = os.environ.pop(_SOCKETS, "")
    if not told:
        return None
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    ready, _, number = os.environ.pop(_READY).partition(":")
    return Inherited(tuple(socket.socket(fileno=int(one)) for one in told.split(",")), int(ready), number == "0")


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    began: float


def supervise(
    sockets: Sequence[socket.socket], words: Sequence[str], count: int, renew: Callable[[], None] = lambda: None
) -> int:
    """Run ``count`` workers, each the program ``words`` with these sockets, until SIGTERM or SIGINT; the exit status.
    ``renew`` is called when all were replaced.

    Raises EdgewrightError when the first one does not start."""
    heard: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # While this thread does not wait for one, the kernel hands it to another that does not block it (a library's):
        # by default that would be the end of all.
        signal.signal(number, lambda number, _: heard.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    with contextlib.ExitStack() as stack:
        for one in sockets:
            stack.enter_context(one)
        return _Parent(sockets, words, count, heard).run(renew)


class _Parent:
    def __init__(
        self, sockets: Sequence[socket.socket], words: Sequence[str], count: int, heard: list[int]
    ) -> None:  # fmt: skip
        self._sockets, self._words, self._count, self._heard = sockets, words, count, heard
        self._workers: list[_Worker] = []
        self._pause_s, self._again = 1.0, 0.0
        self._started = 0

    def run(self, renew: Callable[[], None]) -> int:
        for _ in range(self._count):
            if not self._start() and not self._workers:
                raise EdgewrightError("the hub's first worker did not start; what it said stands above")
        while True:
            told = signal.sigtimedwait(_SIGNALS, 0.5)
            number = told.si_signo if told is not None else self._heard.pop(0) if self._heard else None
            notify("WATCHDOG=1")
            if number in (signal.SIGTERM, signal.SIGINT):
                for worker in list(self._workers):
                    worker.process.terminate()
                for worker in list(self._workers):
                    self._wait(worker)
                return 0
            if number == signal.SIGHUP:
                self._roll()
                renew()
            self._replace()

    def _start(self) -> bool:
        """Another worker, when it takes connections; False when it does not."""
        ours, theirs = os.pipe()
        numbers = [one.fileno() for one in self._sockets]
        given = {**os.environ, _SOCKETS: ",".join(map(str, numbers)), _READY: f"{theirs}:{self._started}"}
        process = subprocess.Popen(self._words, env=given, pass_fds=(*numbers, theirs))
        os.close(theirs)
        try:
            ready = _told(ours, self._heard)
        finally:
            os.close(ours)
        if ready:
            self._workers.append(_Worker(process, time.monotonic()))
            self._started += 1
            return True
        process.kill()
        process.wait()
        return False

    def _wait(self, worker: _Worker) -> None:
        try:
            worker.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        self._workers.remove(worker)

    def _roll(self) -> None:
        """Replace each worker, the next one only when the one before it takes connections."""
        for worker in list(self._workers):
            if not self._start():
                _LOG.error("a new worker did not start: those that are there stay")
                return
            worker.process.terminate()
            self._wait(worker)

    def _replace(self) -> None:
        """Start again what died; later and later while it dies soon."""
        now = time.monotonic()
        for worker in [one for one in self._workers if one.process.poll() is not None]:
            self._workers.remove(worker)
            soon = now - worker.began < _SOON_S
            self._pause_s = min(self._pause_s * 2, _LONGEST_S) if soon else 1.0
            self._again = now + self._pause_s if soon else now
            _LOG.error("a worker ended (%s); another is started", worker.process.returncode)
        if len(self._workers) < self._count and now >= self._again and not self._start():
            self._pause_s = min(self._pause_s * 2, _LONGEST_S)
            self._again = time.monotonic() + self._pause_s


def _told(ready: int, heard: Sequence[int]) -> bool:
    """Wait until a worker says that it is ready: False when it ends, takes too long, or all are to end."""
    until = time.monotonic() + _START_S
    ends = {signal.SIGTERM, signal.SIGINT}
    while time.monotonic() < until and not signal.sigpending() & ends and not ends.intersection(heard):
        if select.select([ready], [], [], 0.2)[0]:
            return os.read(ready, 1) == b"1"  # at its end the pipe reads as empty
    return False
