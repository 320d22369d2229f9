"""The line between a job's child process and its worker: lines of JSON both ways. An empty one says that the worker
still wants it."""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import threading
from collections.abc import Iterator
from typing import IO, Any

PATIENCE_S = 8.0
"""How long the parent may be silent."""


class Line:
    """The child's end. Calling it says something; ``heard`` is what came. This process and all that it started end when
    its parent says nothing for a while, or is gone."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="edgewright-wanted", daemon=True).start()

    def __call__(self, told: dict[str, Any]) -> None:
        """Say it. Raises OSError."""
        self._stream.write(json.dumps(told, allow_nan=False).encode() + b"\n")

    def heard(self, wait_s: float = 0.0) -> Iterator[dict[str, Any]]:
        """What came since; where nothing did, the next line, if it comes within ``wait_s``."""
        try:
            yield self._heard.get(timeout=wait_s) if wait_s else self._heard.get_nowait()
            while True:
                yield self._heard.get_nowait()
        except queue.Empty:
            return

    def _listen(self) -> None:
        held = b""
        while select.select([0], [], [], PATIENCE_S)[0]:
            chunk = os.read(0, 65536)
            if not chunk:
                break
            *lines, held = (held + chunk).split(b"\n")
            for line in filter(None, lines):
                self._heard.put(json.loads(line))
        os.killpg(0, signal.SIGKILL)
