"""The worker beside a hub: a process of its own, started again when it dies, ended when the hub ends."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Self

from edgewright.core.closing import Closing
from edgewright.core.files import reason

PARENT = "EDGEWRIGHT_PARENT"
"""In its environment: the process with which it ends."""
_SOON_S, _SHORTEST_S, _LONGEST_S, _END_S = 20.0, 1.0, 60.0, 45.0
_LOG = logging.getLogger("edgewright.hub")


class Keeper(Closing):
    """Keeps ``edgewright hub worker`` running while its block lasts. ``words``: its options; a database's URL goes by
    the environment, where not every user of the machine sees it."""

    def __init__(self, words: Sequence[str], database: str) -> None:
        self._words = [sys.executable, "-m", "edgewright", "hub", "worker", *words]
        self._environment = {**os.environ, PARENT: str(os.getpid())} | (
            {"EDGEWRIGHT_DATABASE": database} if database else {}
        )
        self._over, self._new = threading.Event(), threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="edgewright-worker", daemon=True)

    def __enter__(self) -> Self:
        # The thread takes no signals: what waits for them (``workers.supervise``) would not see them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self

    def close(self) -> None:
        """End it; its jobs are handed back."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def renew(self) -> None:
        """End it and start it again, by the release that is installed now; its jobs are handed back."""
        self._new.set()

    def _run(self) -> None:
        pause = _SHORTEST_S
        while not self._over.is_set():
            began = time.monotonic()
            self._new.clear()
            try:  # by this thread: the kernel ends the worker when the thread that started it is gone
                ended = f"ended ({self._followed()})"
            except OSError as error:  # no memory or no process was left for it
                ended = f"cannot be started ({reason(error)})"
            if not self._over.is_set() and not self._new.is_set():
                _LOG.error("the worker beside this hub %s; it is started again", ended)
                pause = min(2 * pause, _LONGEST_S) if time.monotonic() - began < _SOON_S else _SHORTEST_S
                self._over.wait(pause)

    def _followed(self) -> int:
        """Start it and stay until it has ended, or is to; with which status."""
        with subprocess.Popen(self._words, env=self._environment, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not self._new.is_set() and not self._over.wait(0.2):
                pass
            self._end(process)
        return process.returncode

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
