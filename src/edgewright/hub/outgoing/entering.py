"""Entering messages into the outbox, in the transaction of what they tell: both are kept, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self, get_args

from sqlalchemy import func, select

from edgewright.core.digests import canonical_json
from edgewright.hub.database import Scoped
from edgewright.hub.ids import new_id
from edgewright.hub.outgoing.tables import Delivery, Webhook
from edgewright.hub.web.bodies import spelled

Kind = Literal["job.state", "model.state", "rollout.state", "benchmark.state"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Events that a webhook may want: something is in another state. Progress, many times a second, is watched live."""
TEST = "test"
_NEXT = timedelta(milliseconds=1)


def message(event: str, data: Mapping[str, Any], now: datetime) -> str:
    """The body (Standard Webhooks, "Payload structure"): type, timestamp, data."""
    return canonical_json({"type": event, "timestamp": spelled(now), "data": dict(data)}).decode()


def enter(session: Scoped, kind: str, of: str, number: int, data: Mapping[str, Any], now: datetime) -> None:
    """Enter an event of the session's tenant for every webhook that wants its kind."""
    if kind not in KINDS:
        return
    tenant = session.tenant
    found = session.execute(select(Webhook.id, Webhook.events).where(Webhook.tenant == tenant))
    hooks = [hook for hook, kinds in found if kind in kinds]
    if not hooks:
        return
    line = Line.of(session, tenant)
    body = message(kind, {**data, "tenant": tenant, "of": of, "number": number}, now)
    for hook in sorted(hooks):
        session.add(line.put(hook, "", kind, body, now))


@dataclass
class Line:
    """By channel of a tenant the last message that waits: when it was made, and when it is tried again. What is new
    comes behind it, whatever the clock says of the machine that tells it."""

    tenant: str
    last: dict[str, tuple[datetime, datetime]]

    @classmethod
    def of(cls, session: Scoped, tenant: str) -> Self:
        """As it is."""
        query = (
            select(Delivery.channel, func.max(Delivery.made), func.max(Delivery.due))
            .where(Delivery.tenant == tenant, Delivery.state == "waiting", Delivery.event != TEST)
            .group_by(Delivery.channel)
        )
        return cls(tenant, {channel: (made, due) for channel, made, due in session.execute(query)})

    def put(self, channel: str, alert: str, event: str, body: str, now: datetime) -> Delivery:
        """A new message at the end of its channel's line."""
        made = due = now
        if before := self.last.get(channel):
            made, due = max(made, before[0] + _NEXT), max(due, before[1])
        self.last[channel] = made, due
        row = waiting(self.tenant, channel, alert, event, body, made)
        row.due = due
        return row


def waiting(tenant: str, channel: str, alert: str, event: str, body: str, now: datetime) -> Delivery:
    """A new message."""
    return Delivery(
        tenant=tenant, id=new_id("dlv", int(now.timestamp() * 1000)), channel=channel, alert=alert, event=event,
        body=body, state="waiting", tries=0, made=now, due=now, told="",
    )  # fmt: skip
