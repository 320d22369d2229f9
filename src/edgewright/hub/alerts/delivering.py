"""Delivering: what waits in the outbox, each channel in its order, several at a time, within a bounded time.

A channel that fails is left alone until its next try: what waits behind keeps its place. A message is sent at least
once: a worker that ends between sending and writing so sends it again, under the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from edgewright.core.errors import EdgewrightError
from edgewright.hub.alerts import mail, outbox, webhooks
from edgewright.hub.alerts.outbox import MAIL, Outcome
from edgewright.hub.alerts.tables import Delivery, Ruling, Webhook
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.state import State

WITHIN_S = 20.0
"""One round's deliveries end after so long; the rest waits for the next. Shorter than a lease."""
_AT_ONCE = 16

Channel = tuple[str, str]
"""Tenant, and a webhook's id or ``mail``."""


@dataclass(frozen=True)
class Waiting:
    """Messages of one channel in their order: id and body; ``to``: a webhook, or whom to write to."""

    channel: Channel
    messages: tuple[tuple[str, str], ...]
    to: webhooks.Hook | tuple[str, ...]


def deliver(state: State, tenants: Sequence[str], now: datetime) -> None:
    """Try what is due of these tenants. Raises SQLAlchemyError, StorageError."""
    with state.database.read(EVERY) as session:
        rows = outbox.due(session, tenants, now)
        waiting = [_waiting(state, session, channel, found) for channel, found in rows.items()]
    tried = _try(state, waiting, now) if waiting else {}
    with state.database.write(EVERY) as session:
        outbox.tidy(session, tenants, now)
        if tried:
            _record(session, waiting, tried, now)


def try_one(state: State, tenant: str, id_: str) -> None:
    """Try one message now, whatever waits before it."""
    now = state.clock()
    with state.database.read(tenant) as session:
        row = session.get(Delivery, (tenant, id_))
        if row is None:
            return
        waiting = [_waiting(state, session, (tenant, row.channel), [row])]
    tried = _try(state, waiting, now)
    with state.database.write(tenant) as session:
        _record(session, waiting, tried, now)


def _waiting(state: State, session: Scoped, channel: Channel, rows: Sequence[Delivery]) -> Waiting:
    tenant, name = channel
    messages = tuple((row.id, row.body) for row in rows)
    if name == MAIL:
        ruling = session.get(Ruling, tenant)
        return Waiting(channel, messages, tuple(ruling.mail) if ruling is not None else ())
    hook = session.get(Webhook, (tenant, name))
    if hook is None:
        return Waiting(channel, messages, ())
    secret = state.safe.open(hook.secret, hook.id)
    return Waiting(channel, messages, webhooks.Hook(hook.url, secret, hook.private and state.private_webhooks))


def _try(state: State, waiting: Sequence[Waiting], now: datetime) -> dict[str, Outcome]:
    """By message how it went; those whose turn did not come are not there."""
    tried: dict[str, Outcome] = {}

    async def all_() -> None:
        turns = asyncio.Semaphore(_AT_ONCE)
        async with webhooks.client() as asking:

            async def one(channel: Waiting) -> None:
                async with turns:
                    if isinstance(channel.to, webhooks.Hook):
                        for id_, body in channel.messages:
                            tried[id_] = await webhooks.post(asking, channel.to, id_, body.encode(), now)
                            if not tried[id_].delivered:
                                return
                    else:
                        outcome = await asyncio.to_thread(_mail, state, channel, now)
                        tried.update((id_, outcome) for id_, _ in channel.messages)

            try:
                async with asyncio.timeout(WITHIN_S):
                    await asyncio.gather(*(one(channel) for channel in waiting))
            except TimeoutError:
                return

    asyncio.run(all_())
    return tried


def _mail(state: State, waiting: Waiting, now: datetime) -> Outcome:
    if waiting.channel[1] != MAIL:
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
        ids = [id_ for id_, _ in channel.messages]
        tenant = channel.channel[0]
        query = select(Delivery).where(Delivery.tenant == tenant, Delivery.id.in_(ids), Delivery.state == "waiting")
        later = None
        for row in session.scalars(query.order_by(Delivery.made, Delivery.id)).all():
            if row.id in tried:
                outbox.record(row, tried[row.id], now)
                later = row.due if row.state == "waiting" else None
            elif later is not None:
                row.due = later
