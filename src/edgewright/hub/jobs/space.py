"""Space: a worker on whose disk a job found no room takes no other before there is more of it."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

_MORE_BYTES, _MORE_SHARE = 64 * 2**20, 0.02
"""So much more room is worth trying with, the lesser of the two."""
_AGAIN_S = 60.0
"""Tried again anyway: what was needed may be less by now."""
_NONE_BYTES = 2**20


class Space:
    """Of the disk that ``folder`` lies on, or is to lie on."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._short: tuple[int, float] | None = None

    def none(self) -> bool:
        """Whether nothing fits any more: then whatever a process died of says nothing about its job."""
        return self._usage()[1] < _NONE_BYTES

    def ran_out(self) -> str:
        """A job needed more than there is. Why it waits, and what to do."""
        self._short = (self._usage()[1], self._clock())
        return (
            f"the disk of worker {platform.node()[:120]} is full; free some space there, and the job goes on by itself "
            "with what it has measured"
        )

    def enough(self) -> bool:
        """Whether to take another job."""
        if self._short is not None:
            (total, free), (before, since) = self._usage(), self._short
            more = min(_MORE_BYTES, int(_MORE_SHARE * total))
            if free >= before + more or self._clock() - since > _AGAIN_S:
                self._short = None
        return self._short is None

    def _usage(self) -> tuple[int, int]:
        """All of it and what is free (B)."""
        found = shutil.disk_usage(self._folder if self._folder.is_dir() else self._folder.parent)
        return found.total, found.free
