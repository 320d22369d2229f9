"""Routes of webhooks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from fastapi import Response
from sqlalchemy import delete, func, select

from edgewright.core.errors import InputError
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.accounts.rules import PERMISSIONS
from edgewright.hub.alerts import testing, webhooks
from edgewright.hub.alerts.routes import test_message
from edgewright.hub.alerts.rules import SEVERITIES
from edgewright.hub.alerts.told import DeliveryTold, NewWebhook, WebhookChange, WebhookMade, WebhookTold
from edgewright.hub.errors import Conflict, Forbidden
from edgewright.hub.events.telling import permission
from edgewright.hub.ids import new_id
from edgewright.hub.outgoing import KINDS
from edgewright.hub.outgoing.tables import Delivery, Webhook
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge/webhooks", tags=["webhooks"])
Reads = Annotated[Caller, may("alerts.read")]
Writes = Annotated[Caller, may("alerts.write")]
_MOST = 20
_OWNERS = "tenant.write"


@router.get("", response_model=Page[WebhookTold])
@brief
def hooks(caller: Reads, page: PageQuery) -> Response:
    """The tenant's webhooks."""
    return paged(caller.look, WebhookTold, Webhook.id, page, given=("alerts.write" in caller.may,))


@router.post("", status_code=201)
def make(body: NewWebhook, caller: Writes) -> WebhookMade:
    """Make a webhook. The secret that its messages are signed with is told here and never again."""
    if body.private and _OWNERS not in caller.may:
        raise Forbidden(f"a private address is for who may {PERMISSIONS[_OWNERS]}: that takes {_OWNERS}")
    if body.private and not caller.state.private_webhooks:
        raise Forbidden(
            "private addresses are those of whoever runs the hub, who may allow them: edgewright hub --private-webhooks"
        )
    _check_wishes(caller, body.least, body.events)
    url, secret, id_ = webhooks.check_url(body.url, body.private), webhooks.new_secret(), new_id("whk")
    sealed = caller.state.safe.seal(secret, id_)
    with caller.write() as session:
        if (session.scalar(select(func.count()).select_from(Webhook)) or 0) >= _MOST:
            raise Conflict(f"there are {_MOST} webhooks; remove one first")
        row = Webhook(
            id=id_, url=url, secret=sealed, least=body.least, private=body.private, made=caller.now,
            events=sorted(set(body.events)),
        )  # fmt: skip
        session.add(row)
        session.flush()
        told = WebhookMade(secret=secret, **WebhookTold.of(row).model_dump())
        detail = {"url": url, "least": row.least, "events": row.events, "private": row.private}
        caller.tell(session, "webhook.made", id_, detail)
        return caller.reply(session, told, 201)


@router.patch("/{webhook}")
def change(webhook: Id, body: WebhookChange, caller: Writes) -> WebhookTold:
    """Change what a webhook is told. Messages that wait for it are still sent."""
    with caller.write() as session:
        row = session.lock(Webhook, webhook)
        least = body.least if "least" in body.model_fields_set else row.least
        events = sorted(set(row.events if body.events is None else body.events))
        _check_wishes(caller, least, events, row.events)
        row.least, row.events = least, events
        session.flush()
        caller.tell(session, "webhook.changed", row.id, {"least": least, "events": events})
        return caller.reply(session, WebhookTold.of(row))


@router.delete("/{webhook}", status_code=204)
def remove(webhook: Id, caller: Writes) -> None:
    """Remove a webhook, and what waits for it."""
    with caller.write() as session:
        row = session.lock(Webhook, webhook)
        session.execute(delete(Delivery).where(Delivery.channel == row.id))
        session.delete(row)
        session.flush()
        caller.tell(session, "webhook.removed", webhook, {"url": row.url})


@router.post("/{webhook}/test", status_code=202)
def test(webhook: Id, caller: Writes) -> DeliveryTold:
    """Post a test message soon, once; the delivery tells how that goes. One at a time."""
    with caller.write() as session:
        row = session.lock(Webhook, webhook)
        made = test_message(caller, session, row.id)
        caller.tell(session, "webhook.tested", row.id)
        told = caller.reply(session, DeliveryTold.of(made), 202)
    testing.soon(caller.state, caller.tenant, told.id)
    return told


@router.get("/{webhook}/deliveries", response_model=Page[DeliveryTold])
def deliveries(webhook: Id, caller: Reads, page: PageQuery) -> Response:
    """A webhook's messages of the last week, newest first."""
    with caller.read() as session:
        row = session.find(Webhook, webhook)
        return paged(session, DeliveryTold, Delivery.id, page, Delivery.channel == row.id, newest_first=True)


def _check_wishes(caller: Caller, least: str | None, events: Collection[str], before: Collection[str] = ()) -> None:
    """Raises InputError where it would be told nothing, Forbidden for events that the caller may not see."""
    if least is None and not events:
        raise InputError(
            f"it would be told nothing; give a severity that alerts are told from (least: {', '.join(SEVERITIES)}), or "
            f"events: {', '.join(KINDS)}"
        )
    for kind in sorted(set(events).difference(before)):
        if (needed := permission(kind)) not in caller.may:
            raise Forbidden(f"{kind} is for who may {PERMISSIONS[needed]}: that takes {needed}")
