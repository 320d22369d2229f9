"""Membership: which device is in which wave, drawn once.

Each device has a place that only its name and the rollout's seed decide; within a stratum devices stand in the order of
their places, and strata are threaded evenly into one order (systematic sampling: Cochran, "Sampling techniques", 3rd
ed., chapter 8). So every wave holds each stratum's share of it to within one device, and the totals exactly.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgewright.core.errors import InputError

_MOST_WAVES = 20


@dataclass(frozen=True)
class Size:
    """Where a wave ends: after ``share`` of all members, or after ``count`` of them; both count from the first."""

    share: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if (self.share is None) == (self.count is None):
            raise InputError("a wave ends after a share or a count of devices, one of the two")
        if (self.share is not None and not 0 < self.share <= 1) or (self.count is not None and self.count < 1):
            raise InputError("a wave holds more than nothing and at most all devices: write 10 for 10%, 25d for 25")

    def of(self, members: int) -> int:
        """Devices up to the wave's end; at least one where there are any."""
        wanted = self.count if self.count is not None else math.ceil((self.share or 0.0) * members - 1e-9)
        return min(max(wanted, 1), members)


BLUE_GREEN = (Size(share=1.0),)
"""All at once: with everything staged ahead, a switch of the whole fleet that one pointer takes back."""


def parse_waves(text: str) -> tuple[Size, ...]:
    """``1,10,50,100`` (per cent of the members, cumulative) or ``5d,50d,100`` (``d``: devices). Raises InputError."""
    sizes = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(%|d|)\s*", part)
        if found is None or (found[2] == "d" and "." in found[1]):
            raise InputError(f"{part.strip()!r} is no wave; write per cents or devices, as in 1,10,50,100 or 5d,50,100")
        sizes.append(Size(count=int(found[1])) if found[2] == "d" else Size(share=float(found[1]) / 100))
    check_waves(sizes)
    return tuple(sizes)


def check_waves(sizes: Sequence[Size]) -> None:
    """Raise InputError unless the waves grow and end with all devices."""
    if not sizes or len(sizes) > _MOST_WAVES or sizes[-1].share != 1.0:
        raise InputError(f"the last of at most {_MOST_WAVES} waves must be 100")
    for kind in ("share", "count"):
        ends = [end for size in sizes if (end := getattr(size, kind)) is not None]
        if any(a >= b for a, b in pairwise(ends)):
            raise InputError("each wave must reach further than the one before it, as in 1,10,50,100")


def ramp(first: float, factor: float = 2.0) -> tuple[Size, ...]:
    """A gradual ramp: waves that grow by ``factor`` from the share ``first`` on, as many as it takes."""
    if not 0 < first < 1 or factor < 1.2:
        raise InputError("a ramp begins with a share below 1 and grows by at least 1.2")
    shares = [first * factor**i for i in range(_MOST_WAVES) if first * factor**i < 1]
    sizes = tuple(Size(share=one) for one in [*shares[: _MOST_WAVES - 1], 1.0])
    check_waves(sizes)
    return sizes


@dataclass(frozen=True)
class Place:
    """A device's part in a rollout: its wave (the first is 0), and whether it is held back as control."""

    device: str
    wave: int
    control: bool = False


def draw(devices: Mapping[str, str], waves: Sequence[Size], seed: str, control: float = 0.1) -> tuple[Place, ...]:
    """Every device's place, sorted by name. ``devices``: stratum by name (hardware, group, age of the model...).

    ``control``: the share that is marked as control group, out of the last wave and of all strata alike: every gate
    before that wave has these unchanged devices beside the canaries, and nobody else may touch them meanwhile. Raises
    InputError.
    """
    check_waves(waves)
    if not 0 <= control < 1:
        raise InputError("the control group is a share of the devices below 1")
    order = _threaded(devices, seed)
    last = len(waves) - 1
    ends = [size.of(len(order)) for size in waves]
    kept = min(round(control * len(order)), len(order) - max(ends[:-1])) if last else 0
    held = set(order[len(order) - kept :])
    made = []
    for i, device in enumerate(order):
        made.append(Place(device, next(w for w, end in enumerate(ends) if i < end), device in held))
    return tuple(sorted(made, key=lambda place: place.device))


def extend(
    places: Iterable[Place], newcomers: Iterable[str], waves: Sequence[Size], seed: str, open_wave: int
) -> tuple[Place, ...]:
    """The same places with those of devices that came later; nobody's place changes.

    A newcomer's wave follows from its own name and the seed, in any order of coming, but is none before ``open_wave``:
    the waves that were judged stay as they were judged. Counted waves take no newcomers.
    """
    made = {place.device: place for place in places}
    shares = [size.share if size.share is not None else 0.0 for size in waves]
    for device in newcomers:
        if device not in made:
            wave = next(w for w, end in enumerate(shares) if _unit(seed, "newcomer", device) < end)
            made[device] = Place(device, max(wave, open_wave))
    return tuple(made[device] for device in sorted(made))


def _threaded(devices: Mapping[str, str], seed: str) -> list[str]:
    strata: dict[str, list[str]] = {}
    for device, stratum in devices.items():
        strata.setdefault(stratum, []).append(device)
    keyed = []
    for stratum, names in strata.items():
        start = _unit(seed, "stratum", stratum)
        names.sort(key=lambda name: (_unit(seed, "device", name), name))
        keyed += [((rank + start) / len(names), name) for rank, name in enumerate(names)]
    return [name for _, name in sorted(keyed)]


def _unit(seed: str, *parts: str) -> float:
    """A number in [0, 1) that is even over names and the same for ever; parts cannot run into one another."""
    text = "".join(f"{len(part)}:{part}" for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56
