"""What the alerts' routes take and tell."""

from __future__ import annotations

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from edgewright.hub.alerts.health import Health, Level
from edgewright.hub.alerts.rules import KINDS, MOST_MAIL, MOST_MUTED, Rule, Severity
from edgewright.hub.outgoing import KINDS as WANTED
from edgewright.hub.outgoing import Kind
from edgewright.hub.web.bodies import Answer, Body, Moment, Told, Words

_WHEN = "2026-11-21T09:30:00.000Z"
Group = Annotated[Words, Field(max_length=64)]
Address = Annotated[Words, Field(max_length=320)]
Events = Annotated[list[Kind], Field(max_length=len(WANTED))]


class AlertTold(Told):
    """An alert. ``subject``: device/NAME, group/NAME, fleet, rollout/ID, updates/ROLE, webhook/ID, mail or hub;
    ``state``: open or resolved; ``returns``: how often its cause came back."""

    id: str
    kind: str
    subject: str
    severity: str
    told: str
    since: Moment
    state: str
    acknowledged_by: str
    acknowledged: Moment | None
    resolved: Moment | None
    returns: int

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "alr_01jd7x3w9q4e5r6t7y8a9b0c1d", "kind": "device.silent", "subject": "device/pump-1",
                    "severity": "warning", "since": _WHEN, "state": "open", "acknowledged_by": "", "acknowledged": None,
                    "told": "device pump-1 is silent: it asked last at 2026-11-21 09:14 UTC", "resolved": None,
                    "returns": 0,
                }
            ]
        }
    )  # fmt: skip

    also = ("ended",)

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """It is open until its end."""
        return {**row, "state": "open" if row["ended"] is None else "resolved", "resolved": row["ended"]}


class RuleTold(Answer):
    """A rule as it holds. ``about``: what the kind means; ``unit`` of its limit, "" where it has none."""

    kind: str
    about: str
    on: bool
    severity: str
    limit: float | None
    unit: str
    muted: list[str]

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """As it is told."""
        kind, muted = KINDS[rule.kind], sorted(rule.muted)
        return cls(
            kind=rule.kind, about=kind.told, on=rule.on, severity=rule.severity, limit=rule.limit, unit=kind.unit,
            muted=muted,
        )  # fmt: skip


class RulesTold(Answer):
    """All rules of the tenant; who is written to (``mail``), from ``least`` severity on. ``mail_ready``: the hub has a
    mail account."""

    rules: list[RuleTold]
    mail: list[str]
    least: str
    mail_ready: bool


class RuleWanted(Body):
    """A rule for one kind of alerts; what is left out is as usual. ``muted``: groups that are passed over."""

    kind: Annotated[Words, Field(max_length=40)]
    on: bool = True
    severity: Severity | None = None
    limit: Annotated[float | None, Field(ge=1, le=43200, strict=False, allow_inf_nan=False)] = None
    muted: Annotated[list[Group], Field(max_length=MOST_MUTED, default_factory=list)]

    def rule(self) -> Rule:
        """As the rules have it."""
        usual = KINDS[self.kind].severity if self.kind in KINDS else "warning"
        return Rule(self.kind, self.severity or usual, self.on, self.limit, frozenset(self.muted))


class RulesWanted(Body):
    """All that a tenant wants otherwise than usual: kinds that are not named have their usual rules."""

    rules: Annotated[list[RuleWanted], Field(max_length=len(KINDS), default_factory=list)]
    mail: Annotated[list[Address], Field(max_length=MOST_MAIL, default_factory=list)]
    least: Severity = "warning"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rules": [
                        {"kind": "device.silent", "limit": 30, "muted": ["lab"]},
                        {"kind": "device.reports_lost", "on": False},
                    ],
                    "mail": ["oncall@example.com"], "least": "critical",
                }
            ]
        }
    )  # fmt: skip


class WebhookTold(Told):
    """A webhook, without its secret. ``url``: with many services whoever knows it all may post there, so those who may
    not change webhooks are told its host alone."""

    id: str
    url: str
    least: str | None
    events: list[str]
    private: bool
    made: Moment

    @classmethod
    def adapt(cls, row: dict[str, Any], whole: bool = True) -> dict[str, Any]:
        """``whole``: the one who asks may change it."""
        if not whole:
            parts = urlsplit(row["url"])
            row["url"] = f"{parts.scheme}://{parts.netloc}/…"
        return row


class WebhookMade(WebhookTold):
    """A webhook with the secret its messages are signed with, which is shown once. Any library of Standard Webhooks
    verifies them."""

    secret: str


class NewWebhook(Body):
    """Where alerts from ``least`` severity on (null: none) are posted, and ``events`` of these kinds. ``private``: the
    address may lie in a private network, which an owner of the tenant may allow."""

    url: Annotated[Words, Field(min_length=8, max_length=500)]
    least: Severity | None = "warning"
    events: Annotated[Events, Field(default_factory=list)]
    private: bool = False

    model_config = ConfigDict(
        json_schema_extra={"examples": [
            {"url": "https://hooks.example.com/edgewright", "least": "warning", "events": ["job.state"]}
        ]}
    )  # fmt: skip


class WebhookChange(Body):
    """What is to be changed; what is left out stays. ``least``: null for no alerts."""

    least: Severity | None = None
    events: Events | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"least": None, "events": ["job.state", "model.state"]}]})


class DeliveryTold(Told):
    """A message: ``channel`` is a webhook's id or ``mail``; ``event`` alert.raised, alert.resolved, test or the kind of
    an event; ``alert``: which one, "" where it is about none; ``state`` waiting, delivered or given_up; ``told``: how
    the last of its tries went; ``due``: when the next one is."""

    id: str
    channel: str
    alert: str
    event: str
    state: str
    tries: int
    made: Moment
    due: Moment | None
    ended: Moment | None
    told: str

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """It is due as long as it waits."""
        return {**row, "due": row["due"] if row["state"] == "waiting" else None}


class ComponentTold(Answer):
    """A part of a device's health."""

    name: str
    level: Level
    told: str


class HealthTold(Answer):
    """A device's health: the worst of its components."""

    level: Level
    components: list[ComponentTold]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "level": "warn",
                    "components": [
                        {"name": "connection", "level": "ok", "told": "it asked 12 seconds ago"},
                        {"name": "clock", "level": "warn", "told": "it is 7 minutes behind"},
                    ],
                }
            ]
        }
    )

    @classmethod
    def of(cls, found: Health) -> Self:
        """As it is told."""
        parts = [ComponentTold(name=c.name, level=c.level, told=c.told) for c in found.components]
        return cls(level=found.level, components=parts)


class Counts(Answer):
    """How many devices are at each level."""

    ok: int = 0
    warn: int = 0
    bad: int = 0


class GroupHealth(Counts):
    """Those of one group; "" is that of devices without one."""

    group: str


class FleetHealth(Counts):
    """All devices that are not revoked, by level and group. ``by``: how many are warn or bad for each component."""

    groups: list[GroupHealth]
    by: dict[str, Counts]
