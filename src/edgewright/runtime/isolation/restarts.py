"""Rules: when a worker that died is started again, and how long one that runs is waited for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_RUN_S = 60.0
_LEAST_S = 2.0
_LONGER = 100.0


@dataclass(frozen=True)
class Restarts:
    """A worker that dies is started again at once; the next one after ``first_s``, then twice as long each time, and
    no more once ``most`` died within ``window_s``."""

    most: int = 5
    window_s: float = 60.0
    first_s: float = 0.25
    longest_s: float = 30.0

    def delay_s(self, deaths: list[float], now: float) -> float | None:
        """How long to wait after the last of ``deaths`` (s, in order), or None: leave it dead."""
        recent = [at for at in deaths if now - at <= self.window_s]
        if len(recent) >= self.most:
            return None
        if len(recent) < 2:
            return 0.0
        return min(self.first_s * 2.0 ** min(len(recent) - 2, 60), self.longest_s)


class Patience:
    """How long a run may take before the worker counts as hung.

    A hundred times the longest run so far, and 2 s at least, since the machine may be busy; longer for requests larger
    than any before, in proportion to their bytes; 60 s for the first. ``hang_s`` replaces all of that.
    """

    __slots__ = ("_bytes", "_hang_s", "_longest")

    def __init__(self, hang_s: float | None = None) -> None:
        self._hang_s, self._longest, self._bytes = hang_s, 0.0, 0

    def limit_s(self, size: int) -> float:
        """For a request of ``size`` bytes."""
        if self._hang_s is not None:
            return self._hang_s
        if not self._longest:
            return _FIRST_RUN_S
        scale = size / self._bytes if size > self._bytes > 0 else 1.0
        return max(_LONGER * self._longest, _LEAST_S) * scale

    def ran(self, size: int, took_s: float) -> None:
        """A request of ``size`` bytes was answered after ``took_s``."""
        if took_s > self._longest:
            self._longest = took_s
        if size > self._bytes:
            self._bytes = size
