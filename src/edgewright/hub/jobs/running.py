"""A job's child process, seen from its worker: started, listened to, kept alive, stopped."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgewright.core.child import environment, plain
from edgewright.core.files import write_file
from edgewright.core.sandbox import lacking
from edgewright.core.strict import parse_json

Wanted = Literal["", "keep", "drop", "leave"]
"""What is wanted of a job that runs: that it goes on; that it hands back the best so far; that it ends; that it ends
because this worker does."""
_TURN_S, _TELL_S, _PING_S = 0.2, 0.05, 1.0
_LINE_BYTES, _UNHEARD_BYTES = 2**20, 2**20
_KEEPING_S = 180.0
"""How long stopping and keeping may take: finalists, gates, the report."""
_TAIL = 4096
_LOG = logging.getLogger("edgewright.hub")


@dataclass(frozen=True)
class Ended:
    """How it ended. ``how``: "done", "stopped" (before there was anything to keep), "dropped", "left", "late", "error"
    (``told``, of ``family``), "died" (``told``: its last words)."""

    how: str
    told: str = ""
    family: str = ""


class Child:
    """One run in ``folder``, which holds ``request.json``. ``said`` gets each line; ``turn`` is called several times a
    second and says what is wanted; ``limit_s``: how long it may take. While its worker is not ``alive`` to others, the
    child is not told that it is wanted, and soon ends."""

    def __init__(
        self, folder: Path, memory_bytes: int, said: Callable[[dict[str, Any]], None], turn: Callable[[], Wanted],
        limit_s: float, alive: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._folder, self._memory, self._said, self._turn, self._alive = folder, memory_bytes, said, turn, alive
        self._deadline = time.monotonic() + limit_s
        self._kept: float | None = None
        self._tells = bytearray(b"\n")
        self._telling = threading.Lock()
        self._late = self._ready = False

    def run(self, request: dict[str, Any]) -> Ended:
        """Until it has ended. Raises StorageError."""
        write_file(self._folder / "request.json", json.dumps(request).encode())
        answers, ours = os.pipe()
        command = [sys.executable, "-P", "-m", "edgewright.hub.jobs.inside"]
        command += [str(ours), str(os.getpid()), str(self._memory)]
        home = {"HOME": str(self._folder), "TMPDIR": str(self._folder), "PYTHONUNBUFFERED": "1"}
        with os.fdopen(answers, "rb", buffering=0) as listening:
            try:
                child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                    cwd=self._folder, env=environment(None) | home, pass_fds=(ours,), start_new_session=True, bufsize=0,
                )  # fmt: skip
            finally:
                os.close(ours)
            assert child.stdin is not None  # noqa: S101 - it was opened as a pipe
            os.set_blocking(child.stdin.fileno(), False)
            over = threading.Event()
            telling = threading.Thread(target=self._keep_telling, args=(child, over), name="edgewright-tell")
            telling.start()
            try:
                return self._follow(child, listening)
            finally:
                over.set()
                telling.join()
                _end(child)

    def tell(self, line: Mapping[str, Any]) -> None:
        """Something that the child hears soon; one that does not listen misses it."""
        with self._telling:
            if len(self._tells) < _UNHEARD_BYTES:
                self._tells += json.dumps(line, allow_nan=False).encode() + b"\n"

    def _follow(self, child: subprocess.Popen[bytes], listening: Any) -> Ended:
        held, noise, last = bytearray(), bytearray(), Ended("died")
        with selectors.DefaultSelector() as waiting:
            assert child.stderr is not None  # noqa: S101 - it was opened as a pipe
            for stream in (listening, child.stderr):
                waiting.register(stream, selectors.EVENT_READ)
            while waiting.get_map():
                for key, _ in waiting.select(_TURN_S):
                    chunk = os.read(key.fd, 65536)
                    if not chunk:
                        waiting.unregister(key.fileobj)
                    elif key.fileobj is listening:
                        held += chunk
                    else:
                        noise = (noise + chunk)[-_TAIL:]
                *lines, rest = bytes(held).split(b"\n")
                held = bytearray(rest)
                if len(held) > _LINE_BYTES:
                    return Ended("died", "it said more than can be read")
                for line in lines:
                    last = self._heard(line) or last
                ended = self._look(child)
                if ended is not None:
                    return ended
        child.wait()
        if last.how == "died":
            words = (noise.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            cause = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
            return Ended("died", plain(f"{cause}: {words}"))
        return Ended("late") if self._late and last.how == "stopped" else last

    def _keep_telling(self, child: subprocess.Popen[bytes], over: threading.Event) -> None:
        """That it is wanted, every second, and what there is to hear, whatever keeps ``turn`` for long. As much as the
        pipe takes: a child that does not listen holds nobody up."""
        assert child.stdin is not None  # noqa: S101 - it was opened as a pipe
        pinged = float("-inf")
        while not over.wait(_TELL_S):
            with self._telling:
                if time.monotonic() - pinged > _PING_S and self._alive():
                    pinged = time.monotonic()
                    self._tells += b"\n"
                with contextlib.suppress(OSError):
                    while self._tells:
                        del self._tells[: os.write(child.stdin.fileno(), self._tells)]

    def _heard(self, line: bytes) -> Ended | None:
        """Hand it on; the end, where it is the last one. What cannot be read is passed over: it may come of a
        hostile file."""
        try:
            told = parse_json(line, _LINE_BYTES)
        except ValueError:
            return None
        if not isinstance(told, dict):
            return None
        if "done" in told:
            return Ended("done")
        if "stopped" in told:
            return Ended("stopped")
        if "error" in told:
            return Ended("error", plain(str(told["error"])), str(told.get("family", "")))
        self._ready = self._ready or "ready" in told
        if isinstance(told.get("layers"), list) and (open_ := lacking(map(str, told["layers"]), programs=True)):
            _LOG.warning(
                "this kernel cannot shut jobs off from %s; do only those of people you trust", " and ".join(open_)
            )
        self._said(told)
        return None

    def _look(self, child: subprocess.Popen[bytes]) -> Ended | None:
        """Do what is wanted; the end, where that is one at once."""
        wanted, now = self._turn(), time.monotonic()
        if wanted == "drop":
            return Ended("dropped")
        if wanted == "leave":
            return Ended("left")
        if now > self._deadline and self._kept is None:
            if not self._ready:  # it has nothing to keep, and would hear nothing
                return Ended("late")
            self._late = True
            wanted = "keep"
        if wanted == "keep" and self._kept is None and self._ready:  # before that a signal would just end it
            self._kept = now
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGINT)
        if self._kept is not None and now - self._kept > _KEEPING_S:
            return Ended("late" if self._late else "dropped")
        return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End its whole group and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    for stream in (child.stdin, child.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    child.wait()
