"""Windows: when in the day a device may be changed, by its own clock. Pure."""

from __future__ import annotations

import re

from edgewright.core.errors import InputError

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY_S = 86400.0


def opens_in_s(window: str, local_s: float) -> float:
    """How long until the window (``"02:00-04:00"``, its end left out; ``"22:00-03:00"`` goes past midnight; "" is any
    time) is open, in s; 0.0 when it is. ``local_s``: seconds since any local midnight. Raises InputError for what is
    none."""
    if not window:
        return 0.0
    found = _WINDOW.fullmatch(window)
    if found is None:
        raise InputError(f"{window[:64]!r} is no maintenance window; it reads 02:00-04:00")
    hours = [int(part) for part in found.groups()]
    begin, end = 3600.0 * hours[0] + 60.0 * hours[1], 3600.0 * hours[2] + 60.0 * hours[3]
    into = (local_s - begin) % _DAY_S
    length = (end - begin) % _DAY_S or _DAY_S
    return 0.0 if into < length else _DAY_S - into
