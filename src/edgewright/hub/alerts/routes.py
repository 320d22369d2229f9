"""Routes of alerts and their rules."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Response
from sqlalchemy import select

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.alerts import mail, outbox, testing
from edgewright.hub.alerts.rules import check_mail, check_rules, read_rules
from edgewright.hub.alerts.tables import Alert, Ruling
from edgewright.hub.alerts.told import AlertTold, DeliveryTold, RulesTold, RulesWanted, RuleTold
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.outgoing.entering import TEST, message, waiting
from edgewright.hub.outgoing.tables import Delivery
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge/alerts", tags=["alerts"])
Reads = Annotated[Caller, may("alerts.read")]
Writes = Annotated[Caller, may("alerts.write")]


@router.get("", response_model=Page[AlertTold])
@brief
def alerts(
    caller: Reads,
    page: PageQuery,
    state: Annotated[Literal["open", "resolved", "all"], Query(description="which of them")] = "all",
) -> Response:
    """Alerts, newest first."""
    where = {"open": [Alert.ended.is_(None)], "resolved": [Alert.ended.is_not(None)]}.get(state, [])
    return paged(caller.look, AlertTold, Alert.id, page, *where, newest_first=True)


@router.get("/rules")
def rules(caller: Reads) -> RulesTold:
    """The tenant's rules as they hold."""
    with caller.read() as session:
        return _rules(caller, session)


@router.put("/rules")
def change_rules(body: RulesWanted, caller: Writes) -> RulesTold:
    """Change the rules. Kinds that are not named have their usual ones again."""
    wanted = check_rules(one.rule() for one in body.rules)
    addresses = check_mail(body.mail)
    with caller.write() as session:
        row = session.get(Ruling, caller.tenant) or Ruling()
        row.rules = {kind: rule.to_json() for kind, rule in wanted.items()}
        row.mail, row.least, row.changed = addresses, body.least, caller.now
        session.add(row)
        session.flush()
        told = _rules(caller, session)
        caller.tell(session, "alerts.rules-changed", caller.tenant, {"rules": row.rules, "mail": addresses})
        return caller.reply(session, told)


def _rules(caller: Caller, session: Scoped) -> RulesTold:
    row = session.get(Ruling, caller.tenant)
    found = read_rules({} if row is None else row.rules)
    ready = mail.has_account(caller.state)
    return RulesTold(
        rules=[RuleTold.of(rule) for rule in found.values()], mail=[] if row is None else row.mail,
        least="warning" if row is None else row.least, mail_ready=ready,
    )  # fmt: skip


@router.post("/mail/test", status_code=202)
def test_mail(caller: Writes) -> DeliveryTold:
    """Write a test message to the addresses in the rules, soon; its delivery tells how that goes. One at a time."""
    with caller.write() as session:
        row = session.get(Ruling, caller.tenant, with_for_update=True)
        if row is None or not row.mail:
            raise Conflict("there is nobody to write to; name addresses in the rules: PUT /api/edge/alerts/rules")
        made = test_message(caller, session, outbox.MAIL)
        caller.tell(session, "alerts.mail-tested", made.id)
        told = caller.reply(session, DeliveryTold.of(made), 202)
    testing.soon(caller.state, caller.tenant, told.id)
    return told


@router.get("/deliveries", response_model=Page[DeliveryTold])
@brief
def deliveries(caller: Reads, page: PageQuery) -> Response:
    """Messages of the last week, by webhooks and mail, newest first."""
    return paged(caller.look, DeliveryTold, Delivery.id, page, newest_first=True)


@router.post("/{alert}/acknowledge")
def acknowledge(alert: Id, caller: Writes) -> AlertTold:
    """Say that one has seen to it. It stays open as long as its cause lasts."""
    with caller.write() as session:
        row = session.lock(Alert, alert)
        if row.acknowledged is None:
            row.acknowledged, row.acknowledged_by = caller.now, caller.actor.name
            caller.tell(session, "alert.acknowledged", row.id, {"kind": row.kind, "subject": row.subject})
        return caller.reply(session, AlertTold.of(row))


def test_message(caller: Caller, session: Scoped, channel: str) -> Delivery:
    """A message that tells nothing but that messages come; the sender leaves it alone while it is tried at once.
    Raises Conflict while the one before is on its way; whoever calls holds what the channel belongs to."""
    before = select(Delivery.id).where(Delivery.channel == channel, Delivery.event == TEST, Delivery.state == "waiting")
    if (id_ := session.scalar(before.limit(1))) is not None:
        raise Conflict(f"a test is on its way: delivery {id_}; wait until it has ended")
    data = {"told": "this is a test", "tenant": caller.tenant, "severity": "info"}
    body = message(TEST, data, caller.now)
    made = waiting(caller.tenant, channel, "", TEST, body, caller.now)
    made.due = caller.now + outbox.TEST_AGAIN
    session.add(made)
    session.flush()
    return made
