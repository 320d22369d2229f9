"""Rollups: observations of devices merged by hour, then by day, for each device and for a fleet.

    take(ledger, rollups, device, report, received_s) -> Taken     a report into its device's rollups, once
    fold(rollups, now_s) -> Folded                                 hours that grew old into days, old days away
    fleet(rollups) -> Rollup                                       of one period, model and bundle: all devices together

Pure. ``rollups`` are looked up by ``Rollup.key``. What ``take`` and ``fold`` give is to be stored in one transaction,
with the ledger: then a report that comes twice, in any order, across restarts, counts once. Quantiles of any rollup
are within 1% of those of all values together: sketches are merged, never averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from edgewright.core.fields import Fields
from edgewright.core.messages import Observation, Report
from edgewright.core.messages.observations import merge
from edgewright.monitoring.seen import Seen

HOUR_S, DAY_S = 3600, 86400
HOURS_KEPT_S = 7 * DAY_S
"""Hours older than it become days."""
DAYS_KEPT_S = 400 * DAY_S
_AHEAD_S = 300
"""A device's clock may be so far ahead of the hub's; beyond it, or before 90 days ago, it is not believed."""
_BEHIND_S = 90 * DAY_S


class Key(NamedTuple):
    """What a rollup is of. ``device`` "" is a fleet; it began at ``began_s`` (s since 1970) and lasts ``seconds``."""

    device: str
    model: str
    bundle: str
    began_s: int
    seconds: int


@dataclass(frozen=True)
class Rollup:
    """``seen``: of a device, boots and sequences of the reports in it; of a fleet, none. ``told``: what they say,
    ``told.seconds`` being the time observed. ``devices``, ``boots``, ``reports``: how many distinct ones."""

    key: Key
    told: Observation
    seen: Seen = field(default_factory=Seen)
    devices: int = 1
    boots: int = 0
    reports: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value, for whoever stores it."""
        return {
            "key": list(self.key),
            "told": self.told.to_json(),
            "seen": self.seen.to_json(),
            "devices": self.devices,
            "boots": self.boots,
            "reports": self.reports,
        }

    @classmethod
    def from_json(cls, value: Any) -> Rollup:
        """The rollup of ``to_json``. Raises ValueError."""
        fields = Fields(value, "the rollup")
        device, model, bundle, began_s, seconds = fields.take("key", list)
        told = Observation.from_json(fields.take("told", dict))
        seen = Seen.from_json(fields.take("seen", list))
        key = Key(device, model, bundle, began_s, seconds)
        return cls(key, told, seen, fields.whole("devices"), fields.whole("boots"), fields.whole("reports"))


class Taken(NamedTuple):
    """The ledger afterwards, and the rollups to write; none, and the same ledger, for a report that was there."""

    ledger: Seen
    write: tuple[Rollup, ...]
    new: bool


class Folded(NamedTuple):
    """Rollups to write, and keys of those to remove."""

    write: tuple[Rollup, ...]
    remove: tuple[Key, ...]


def take(ledger: Seen, rollup: Callable[[Key], Rollup | None], device: str, report: Report, received_s: float) -> Taken:
    """Add a report to its device's rollups. ``ledger``: what was taken of this device; ``rollup`` looks one up."""
    if ledger.has(report.boot, report.sequence):
        return Taken(ledger, (), new=False)
    groups: dict[Key, list[Observation]] = {}
    for one in report.observations:
        placed = replace(one, began_s=place(one, received_s))
        groups.setdefault(key_of(device, placed, received_s), []).append(placed)
    write = []
    for key, parts in groups.items():
        seen = Seen().with_one(report.boot, report.sequence)
        write.append(_joined(key, [*_of(rollup(key)), _rollup(key, parts, seen)]))
    return Taken(ledger.with_one(report.boot, report.sequence), tuple(write), new=True)


def place(one: Observation, received_s: float) -> float:
    """When an observation began, by the hub's clock: the device's if that can be, else as late as it can have been."""
    latest = received_s - min(one.seconds, HOURS_KEPT_S)
    return one.began_s if received_s - _BEHIND_S <= one.began_s <= received_s + _AHEAD_S else latest


def fold(rollups: Iterable[Rollup], rollup: Callable[[Key], Rollup | None], now_s: float) -> Folded:
    """Hours that ended before ``HOURS_KEPT_S`` go into their days, and days older than ``DAYS_KEPT_S`` go.

    ``rollup`` looks up the days that are there. Each hour is written into its day and removed at once; store both
    together.
    """
    days: dict[Key, list[Rollup]] = {}
    remove = []
    for one in rollups:
        age_s = now_s - one.key.began_s - one.key.seconds
        if one.key.seconds == HOUR_S and age_s > HOURS_KEPT_S:
            days.setdefault(_day(one.key), []).append(one)
            remove.append(one.key)
        elif age_s > DAYS_KEPT_S:
            remove.append(one.key)
    kept = {key: hours for key, hours in days.items() if now_s - key.began_s - DAY_S <= DAYS_KEPT_S}
    return Folded(tuple(_joined(key, [*_of(rollup(key)), *hours]) for key, hours in kept.items()), tuple(remove))


def fleet(rollups: Sequence[Rollup]) -> Rollup:
    """All devices' rollups of the same model, bundle and period as one. The order does not matter."""
    first = rollups[0].key
    if len({one.key for one in rollups}) < len(rollups) or len({one.key[1:] for one in rollups}) > 1:
        raise ValueError("a fleet's rollup is of different devices in one period, with one model and bundle")
    return Rollup(
        first._replace(device=""),
        merge([one.told for one in rollups]),
        Seen(),
        sum(one.devices for one in rollups),
        sum(one.boots for one in rollups),
        sum(one.reports for one in rollups),
    )


def quantiles(rollup: Rollup, name: str, shares: Sequence[float]) -> dict[float, float]:
    """Quantiles of a series by share, each within 1% of the values' own; empty where there are no values."""
    series: Mapping[str, Any] = rollup.told.series
    if name not in series or not series[name].sketch.count:
        return {}
    return dict(zip(shares, series[name].sketch.quantiles(shares), strict=True))


def key_of(device: str, one: Observation, received_s: float) -> Key:
    """The rollup that an observation goes into, which is in the hub's time already (``place``)."""
    hour = int(one.began_s // HOUR_S) * HOUR_S
    key = Key(device, one.model, one.bundle, hour, HOUR_S)
    # What comes after its hour was folded goes where the hour went.
    return _day(key) if received_s - hour - HOUR_S > HOURS_KEPT_S else key


def _day(key: Key) -> Key:
    return key._replace(began_s=key.began_s // DAY_S * DAY_S, seconds=DAY_S)


def _of(there: Rollup | None) -> list[Rollup]:
    return [] if there is None else [there]


def _rollup(key: Key, parts: Sequence[Observation], seen: Seen) -> Rollup:
    return Rollup(key, merge(parts), seen, 1, seen.boots, seen.count)


def _joined(key: Key, parts: Sequence[Rollup]) -> Rollup:
    seen = Seen.union(part.seen for part in parts)
    return _rollup(key, [part.told for part in parts], seen)
