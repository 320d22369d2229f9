"""Policy: how a rollout goes about it, set when it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from edgewright.core.errors import InputError
from edgewright.flows.release.membership import Size, check_waves, parse_waves

OnHalt = Literal["hold", "revert exposed", "revert all"]

_DAY_MIN = 24 * 60
_LONGEST_OFFSET_S = 15 * 3600


@dataclass(frozen=True)
class Window:
    """Minutes of the device's own day from ``start`` until before ``end``; one that ends earlier goes past midnight."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < _DAY_MIN or not 0 <= self.end <= _DAY_MIN or self.start == self.end:
            raise InputError("a maintenance window is written as 02:00-04:00")

    @classmethod
    def parse(cls, text: str) -> Window:
        """``02:00-04:00`` or ``22:30-01:00``. Raises InputError."""
        found = re.fullmatch(r"\s*([0-9]{2}):([0-5][0-9])\s*-\s*([0-9]{2}):([0-5][0-9])\s*", text)
        if found is None:
            raise InputError(f"{text!r} is no maintenance window; write it as 02:00-04:00")
        start, end = (60 * int(found[i]) + int(found[i + 1]) for i in (1, 3))
        return cls(start, end)

    def is_open(self, now: float, utc_offset_s: float) -> bool:
        """Whether it is open where the device is. ``now``: s since 1970 by the hub's clock, as a device's own may be
        at 1970; ``utc_offset_s``: what the device's time zone adds, bounded to what exists on Earth."""
        offset = min(max(utc_offset_s, -_LONGEST_OFFSET_S), _LONGEST_OFFSET_S)
        minute = int((now + offset) // 60) % _DAY_MIN
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True)
class Policy:
    """``soak_s``: from when a wave has switched until it is judged; ``lease_s``: how long a device may take to answer;
    ``max_failure``: the share of devices that may fail; ``window``: when devices may switch; ``approvals``: people
    besides the author who must agree; ``prestage``: everyone fetches ahead, waves only switch."""

    waves: tuple[Size, ...] = parse_waves("1,10,50,100")
    soak_s: float = 600.0
    lease_s: float = 900.0
    max_failure: float = 0.02
    window: Window | None = None
    approvals: int = 0
    prestage: bool = False
    on_halt: OnHalt = "revert exposed"

    def __post_init__(self) -> None:
        check_waves(self.waves)
        if not 0 <= self.max_failure < 1:
            raise InputError("--max-failure is a share from 0% to below 100%")
        if self.soak_s < 0 or self.lease_s <= 0 or self.approvals < 0:
            raise InputError("a soak, a lease and approvals are not negative, and a lease is not 0")
