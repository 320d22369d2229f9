"""The course of alerts: raised once while their cause lasts, over when it stays away, held down when it comes and goes.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from edgewright.hub.alerts.causes import Cause, Found

QUIET = timedelta(minutes=5)
"""A cause that is away for so long is over; twice as long for each time that it came back."""
LONGEST = timedelta(hours=8)
AGAIN = timedelta(hours=6)
"""What comes back so soon after it was over goes on as the same alert."""

Verb = Literal["raise", "again", "change", "quiet", "back", "end"]


@dataclass(frozen=True)
class Now:
    """An alert as it is: ``quiet``: since when its cause is away; ``ended``: when it was over (None: it is open)."""

    id: str
    severity: str
    told: str
    quiet: datetime | None
    returns: int
    ended: datetime | None = None


@dataclass(frozen=True)
class Step:
    """What is to be done: raise ``cause``, open ``alert`` ``again``, ``change`` what it tells, mark it ``quiet``, or
    ``back`` before it was over, ``end`` it."""

    verb: Verb
    alert: str = ""
    cause: Cause | None = None


def quiet_of(returns: int) -> timedelta:
    """How long a cause that came back so often has to be away."""
    return min(QUIET * (1 << min(returns, 10)), LONGEST)


def steps(alerts: Mapping[str, Now], found: Found, now: datetime) -> Iterable[Step]:
    """What ``found`` makes of the alerts (by key) that are open or were over lately. Applied, it gives none again."""
    for key, cause in found.causes.items():
        known = alerts.get(key)
        if known is None or (known.ended is not None and now - known.ended > AGAIN):
            yield Step("raise", cause=cause)
        elif known.ended is not None:
            yield Step("again", known.id, cause)
        elif known.quiet is not None:
            yield Step("back", known.id, cause)
        elif (known.severity, known.told) != (cause.severity, cause.told):
            yield Step("change", known.id, cause)
    for key, known in alerts.items():
        if key in found.causes or known.ended is not None:
            continue
        if key in found.holding:
            if known.quiet is not None:
                yield Step("back", known.id)
        elif known.quiet is None:
            yield Step("quiet", known.id)
        elif now - known.quiet >= quiet_of(known.returns):
            yield Step("end", known.id)
