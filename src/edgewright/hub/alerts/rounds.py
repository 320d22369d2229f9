"""Rounds: every minute, over all tenants: look, judge, store what changed with what is to be told of it.

Each tenant has a lease, so that of several workers one makes its rounds; another one takes them over when it is gone.
Looking takes no lock. What was found is stored in one transaction, if the lease still holds then.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import InstrumentedAttribute

from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.alerts import look, outbox
from edgewright.hub.alerts.around import beside
from edgewright.hub.alerts.causes import Around, find
from edgewright.hub.alerts.course import AGAIN, Now, Step, steps
from edgewright.hub.alerts.rules import Rules, read_rules, usual_rules
from edgewright.hub.alerts.tables import Alert, Clone, Loss, Ruling, Served, Turn
from edgewright.hub.database import EVERY, Base, Scoped
from edgewright.hub.events import emit
from edgewright.hub.ids import new_id
from edgewright.hub.state import State

LEASE = timedelta(seconds=150)
GAP = timedelta(minutes=5)
"""After so long without rounds, silence is counted from anew: nobody was there to hear."""


@dataclass(frozen=True)
class Turns:
    """Tenants whose rounds are ours: since when they were made without a gap."""

    holder: str
    since: Mapping[str, datetime]

    @property
    def tenants(self) -> list[str]:
        """Their ids."""
        return sorted(self.since)


def rounds(state: State, now: datetime) -> None:
    """One round; what it has to tell waits to be delivered then. Raises SQLAlchemyError, StorageError."""
    turns = take_turns(state, now)
    if turns.tenants:
        watch(state, turns, now, free_share(state))
        with state.database.write(EVERY) as session:
            outbox.tidy(session, turns.tenants, now)


def free_share(state: State) -> float:
    """The free share of the disk that the hub's folder lies on, 0 to 1."""
    usage = shutil.disk_usage(state.folder)
    return usage.free / usage.total


def take_turns(state: State, now: datetime) -> Turns:
    """Take or renew the lease of every tenant that nobody else holds."""
    holder = state.part("alerts.holder", lambda: new_id("wrk"))
    since: dict[str, datetime] = {}
    with state.database.write(EVERY) as session:
        known = {row.tenant: row for row in session.scalars(select(Turn).order_by(Turn.tenant).with_for_update())}
        for tenant in session.scalars(select(Tenant.id)):
            row = known.get(tenant)
            if row is None:
                row = Turn(tenant=tenant, holder="", until=now - GAP - LEASE, since=now, read=0)
                session.add(row)
            if row.holder != holder and row.until > now:
                continue
            if now - (row.until - LEASE) > GAP:
                row.since = now
            row.holder, row.until = holder, now + LEASE
            since[tenant] = row.since
    return Turns(holder, since)


def watch(state: State, turns: Turns, now: datetime, free: float = 1.0) -> None:
    """Look at these tenants, judge, and store what changed. ``free``: share of the hub's disk."""
    tenants = turns.tenants
    with state.database.read(EVERY) as session:
        hours = look.judge_hours(session, tenants, now)
        losses = look.count_losses(session, tenants, now)
        clones, heads = look.read_audit(session, tenants)
    if hours or losses or clones:
        with state.database.write(EVERY) as session:
            if held := _held(session, turns, now):
                for kind, rows in ((Served, hours), (Loss, losses), (Clone, clones)):
                    _put(session, kind, [row for row in rows if row["tenant"] in held])
    found = _found(state, turns, now, free)
    if not any(found.values()) and not any(heads.values()):
        return
    told = dict[str, list[tuple[str, Alert]]]()
    with state.database.write(EVERY) as session:
        for tenant, row in _held(session, turns, now).items():
            row.read = heads.get(tenant, row.read)
            told[tenant] = _apply(session, tenant, found[tenant], now)
    for tenant, news in told.items():
        if news:
            with state.database.write(tenant) as session:
                for event, alert in news:
                    emit(session, event, alert.id, {"severity": alert.severity, "told": alert.told}, now)


def _held(session: Scoped, turns: Turns, now: datetime) -> dict[str, Turn]:
    """The tenants that are still ours, held until the transaction ends."""
    query = select(Turn).where(Turn.tenant.in_(turns.tenants), Turn.holder == turns.holder, Turn.until > now)
    return {row.tenant: row for row in session.scalars(query.order_by(Turn.tenant).with_for_update())}


def _found(state: State, turns: Turns, now: datetime, free: float) -> dict[str, list[Step]]:
    """By tenant what is to be done."""
    tenants = turns.tenants
    with state.database.read(EVERY) as session:
        rules = rules_of(session, tenants)
        known = look.devices(session, tenants, turns.since, now)
        cloned, other = look.cloned(session, tenants, now), beside(session, tenants, now)
        given_up = outbox.given_up(session, tenants, now)
        alerts = _alerts(session, tenants, now)
    made = {}
    for tenant in tenants:
        around = Around(
            other.rollouts[tenant], other.drifts[tenant], other.expires[tenant], cloned[tenant], given_up[tenant], free
        )
        open_ = {key for key, alert in alerts[tenant].items() if alert.ended is None}
        found = find(known[tenant], around, rules.get(tenant, usual_rules()), now, open_)
        made[tenant] = list(steps(alerts[tenant], found, now))
    return made


def rules_of(session: Scoped, tenants: Sequence[str]) -> dict[str, Rules]:
    """By tenant its rules, where it has its own."""
    return {
        row.tenant: read_rules(row.rules) for row in session.scalars(select(Ruling).where(Ruling.tenant.in_(tenants)))
    }


def _alerts(session: Scoped, tenants: Sequence[str], now: datetime) -> dict[str, dict[str, Now]]:
    """By tenant and key what is open, or was over lately; of several the newest."""
    query = select(
        Alert.tenant, Alert.kind, Alert.subject, Alert.id, Alert.severity, Alert.told, Alert.quiet, Alert.returns,
        Alert.ended,
    ).where(Alert.tenant.in_(tenants), or_(Alert.ended.is_(None), Alert.ended > now - AGAIN))  # fmt: skip
    found: dict[str, dict[str, Now]] = defaultdict(dict)
    for row in session.execute(query.order_by(Alert.since, Alert.id)):
        now_ = Now(row.id, row.severity, row.told, row.quiet, row.returns, row.ended)
        found[row.tenant][f"{row.kind} {row.subject}"] = now_
    return found


def _put(session: Scoped, kind: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        session.merge(kind(**row))
    session.flush()


def _apply(session: Scoped, tenant: str, todo: Sequence[Step], now: datetime) -> list[tuple[str, Alert]]:
    """Carry out steps, and put messages of what people should hear, which is returned, into the outbox."""
    if not todo:
        return []
    ids = [step.alert for step in todo if step.alert]
    rows: dict[str, Alert] = {}
    column: InstrumentedAttribute[str] = Alert.id
    for start in range(0, len(ids), 500):
        query = select(Alert).where(Alert.tenant == tenant, column.in_(ids[start : start + 500]))
        rows |= {row.id: row for row in session.scalars(query)}
    told: list[tuple[str, Alert]] = []
    for step in todo:
        row = rows.get(step.alert) if step.alert else _raised(session, tenant, step, now)
        if row is not None and (event := _step(row, step, now)):
            told.append((event, row))
    session.flush()
    outbox.post(session, tenant, told, now)
    return told


def _raised(session: Scoped, tenant: str, step: Step, now: datetime) -> Alert | None:
    if step.cause is None:
        return None
    row = Alert(
        tenant=tenant, id=new_id("alr", int(now.timestamp() * 1000)), kind=step.cause.kind, subject=step.cause.subject,
        since=now, returns=0, acknowledged_by="",
    )  # fmt: skip
    session.add(row)
    return row


def _step(row: Alert, step: Step, now: datetime) -> str:
    """Change a row; the event that people hear of, if there is one."""
    if step.cause is not None:
        row.severity, row.told, row.open = step.cause.severity, step.cause.told, step.cause.key
    if step.verb == "raise":
        return "alert.raised"
    if step.verb == "quiet":
        row.quiet = now
    elif step.verb == "back":
        row.quiet, row.returns = None, row.returns + 1
    elif step.verb == "again":
        row.quiet, row.ended, row.returns = None, None, row.returns + 1
        row.acknowledged, row.acknowledged_by = None, ""
        return "alert.raised"
    elif step.verb == "end":
        row.open, row.ended = None, now
        return "alert.resolved"
    return ""
