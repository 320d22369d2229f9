"""Delivering: what waits in a tenant's outbox, each channel in its order, several at a time, within a bounded time.

Of all workers one at a time has a tenant's turn. A channel that fails is left alone until its next try: what waits
behind keeps its place. A message is sent at least once: a worker that ends between sending and writing so has it sent
again, under the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from edgewright.core.errors import EdgewrightError
from edgewright.hub.alerts import mail, outbox, webhooks
from edgewright.hub.alerts.outbox import MAIL, Outcome
from edgewright.hub.alerts.tables import Ruling
from edgewright.hub.database import Scoped
from edgewright.hub.ids import new_id
from edgewright.hub.outgoing.tables import Delivery, Sending, Webhook
from edgewright.hub.state import State

BEGIN_S = 10.0
"""No try begins after so long: the rest waits for the next call. With the longest try far shorter than the lease."""
LEASE = timedelta(seconds=60)
_AT_ONCE = 16


@dataclass(frozen=True)
class Waiting:
    """Messages of one channel (a webhook's id, or ``mail``) in their order: id and body; ``to``: a webhook, or whom to
    write to."""

    channel: str
    messages: tuple[tuple[str, str], ...]
    to: webhooks.Hook | tuple[str, ...]


def deliver(state: State, tenant: str) -> None:
    """Try what is due of this tenant, unless somebody else is at it. Raises SQLAlchemyError, StorageError."""
    now, holder = state.clock(), new_id("wrk")
    with state.database.read(tenant) as session:
        if not outbox.due(session, now):
            return
    with state.database.write(tenant) as session:
        if not _take(session, holder, now):
            return
        rows = outbox.due(session, now)
        waiting = [_waiting(state, session, channel, found) for channel, found in rows.items()]
    tried = _try(state, waiting, now) if waiting else {}
    with state.database.write(tenant) as session:
        _record(session, waiting, tried, now)
        turn = session.get(Sending, (tenant,), with_for_update=True)
        if turn is not None and turn.holder == holder:
            turn.until = now


def _take(session: Scoped, holder: str, now: datetime) -> bool:
    """Take the tenant's turn, for as long as one call may last; False when somebody else has it."""
    turn = session.get(Sending, (session.tenant,), with_for_update=True)
    if turn is None:
        try:
            with session.begin_nested():
                session.add(Sending(holder=holder, until=now + LEASE))
        except IntegrityError:  # somebody else was first
            return False
        return True
    if turn.until > now:
        return False
    turn.holder, turn.until = holder, now + LEASE
    return True


def try_one(state: State, tenant: str, id_: str) -> None:
    """Try one message now, whatever waits before it."""
    now = state.clock()
    with state.database.read(tenant) as session:
        row = session.get(Delivery, (tenant, id_))
        if row is None:
            return
        waiting = [_waiting(state, session, row.channel, [row])]
    tried = _try(state, waiting, now)
    with state.database.write(tenant) as session:
        _record(session, waiting, tried, now)


def _waiting(state: State, session: Scoped, channel: str, rows: Sequence[Delivery]) -> Waiting:
    messages = tuple((row.id, row.body) for row in rows)
    if channel == MAIL:
        ruling = session.get(Ruling, (session.tenant,))
        return Waiting(channel, messages, tuple(ruling.mail) if ruling is not None else ())
    hook = session.get(Webhook, (session.tenant, channel))
    if hook is None:
        return Waiting(channel, messages, ())
    secret = state.safe.open(hook.secret, hook.id)
    return Waiting(channel, messages, webhooks.Hook(hook.url, secret, hook.private and state.private_webhooks))


def _try(state: State, waiting: Sequence[Waiting], now: datetime) -> dict[str, Outcome]:
    """By message how it went; those whose turn did not come are not there."""
    tried: dict[str, Outcome] = {}

    async def all_() -> None:
        turns, clock = asyncio.Semaphore(_AT_ONCE), asyncio.get_running_loop().time
        until = clock() + BEGIN_S
        async with webhooks.client() as asking:

            async def one(channel: Waiting) -> None:
                async with turns:
                    if isinstance(channel.to, webhooks.Hook):
                        for id_, body in channel.messages:
                            if clock() > until:
                                return
                            tried[id_] = await webhooks.post(asking, channel.to, id_, body.encode(), now)
                            if not tried[id_].delivered:
                                return
                    elif clock() <= until:
                        outcome = await asyncio.to_thread(_mail, state, channel, now)
                        tried.update((id_, outcome) for id_, _ in channel.messages)

            await asyncio.gather(*(one(channel) for channel in waiting))

    asyncio.run(all_())
    return tried


def _mail(state: State, waiting: Waiting, now: datetime) -> Outcome:
    if waiting.channel != MAIL:
        return Outcome(False, "the webhook was removed", final=True)
    try:
        account = mail.account_of(state)
    except EdgewrightError as error:
        return Outcome(False, str(error))
    if account is None:
        return Outcome(False, "the hub has no mail account; its operator sets one: edgewright hub --mail")
    if not waiting.to or isinstance(waiting.to, webhooks.Hook):
        return Outcome(False, "there is nobody to write to; name addresses in the rules", final=True)
    messages = [(id_, outbox.read_body(body)) for id_, body in waiting.messages]
    return mail.send(account, mail.letter(account, waiting.to, messages, now))


def _record(session: Scoped, waiting: Sequence[Waiting], tried: dict[str, Outcome], now: datetime) -> None:
    """Write down how tries went; what waits behind one that failed waits as long."""
    for channel in waiting:
        ids = [id_ for id_, _ in channel.messages if id_ in tried]
        query = select(Delivery).where(Delivery.id.in_(ids), Delivery.state == "waiting")
        for row in session.scalars(query.order_by(Delivery.made, Delivery.id)).all():
            outbox.record(row, tried[row.id], now)
            if row.state == "waiting":
                session.flush()
                outbox.rest(session, channel.channel, row.due)
