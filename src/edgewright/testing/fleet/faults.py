"""Faults to order: which share of the devices has which, always the same ones for the same seed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from hashlib import sha256

from edgewright.core.errors import InputError


@dataclass(frozen=True)
class Faults:
    """Shares from 0 to 1, each drawn on its own; a device may have several.

    ``fail``: half of them while they install, half in the trial; ``silent``: take an offer and are never heard again;
    ``slow``: everything takes twenty times as long; ``drop``: connections break at random; ``twice``: every report is
    sent twice; ``reorder``: reports are sent newest first; ``forge``: telemetry is made up; ``clock``: at 1970, or ten
    years ahead; ``clone``: two run with one identity.
    """

    fail: float = 0.0
    silent: float = 0.0
    slow: float = 0.0
    drop: float = 0.0
    twice: float = 0.0
    reorder: float = 0.0
    forge: float = 0.0
    clock: float = 0.0
    clone: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Faults:
        """``fail=0.02,silent=0.01``. Raises InputError."""
        names = [one.name for one in fields(cls)]
        found: dict[str, float] = {}
        for part in filter(None, text.split(",")):
            name, _, share = part.partition("=")
            try:
                found[name] = float(share)
            except ValueError:
                found[name] = -1.0
            if name not in names or not 0 <= found[name] <= 1:
                raise InputError(f"{part[:40]!r} is no fault and share; give {', '.join(names)}, as in fail=0.02")
        return cls(**found)

    def of(self, device: str, seed: int) -> frozenset[str]:
        """The names of the faults that this device has."""
        shares = asdict(self)
        return frozenset(name for name, share in shares.items() if chance(f"{seed}/{name}/{device}") < share)


def chance(text: str) -> float:
    """From 0 to 1, evenly, by the text alone."""
    return int.from_bytes(sha256(text.encode()).digest()[:7], "big") / 2**56


def clock_error_s(device: str, faults: frozenset[str], now_s: float) -> float:
    """What a device's clock is wrong by, in s."""
    if "clock" not in faults:
        return 0.0
    return -now_s if chance(device) < 0.5 else 10 * 365.25 * 86400.0
