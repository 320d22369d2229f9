"""Kinds of alerts, and what a tenant may change of each: whether, how severe, its limit, which groups are passed over.
Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from edgewright.core.errors import InputError

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
MOST_MUTED, MOST_MAIL = 200, 20
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Kind:
    """``told``: what it means; ``severity`` and ``limit``: as long as a tenant says nothing else (None: it has no
    limit); ``unit`` of the limit, ``most`` it may be."""

    told: str
    severity: Severity
    limit: float | None = None
    unit: str = ""
    most: float = 0.0


KINDS: Mapping[str, Kind] = {
    "device.silent": Kind("a device did not ask for longer than the limit", "warning", 15, "minutes", 43200),
    "device.ill": Kind("a device's update, serving, disk or clock is bad", "warning"),
    "device.certificate": Kind("a device asks, and does not renew its certificate", "warning"),
    "device.configuration": Kind("a device refuses the configuration that it is told", "warning"),
    "device.cloned": Kind("a second device has shown the identity of this one", "critical"),
    "device.reports_lost": Kind("a device had to drop reports", "info"),
    "rollout.halted": Kind("a rollout was halted by its gate, and perhaps taken back", "critical"),
    "rollout.paused": Kind("a rollout is paused for longer than the limit", "warning", 60, "minutes", 43200),
    "rollout.unsigned": Kind("a rollout waits for a signature for longer than the limit", "warning", 60, "minutes",
                             43200),
    "rollout.drift": Kind("a gate saw unchanged devices drift", "warning"),
    "updates.expiring": Kind("update metadata ends within the limit", "critical", 14, "days", 365),
    "hub.disk": Kind("less than the limit of the hub's disk is free", "critical", 10, "percent", 90),
    "delivery.failing": Kind("messages to a webhook or by mail were given up", "warning"),
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A tenant's rule for one kind. ``muted``: groups whose devices are passed over."""

    kind: str
    severity: Severity
    on: bool = True
    limit: float | None = None
    muted: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self) | {"muted": sorted(self.muted)}


Rules = Mapping[str, Rule]


def usual_rules() -> dict[str, Rule]:
    """The rules of a tenant that said nothing."""
    return {name: Rule(name, kind.severity, limit=kind.limit) for name, kind in KINDS.items()}


def read_rules(kept: Mapping[str, Any]) -> dict[str, Rule]:
    """The rules that a row keeps (by kind, ``Rule.to_json``), with the usual ones for kinds that it does not name."""
    rules = usual_rules()
    for name in rules.keys() & kept.keys():
        rules[name] = Rule(**(kept[name] | {"muted": frozenset(kept[name]["muted"])}))
    return rules


def check_rules(rules: Iterable[Rule]) -> dict[str, Rule]:
    """By kind. Raises InputError for a kind that is none or comes twice, or a limit out of its range."""
    found: dict[str, Rule] = {}
    for rule in rules:
        kind = KINDS.get(rule.kind)
        if kind is None:
            raise InputError(f"{rule.kind[:40]!r} is no kind of alert; there are: {', '.join(KINDS)}")
        if rule.kind in found:
            raise InputError(f"there are two rules for {rule.kind}; give one")
        if kind.limit is None and rule.limit is not None:
            raise InputError(f"{rule.kind} has no limit; leave it out")
        made = rule if rule.limit is not None else replace(rule, limit=kind.limit)
        if made.limit is not None and not 1 <= made.limit <= kind.most:
            raise InputError(f"the limit of {rule.kind} is 1 to {kind.most:g} {kind.unit}")
        found[rule.kind] = made
    return found


def check_mail(addresses: Iterable[str]) -> list[str]:
    """Addresses sorted and once each. Raises InputError for one that mail cannot be sent to."""
    found = sorted({one.strip() for one in addresses})
    for one in found:
        if not _ADDRESS.fullmatch(one):
            raise InputError(f"{one[:80]!r} is no mail address; write NAME@DOMAIN")
    return found


def wanted(severity: str, least: str) -> bool:
    """Whether an alert of ``severity`` is told to somebody who hears from ``least`` on."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)
