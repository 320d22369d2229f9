"""Causes: what is wrong now. Many devices of a group at once are one cause, and so are many groups. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edgewright.hub.alerts.health import Health, Known, health, silence
from edgewright.hub.alerts.rules import Rule, Rules

MOST, FEWEST = 20, 5
"""So many devices of a group, or half of them if these are at least FEWEST, are told as one."""
ILL = ("update", "serving", "disk", "clock")
RECENT = timedelta(days=1)
"""What happened counts for so long as something that is wrong."""
ONLINE = ("timestamp", "snapshot")
_RENEWED = timedelta(hours=6)  # the hub renews these by itself long before


@dataclass(frozen=True)
class Cause:
    """``kind`` and ``subject`` are what it is known by."""

    kind: str
    subject: str
    severity: str
    told: str

    @property
    def key(self) -> str:
        """What it is known by, in one word."""
        return f"{self.kind} {self.subject}"


@dataclass(frozen=True)
class RolloutNow:
    """A rollout that waits, or that its gate has halted; ``since``: when it came into its state, or was halted."""

    id: str
    name: str
    group: str
    state: str
    since: datetime


@dataclass(frozen=True)
class Drift:
    """What a gate said of unchanged devices."""

    rollout: str
    group: str
    told: str


@dataclass(frozen=True)
class Around:
    """What else is judged: of one tenant, but for ``free``, the free share of the hub's disk (0 to 1)."""

    rollouts: Sequence[RolloutNow] = ()
    drifts: Sequence[Drift] = ()
    expires: Mapping[str, datetime] = field(default_factory=dict)
    cloned: Mapping[str, str] = field(default_factory=dict)
    given_up: Mapping[str, str] = field(default_factory=dict)
    free: float = 1.0


@dataclass(frozen=True)
class Found:
    """``causes``: what should have an alert. ``holding``: keys of what is wrong, too, and needs no alert of its own
    because a larger one tells it: one that it has stays open."""

    causes: Mapping[str, Cause]
    holding: frozenset[str]


def find(devices: Iterable[Known], around: Around, rules: Rules, now: datetime, open_: AbstractSet[str]) -> Found:
    """All causes of a tenant. ``open_``: keys of alerts that are open; what is told as one is so until it is few."""
    groups: Counter[str] = Counter()
    wrong: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    silent = timedelta(minutes=rules["device.silent"].limit or 15)
    for known in devices:
        groups[known.group] += 1
        for kind, told in _of_device(known, health(known, now, silent), now, silent, around.cloned):
            if rules[kind].on and known.group not in rules[kind].muted:
                wrong[kind][known.group].append((known.name, told))
    causes: dict[str, Cause] = {}
    holding: set[str] = set()
    for kind, by_group in wrong.items():
        _gather(rules[kind], by_group, groups, open_, causes, holding)
    for cause in _of_rest(around, rules, now):
        causes[cause.key] = cause
    return Found(causes, frozenset(holding))


def _of_device(
    known: Known, found: Health, now: datetime, silent: timedelta, cloned: Mapping[str, str]
) -> Iterable[tuple[str, str]]:
    parts = {one.name: one for one in found.components}
    quiet = silence(known, now) > silent
    if quiet:
        last = "it was enrolled and never asked" if known.seen is None else f"it asked last at {moment(known.seen)}"
        yield "device.silent", f"device {known.name} is silent: {last}"
    if known.name in cloned:
        yield "device.cloned", f"device {known.name} is there twice: {cloned[known.name]}"
    if found.level == "ok" or quiet:
        return  # of who is silent all else is old news
    worst = found.worst(ILL)
    if worst.level == "bad":
        yield "device.ill", f"device {known.name} is ill: {worst.name}: {worst.told}"
    if parts["certificate"].level != "ok":
        ends = known.certificate[1] if known.certificate else now
        yield "device.certificate", f"device {known.name} does not renew its certificate, which ends at {moment(ends)}"
    if parts["configuration"].level != "ok":
        yield "device.configuration", f"device {known.name}: {parts['configuration'].told}"
    if known.lost:
        yield "device.reports_lost", f"device {known.name} lost reports: {parts['reports'].told}"


_WAITS = {
    "paused": ("rollout.paused", "is paused"),
    "awaiting_signature": ("rollout.unsigned", "waits for a signature"),
}
_MANY = {
    "device.silent": "are silent", "device.ill": "are ill", "device.certificate": "do not renew their certificates",
    "device.cloned": "are there twice", "device.reports_lost": "lost reports",
    "device.configuration": "refuse their configuration",
}  # fmt: skip


def _gather(
    rule: Rule, wrong: Mapping[str, list[tuple[str, str]]], groups: Mapping[str, int], open_: AbstractSet[str],
    causes: dict[str, Cause], holding: set[str],
) -> None:  # fmt: skip
    """One kind: a cause for each device, for a group of many, or for the whole fleet."""

    def cause(subject: str, told: str) -> Cause:
        return Cause(rule.kind, subject, rule.severity, told)

    single: list[Cause] = []
    many: list[Cause] = []
    for group, found in wrong.items():
        ones = [cause(f"device/{name}", told) for name, told in found]
        whole = cause(f"group/{group}", _told(f"group {group or '(none)'}", rule.kind, found, groups[group]))
        if _is_storm(len(found), groups[group], whole.key in open_):
            many.append(whole)
            holding.update(one.key for one in ones)
        else:
            single += ones
    everything = [entry for found in wrong.values() for entry in found]
    total = sum(n for group, n in groups.items() if group not in rule.muted)
    fleet = cause("fleet", _told("the fleet", rule.kind, everything, total))
    storm = len(many) >= MOST or _is_storm(len(everything), total, fleet.key in open_, math.inf)
    if len(wrong) > 1 and storm:
        causes[fleet.key] = fleet
        holding.update(one.key for one in (*single, *many))
    else:
        causes.update((one.key, one) for one in (*single, *many))


def _is_storm(n: int, of: int, already: bool, most: float = MOST) -> bool:
    """Whether ``n`` of ``of`` are told as one; once they are, until they are half as many."""
    needed = max(FEWEST, min(of / 2, most))
    return n >= (needed / 2 if already else needed)


def _told(where: str, kind: str, found: Sequence[tuple[str, str]], of: int) -> str:
    names = ", ".join(name for name, _ in found[:3]) + (", ..." if len(found) > 3 else "")
    return f"{len(found):,} of {of:,} devices of {where} {_MANY[kind]}: {names}"


def _of_rest(around: Around, rules: Rules, now: datetime) -> Iterable[Cause]:
    """Causes that are no device's."""

    def made(kind: str, subject: str, told: str, group: str | None = None) -> Iterable[Cause]:
        rule = rules[kind]
        if rule.on and group not in rule.muted:
            yield Cause(kind, subject, rule.severity, told)

    for one in around.rollouts:
        called, subject, waits = f"rollout {one.id} ({one.name})", f"rollout/{one.id}", now - one.since
        at = moment(one.since)
        if one.state == "halted":
            yield from made("rollout.halted", subject, f"{called} was halted at {at}", one.group)
        if one.state in ("rolling_back", "rolled_back"):
            back = "was taken back" if one.state == "rolled_back" else "is being taken back"
            yield from made("rollout.halted", subject, f"{called} was halted at {at}, and {back}", one.group)
        for state, (kind, told) in _WAITS.items():
            if one.state == state and waits > timedelta(minutes=rules[kind].limit or 60):
                yield from made(kind, subject, f"{called} {told} since {at}", one.group)
    for drift in around.drifts:
        yield from made("rollout.drift", f"rollout/{drift.rollout}", drift.told, drift.group)
    for role, until in around.expires.items():
        days = timedelta(days=rules["updates.expiring"].limit or 14)
        limit = _RENEWED if role in ONLINE else days
        if until - now < limit:
            ends = "ends" if until > now else "ended"
            todo = "see why the hub does not renew it" if role in ONLINE else "sign it anew"
            told = f"the update metadata's {role} {ends} at {moment(until)}; {todo}"
            yield from made("updates.expiring", f"updates/{role}", told)
    if around.free * 100 < (rules["hub.disk"].limit or 10):
        yield from made("hub.disk", "hub", f"{around.free:.0%} of the hub's disk is free; make room, or move its data")
    for channel, told in around.given_up.items():
        yield from made("delivery.failing", channel, told)


def moment(at: datetime) -> str:
    """A moment for people. (Not "an hour ago": what an alert tells would change by the minute.)"""
    return f"{at:%Y-%m-%d %H:%M} UTC"
