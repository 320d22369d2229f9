"""Space: a worker on whose disk a job found no room takes no other before there is more of it."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from edgewright.core.errors import DiskFull
from edgewright.hub.jobs.running import Ended

_MORE_BYTES, _MORE_SHARE = 64 * 2**20, 0.02
"""So much more room is worth trying with, the lesser of the two."""
_AGAIN_S = 60.0
"""Tried again anyway: what was needed may be less by now."""
_NONE_BYTES, _LITTLE_BYTES = 2**20, 2 * 2**30


class Space:
    """Of the disk that ``folder`` lies on, or is to lie on."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._short: tuple[int, float] | None = None

    def ended(self, child: Ended) -> bool:
        """Whether a child ended for want of room. Where nothing fits any more, whatever it died of says nothing about
        its job; its own word counts where what it had, and what is gone by now, may have been all there was."""
        free = self._usage()[1]
        return child.how in ("error", "died") and (
            free < _NONE_BYTES or (child.family == DiskFull.__name__ and free < _LITTLE_BYTES)
        )

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
