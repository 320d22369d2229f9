"""Slack: whether a run that nobody waits for fits between those that somebody does. Pure: it is told the time.

A run cannot be stopped, so one more is begun only where it will most likely be over before it is in anybody's way:
within the time that every request with a deadline had to spare lately, and, where requests have none, within the pause
that nine of ten pauses like this one last.
"""

from __future__ import annotations

from collections import deque

from edgewright.runtime.scheduling.line import NEVER

_SPARES, _PAUSES = 64, 256
_KNOWN = 8
"""Pauses that must have been seen before they tell anything."""
_SHARE = 0.1


class Slack:
    """What requests had to spare and how long it was quiet between them, of the latest ones."""

    def __init__(self) -> None:
        self._spares: deque[float] = deque(maxlen=_SPARES)
        self._pauses: deque[float] = deque(maxlen=_PAUSES)
        self._quiet: float | None = None

    def asked(self, now: float, spare_s: float = NEVER) -> None:
        """A request came that has ``spare_s`` beyond its own run; infinity without a deadline."""
        quiet, self._quiet = self._quiet, None
        if quiet is not None:
            self._pauses.append(now - quiet)
        self._spares.append(spare_s)

    def answered(self, now: float) -> None:
        """A request was answered."""
        self._quiet = now

    def fits(self, takes_s: float, now: float) -> bool:
        """Whether a run of ``takes_s`` may begin now."""
        spares = list(self._spares)
        if any(spare < takes_s for spare in spares):
            return False
        if NEVER not in spares:
            return True
        pauses, quiet = list(self._pauses), self._quiet
        if quiet is None or len(pauses) < _KNOWN:
            return False
        longer = [pause for pause in pauses if pause > now - quiet]
        if len(longer) < _KNOWN / 2:  # quieter than it ever was for long
            longer = sorted(pauses)[-_KNOWN // 2 :]
            return takes_s <= max(longer)
        return sum(pause < now - quiet + takes_s for pause in longer) <= _SHARE * len(longer)
