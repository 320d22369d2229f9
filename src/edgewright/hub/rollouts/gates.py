"""Gates: whose telemetry is looked at, and the look itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from edgewright.flows import release as rules
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.rollouts import rows
from edgewright.hub.rollouts.around import Around
from edgewright.hub.rollouts.rows import One
from edgewright.hub.rollouts.tables import Rollout

MOST = 2000
"""Devices of either arm that are looked at: more make a look slower, and hardly sharper."""
_LOOKS, _TOLD = 20, 10
_COURSE = 120  # looks that are remembered, for people who want to see where the evidence goes
_SHORTEST_S, _A_SECOND = 5.0, 100
_OFTEN_S, _SELDOM_S = 2.0, 60.0


@dataclass(frozen=True)
class Look:
    """A verdict, and of what: one that was made before the wave or its watch changed is of no use."""

    verdict: rules.Verdict
    wave: int
    watch: str
    watched: float

    def fits(self, row: Rollout) -> bool:
        """Whether it is still about what the rollout is at."""
        return (row.state, row.wave, row.watch, row.watched) == ("wave", self.wave, self.watch, self.watched)

    def to_json(self, at: float) -> dict[str, Any]:
        """For people."""
        one = self.verdict
        return {
            "at": at, "wave": self.wave, "action": one.action, "why": one.why, "log_e": _finite(one.log_e),
            "needed": _finite(one.needed), "evidence": one.evidence,
        }  # fmt: skip

    def after(self, before: Mapping[str, Any], at: float) -> dict[str, Any]:
        """The same with ``course``: what this and the looks before it came to, the oldest first."""
        told = self.to_json(at)
        point = {name: told[name] for name in ("at", "wave", "log_e", "needed")}
        return told | {"course": [*before.get("course", ()), point][-_COURSE:]}


def due(row: Rollout, at: float) -> bool:
    """Whether the gate is to look."""
    if row.state != "wave":
        return False
    over = row.phase == "soak" and at >= row.since + float(row.policy["soak_s"])
    return over or not row.look_due - 2 * _SELDOM_S <= at < row.look_due


def again(row: Rollout, at: float) -> float:
    """When to look again."""
    return at + min(max(float(row.policy["soak_s"]) / _LOOKS, _OFTEN_S), _SELDOM_S)


def look(session: Scoped, around: Around, row: Rollout, now: datetime) -> Look:
    """One look at the rollout's wave, from what is known now. Changes nothing."""
    ones, rollout = rows.members(session, row.id), rows.rollout_of(row)
    evidence = _Evidence(session, around)
    pairs: Counter[tuple[str, str]] = Counter()
    readings: dict[str, rules.Reading] = {}
    for seen in around.watched(session, row.watch) if row.watch else ():
        one = ones.get(seen.device)
        if one is None or not seen.filled:
            continue  # without its past a device says less, and is looked at when that is there
        canary = one.row.exposed
        if not canary and one.row.wave <= row.wave:
            continue  # offered or failed: neither the one nor the other
        new, old = (one.bundle, one.ran) if canary else (one.current, one.current)
        if canary:
            pairs[new, old] += 1
        after, before = seen.after.get(new), seen.before.get(old)
        readings[seen.device] = rules.Reading(
            one.row.device, "canary" if canary else "control", one.stratum,
            {} if before is None else around.readings(before, evidence.of(old)),
            {} if after is None else around.readings(after, evidence.of(new)),
        )  # fmt: skip
    for device, told in _shadows(session, around, row, ones).items():
        one = ones[device]
        pairs[one.bundle, one.ran] += device not in readings
        mine = readings.get(device) or rules.Reading(device, "canary", one.stratum)
        readings[device] = replace(mine, arm="canary", after={**mine.after, rules.SHADOWED: told})
    expected: dict[str, float] = {}
    if pairs:
        (new, old), _ = pairs.most_common(1)[0]
        expected = around.expected(evidence.of(new), evidence.of(old)) if old and new != old else {}
    counts = rules.installs(rollout, (one.row for one in ones.values()))
    # What never can be known is not waited for: a first release has no past, one to all at once nobody beside it.
    late = rules.overdue(rollout, now.timestamp()) or not _comparable(row, ones)
    verdict = rules.judge(counts, readings.values(), row.wave, rules.expecting(expected), rules.Budget(), late)
    return Look(verdict, row.wave, row.watch, row.watched)


def _shadows(session: Scoped, around: Around, row: Rollout, ones: Mapping[str, One]) -> dict[str, rules.Series]:
    """How often the release disagreed with what serves on devices that have been offered it: also on those that gave it
    up for that."""
    if not row.plan["shadow_s"]:
        return {}
    asked = [d for d, one in ones.items() if one.row.wave <= row.wave and one.row.attempt]
    told = around.shadowed(session, _some(asked, ones, f"{row.id}/{row.wave}/shadows"), list(row.bundles))
    made = {device: around.readings(seen, {}).get(rules.SHADOWED) for (device, _), seen in told.items()}
    return {device: series for device, series in made.items() if series is not None}


def watch(session: Scoped, around: Around, row: Rollout, ones: Mapping[str, One], now: datetime, anew: bool) -> None:
    """Watch the wave that has begun to switch, and no other; ``anew``: from now on."""
    due = row.state in ("wave", "paused") and row.phase != "offer"
    wanted = f"{row.id}/{row.wave}" if due else ""
    if wanted == row.watch and not anew:
        return
    if wanted:
        devices = [*canaries(row, ones), *controls(row, ones)]
        around.watch(session, wanted, devices, now, every_s(float(row.policy["soak_s"]), len(devices)), row.watch)
    elif row.watch:
        around.unwatch(session, row.watch)
    row.watch, row.watched = wanted, now.timestamp() if wanted else 0.0


def every_s(soak_s: float, devices: int) -> float:
    """How often devices are to tell something while their wave soaks: often enough for some looks, and not so often
    that they would be a load together. 0: as they do anyway."""
    return max(soak_s / _TOLD, _SHORTEST_S, devices / _A_SECOND) if soak_s else 0.0


def canaries(row: Rollout, ones: Mapping[str, One]) -> list[str]:
    """Devices of the waves so far that have the release, or will have it in this wave."""
    own = (d for d, one in ones.items() if one.row.wave == row.wave and _takes(one))
    told = [*own, *(d for d, one in ones.items() if one.row.wave < row.wave and one.row.exposed)]
    return _some(told, ones, f"{row.id}/{row.wave}/canaries")


def controls(row: Rollout, ones: Mapping[str, One]) -> list[str]:
    """Devices that run on unchanged and that nobody else may change meanwhile."""
    told = [d for d, one in ones.items() if one.row.wave > row.wave and not one.row.exposed and one.holds]
    return _some(told, ones, f"{row.id}/{row.wave}/controls")


def _comparable(row: Rollout, ones: Mapping[str, One]) -> bool:
    """Whether there are, or will be, canaries that ran something before, and devices that run on unchanged."""
    before = any(one.ran and one.row.wave <= row.wave and _takes(one) for one in ones.values())
    return before and any(one.row.wave > row.wave and not one.row.exposed and one.current for one in ones.values())


def _takes(one: One) -> bool:
    return one.row.state not in ("skipped", "released", "failed") or one.row.exposed


def _some(devices: Iterable[str], ones: Mapping[str, One], seed: str) -> list[str]:
    """At most MOST of them, of all strata alike."""
    strata = {device: ones[device].stratum for device in devices}
    if len(strata) <= MOST:
        return sorted(strata)
    waves = (rules.Size(count=MOST), rules.Size(share=1.0))
    return [place.device for place in rules.draw(strata, waves, seed, control=0.0) if place.wave == 0]


class _Evidence:
    """Held-out evidence of bundles, each looked up once; {} for one that the library does not have."""

    def __init__(self, session: Scoped, around: Around) -> None:
        self._session, self._around = session, around
        self._known: dict[str, Mapping[str, Any]] = {}

    def of(self, digest: str) -> Mapping[str, Any]:
        if digest not in self._known:
            try:
                self._known[digest] = self._around.find(self._session, digest).evidence if digest else {}
            except Absent:
                self._known[digest] = {}
        return self._known[digest]


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
