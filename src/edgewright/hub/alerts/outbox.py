"""The outbox: messages written in the transaction of what they tell, and how their deliveries went."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update

from edgewright.hub.alerts.rules import wanted
from edgewright.hub.alerts.tables import Alert, Ruling
from edgewright.hub.database import Scoped
from edgewright.hub.ids import new_id
from edgewright.hub.outgoing.entering import TEST, Line, message
from edgewright.hub.outgoing.tables import Delivery, Webhook
from edgewright.hub.web.bodies import spelled

MAIL = "mail"
PATIENCE = timedelta(days=1)
"""A message that could not be delivered for so long is given up."""
KEPT = timedelta(days=7)
TEST_AGAIN = timedelta(minutes=2)
"""A test is tried at once; like all others so much later, should that have ended in the middle."""
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)
_AT_ONCE = 50  # messages of one channel that are read at a time


@dataclass(frozen=True)
class Outcome:
    """How a try went: ``told`` is a clause; ``final``: it is of no use to try again."""

    delivered: bool
    told: str
    final: bool = False


def post(session: Scoped, tenant: str, events: Iterable[tuple[str, Alert]], now: datetime) -> None:
    """Put messages of these events (``alert.raised``, ``alert.resolved``) into the outbox, for all who want them."""
    told = list(events)
    if not told:
        return
    hooks = session.execute(select(Webhook.id, Webhook.least).where(Webhook.tenant == tenant)).all()
    channels = [(hook, least) for hook, least in hooks if least is not None]
    ruling = session.get(Ruling, tenant)
    if ruling is not None and ruling.mail:
        channels.append((MAIL, ruling.least))
    line = Line.of(session, tenant)
    for event, alert in told:
        body = message(event, alert_told(alert), now)
        for channel, least in channels:
            if wanted(alert.severity, least) and alert.subject != subject_of(channel):
                session.add(line.put(channel, alert.id, event, body, now))
    session.flush()


def alert_told(alert: Alert) -> dict[str, Any]:
    """An alert as messages tell it."""
    return {
        "id": alert.id, "tenant": alert.tenant, "kind": alert.kind, "subject": alert.subject, "told": alert.told,
        "severity": alert.severity, "since": spelled(alert.since),
        "state": "open" if alert.ended is None else "resolved",
    }  # fmt: skip


def subject_of(channel: str) -> str:
    """What alerts about a channel are about."""
    return MAIL if channel == MAIL else f"webhook/{channel}"


def ready(session: Scoped, now: datetime) -> list[str]:
    """Tenants that may have something to be sent now."""
    query = select(Delivery.tenant).where(Delivery.state == "waiting", Delivery.due <= now).distinct()
    return sorted(session.scalars(query))


def due(session: Scoped, now: datetime) -> dict[str, list[Delivery]]:
    """What of the session's tenant is to be sent now, by channel, in its order: what waits behind a message whose next
    try is later waits too. A test that was just asked for is in no line."""
    place = func.row_number().over(partition_by=Delivery.channel, order_by=(Delivery.made, Delivery.id))
    lines = (
        select(Delivery.id, Delivery.channel, Delivery.due, place.label("place"))
        .where(Delivery.state == "waiting", or_(Delivery.event != TEST, Delivery.due <= now))
        .subquery()
    )
    heads = select(lines.c.channel).where(lines.c.place == 1, lines.c.due <= now)
    query = select(lines.c.id).where(lines.c.channel.in_(heads), lines.c.place <= _AT_ONCE)
    found: dict[str, list[Delivery]] = defaultdict(list)
    for row in session.scalars(select(Delivery).where(Delivery.id.in_(query)).order_by(Delivery.made, Delivery.id)):
        found[row.channel].append(row)
    return found


def rest(session: Scoped, channel: str, until: datetime) -> None:
    """What waits in a channel is tried no earlier than its first one."""
    session.execute(
        update(Delivery)
        .where(Delivery.channel == channel, Delivery.state == "waiting", Delivery.event != TEST, Delivery.due < until)
        .values(due=until)
    )


def record(row: Delivery, outcome: Outcome, now: datetime) -> None:
    """How a try of ``row`` went: done, to be tried again later and later, or given up."""
    row.tries, row.told = row.tries + 1, outcome.told[:300]
    if outcome.delivered:
        row.state, row.ended = "delivered", now
    elif outcome.final or row.event == TEST or now - row.made >= PATIENCE:
        row.state, row.ended = "given_up", now
    else:
        row.due = now + back_off(row.tries)


def back_off(tries: int) -> timedelta:
    """When to try again: a minute, then twice as long each time up to an hour, and up to a tenth more by chance."""
    wait = min(_FIRST * (1 << min(max(tries, 1) - 1, 10)), _LONGEST)
    return wait * (1 + random.random() / 10)  # noqa: S311 - no secret


def given_up(session: Scoped, tenants: Sequence[str], now: datetime) -> dict[str, dict[str, str]]:
    """By tenant what gave up messages within a day and delivered none since: by subject what is told of it."""
    query = (
        select(Delivery.tenant, Delivery.channel, Delivery.state, func.max(Delivery.ended))
        .where(
            Delivery.tenant.in_(tenants),
            Delivery.state.in_(("given_up", "delivered")),
            Delivery.ended > now - PATIENCE,
            ~and_(Delivery.state == "given_up", Delivery.event == TEST),
        )
        .group_by(Delivery.tenant, Delivery.channel, Delivery.state)
    )
    seen: dict[tuple[str, str], dict[str, datetime]] = defaultdict(dict)
    for tenant, channel, state, at in session.execute(query):
        if at is not None:
            seen[tenant, channel][state] = at
    there = {MAIL, *session.scalars(select(Webhook.id).where(Webhook.tenant.in_(tenants)))}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for (tenant, channel), by_state in seen.items():
        if channel not in there:  # it was removed while a message for it was made
            continue
        lost, good = by_state.get("given_up"), by_state.get("delivered")
        if lost is not None and (good is None or good < lost):
            where = "mail" if channel == MAIL else f"webhook {channel}"
            found[tenant][subject_of(channel)] = f"messages by {where} were given up; see its deliveries"
    return found


def tidy(session: Scoped, tenants: Sequence[str], now: datetime) -> None:
    """Remove messages that ended long ago."""
    old = now - KEPT
    first = new_id("dlv", int(old.timestamp() * 1000))  # ids sort by time
    session.execute(
        delete(Delivery).where(Delivery.tenant.in_(tenants), Delivery.id < first, Delivery.state != "waiting")
    )


def read_body(body: str) -> dict[str, Any]:
    """What ``message`` wrote."""
    made: dict[str, Any] = json.loads(body)
    return made
