"""Looking: what is known of devices, in few statements for all tenants together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, cast, or_, select

from edgewright.core.messages import Observation
from edgewright.hub.accounts.tables import Entry, Head
from edgewright.hub.alerts.causes import RECENT
from edgewright.hub.alerts.health import LEVELS, Known, Level
from edgewright.hub.alerts.serving import Hour, Usual, judge, usual_of
from edgewright.hub.alerts.tables import Clone, Loss, Served, Turn
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.packing import unpack_rollup
from edgewright.hub.fleet.tables import Certificate, Device, Ledger, Period
from edgewright.monitoring.rollup import HOUR_S

_SETTLED_S = 900  # so long after an hour's end most of its reports are in
_AT_ONCE = 500  # hours that are judged in one round: the others' turn comes in the next
_USUAL_S = 2 * 86400
CLONE_LASTS = timedelta(days=7)


def devices(
    session: Scoped, tenants: Sequence[str], heard_since: Mapping[str, datetime], now: datetime, only: str = ""
) -> dict[str, list[Known]]:
    """By tenant the devices that are not revoked; ``only`` one of them."""
    serving = _serving(session, tenants)
    lost = {
        (tenant, device): n for tenant, device, n in session.execute(
            select(Loss.tenant, Loss.device, Loss.recent).where(Loss.tenant.in_(tenants), Loss.at > now - RECENT)
        )
    }  # fmt: skip
    storage_bytes = cast(
        Device.facts["storage_bytes"].as_string(), BigInteger
    )  # all its facts would take as long again
    query = (
        select(
            Device.tenant, Device.name, Device.group, Device.made, Device.seen, Device.changed, Device.offset_s,
            Device.status, storage_bytes, Certificate.made, Certificate.until,
        )
        .outerjoin(Certificate, and_(Certificate.tenant == Device.tenant, Certificate.serial == Device.serial))
        .where(Device.tenant.in_(tenants), Device.revoked.is_(None))
    )  # fmt: skip
    found: dict[str, list[Known]] = defaultdict(list)
    for row in session.execute(query.where(Device.name == only) if only else query):
        tenant, name, group, made, seen, changed, offset, status, storage, begins, until = row
        found[tenant].append(
            Known(
                name, group, made, seen, changed, offset, status, storage or 0,
                None if until is None else (begins, until), serving.get((tenant, name)), lost.get((tenant, name), 0),
                heard_since.get(tenant),
            )
        )  # fmt: skip
    return found


def _serving(session: Scoped, tenants: Sequence[str]) -> dict[tuple[str, str], tuple[Level, str]]:
    query = select(Served.tenant, Served.device, Served.level, Served.told).where(
        Served.tenant.in_(tenants), Served.level.in_(LEVELS[1:])
    )
    found: dict[tuple[str, str], tuple[Level, str]] = {}
    for tenant, device, word, told in session.execute(query):
        level: Level = "bad" if word == "bad" else "warn"
        known = found.get((tenant, device))
        if known is None or LEVELS.index(level) > LEVELS.index(known[0]):
            found[tenant, device] = level, told
    return found


def cloned(session: Scoped, tenants: Sequence[str], now: datetime) -> dict[str, dict[str, str]]:
    """By tenant the devices of which a second one was seen lately, and what was told of it."""
    query = select(Clone.tenant, Clone.device, Clone.told).where(
        Clone.tenant.in_(tenants), Clone.at > now - CLONE_LASTS
    )
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for tenant, device, told in session.execute(query):
        found[tenant][device] = told
    return found


def read_audit(session: Scoped, tenants: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows of ``Clone`` that are to be written, and by tenant how far its audit log was read."""
    heads = {head.tenant: head.number for head in session.scalars(select(Head).where(Head.tenant.in_(tenants)))}
    new = Entry.tenant == Turn.tenant, Entry.number > Turn.read, Turn.tenant.in_(tenants)
    query = select(Entry.tenant, Entry.subject, Entry.at).where(*new, Entry.action == "device.cloned")
    query = query.order_by(Entry.number)
    told = "two use its certificate's name at once; revoke it, and enrol the right one again"
    made = {(t, d): {"tenant": t, "device": d, "at": at, "told": told} for t, d, at in session.execute(query)}
    return list(made.values()), heads


def count_losses(session: Scoped, tenants: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """Rows of ``Loss`` that are to be written: ledgers that count more than when they were looked at."""
    query = (
        select(Ledger.tenant, Ledger.device, Ledger.dropped, Loss.counted, Loss.recent, Loss.at)
        .outerjoin(Loss, and_(Loss.tenant == Ledger.tenant, Loss.device == Ledger.device))
        .where(
            Ledger.tenant.in_(tenants), Ledger.dropped > 0,
            or_(Loss.counted.is_(None), Loss.counted < Ledger.dropped),
        )
    )  # fmt: skip
    made = []
    for tenant, device, dropped, counted, recent, at in session.execute(query):
        before = recent if at is not None and at > now - RECENT else 0
        n = before + dropped - (counted or 0)
        made.append({"tenant": tenant, "device": device, "counted": dropped, "recent": n, "at": now})
    return made


def judge_hours(session: Scoped, tenants: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """Rows of ``Served`` that are to be written: the last whole hour of devices that told of it, a few in a round."""
    began_s = (int(now.timestamp()) - _SETTLED_S) // HOUR_S * HOUR_S - HOUR_S
    known: ColumnElement[bool] = and_(
        Served.tenant == Period.tenant, Served.device == Period.device, Served.model == Period.model
    )
    query = (
        select(Period.tenant, Period.device, Period.model, Period.told, Served.usual)
        .outerjoin(Served, known)
        .where(
            Period.tenant.in_(tenants), Period.began_s == began_s, Period.seconds == HOUR_S,
            Period.device != "", Period.device.not_like("@%"),  # the fleet's own, and groups'
            or_(Served.began_s.is_(None), Served.began_s < began_s),
        )
        .order_by(Period.tenant, Period.device, Period.model)
        .limit(_AT_ONCE)
    )  # fmt: skip
    made = []
    rows = session.execute(query).all()
    parted = len(rows) == _AT_ONCE  # the last device's bundles may not all be here: it waits for the next round
    groups = [(key, list(parts)) for key, parts in groupby(rows, lambda row: (row[0], row[1], row[2]))]
    for (tenant, device, model), parts in groups[:-1] if parted and len(groups) > 1 else groups:
        hour = Hour.of(observations(told for *_, told, _ in parts))
        usual = Usual(**(parts[0][4] or {}))
        level, words = judge({model: (hour, usual)})
        made.append(
            {"tenant": tenant, "device": device, "model": model, "began_s": began_s, "level": level, "told": words,
             "usual": usual.then(hour).to_json()}
        )  # fmt: skip
    return made


def serving_now(session: Scoped, device: str, now: datetime) -> tuple[Level, str]:
    """How a device serves in its newest hour, from all that it told in two days (a session in its tenant)."""
    since = int(now.timestamp()) - _USUAL_S
    query = select(Period.model, Period.began_s, Period.told).where(
        Period.device == device, Period.began_s >= since, Period.seconds == HOUR_S
    )
    rows = session.execute(query.order_by(Period.model, Period.began_s)).all()
    found: dict[str, tuple[Hour, Usual]] = {}
    for model, parts in groupby(rows, lambda row: str(row[0])):
        hours = [
            (began, Hour.of(observations(told for *_, told in same)))
            for began, same in groupby(parts, lambda row: row[1])
        ]  # fmt: skip
        if hours[-1][0] >= now.timestamp() - timedelta(hours=3).total_seconds():
            found[model] = hours[-1][1], usual_of(hour for _, hour in hours[:-1])
    return judge(found)


def observations(rows: Iterable[bytes]) -> list[Observation]:
    """What rows of rollups tell; those that cannot be read tell nothing."""
    return [rollup.told for data in rows if (rollup := unpack_rollup(data)) is not None]
