"""Routes of groups: what all devices of one are told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from sqlalchemy import func, select

from edgewright.core.digests import canonical_json, digest_bytes
from edgewright.core.errors import InputError
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.fleet.desired import check, revise_group
from edgewright.hub.fleet.news import news
from edgewright.hub.fleet.presence import ONLINE
from edgewright.hub.fleet.tables import Device, Enrolment, Group
from edgewright.hub.fleet.told import GroupChange, GroupTold, GroupWhole, changed
from edgewright.hub.fleet.words import GROUP
from edgewright.hub.web.bodies import Router
from edgewright.hub.web.paging import Page, PageQuery, write_cursor
from edgewright.hub.web.problems import Problem

router = Router(prefix="/api/edge/groups", tags=["devices"])
Reads = Annotated[Caller, may("devices.read")]
Writes = Annotated[Caller, may("devices.write")]
Name = Annotated[str, Path(pattern=GROUP)]
_Counts = dict[str, tuple[int, int]]


@router.get("")
def groups(caller: Reads, page: PageQuery) -> Page[GroupTold]:
    """The groups that devices are in or will be, with their numbers, by name."""
    if page.after is not None and not isinstance(page.after, str):
        raise Problem("unfit", "that cursor is of another list; begin again without one")
    with caller.read() as session:
        named = {name for kind in (Device.group, Enrolment.group, Group.name) for name in _some(session, kind, page)}
        names = sorted(named)[: page.limit]
        counts = _counts(session, caller.now, names)
        since = {row.name: row.changed for row in session.scalars(select(Group).where(Group.name.in_(names)))}
    told = [_told(name, counts, since.get(name)) for name in names]
    return Page(items=told, next=write_cursor(names[-1]) if len(named) > page.limit else None)


@router.get("/{group:path}")
def show(group: Name, caller: Reads) -> GroupWhole:
    """A group, with what its devices are told."""
    with caller.read() as session:
        _find(session, group)
        return _whole(session, caller.now, group, session.get(Group, (session.tenant, group)))


@router.patch("/{group:path}")
def change(group: Name, body: GroupChange, caller: Writes) -> GroupWhole:
    """Give all devices of a group, and those that join it later, another configuration or rules of what they tell. They
    hear of it at once. What a device has of its own comes before it."""
    with caller.write() as session:
        _find(session, group)
        row = session.get(Group, (session.tenant, group), with_for_update=True, populate_existing=True)
        if row is None:
            row = Group(name=group, config={}, collect={}, changed=caller.now)
            session.add(row)
        before = (row.config, row.collect)
        row.config = row.config if body.config is None else body.config
        row.collect = changed(row.collect, body.collect)
        _check(session, row)
        count = 0
        if before != (row.config, row.collect):
            row.changed = caller.now
            session.flush()
            count = revise_group(session, group)
        told = body.model_dump(exclude_unset=True, exclude={"config"}) | {"devices": count}
        if body.config is not None:
            told["config"] = digest_bytes(canonical_json(body.config))
        caller.tell(session, "group.changed", group, told)
        answer = caller.reply(session, _whole(session, caller.now, group, row))
    news(caller.state).ring()
    return answer


def _some(session: Scoped, kind: Any, page: PageQuery) -> list[str]:
    """The first names of one kind behind the cursor, one more than a page has."""
    query = select(kind).distinct().where(kind > page.after) if page.after is not None else select(kind).distinct()
    query = query.where(Device.revoked.is_(None)) if kind is Device.group else query
    query = query.where(kind != "") if kind is Enrolment.group else query
    return list(session.scalars(query.order_by(kind).limit(page.limit + 1)))


def _counts(session: Scoped, now: datetime, names: list[str]) -> _Counts:
    heard = func.count().filter(Device.seen > now - ONLINE)
    query = select(Device.group, func.count(), heard).where(Device.group.in_(names), Device.revoked.is_(None))
    return {name: (count, there) for name, count, there in session.execute(query.group_by(Device.group))}


def _told(name: str, counts: _Counts, since: datetime | None) -> GroupTold:
    count, there = counts.get(name, (0, 0))
    return GroupTold(name=name, devices=count, online=there, changed=since)


def _whole(session: Scoped, now: datetime, name: str, row: Group | None) -> GroupWhole:
    told = _told(name, _counts(session, now, [name]), None if row is None else row.changed)
    config, collect = ({}, {}) if row is None else (row.config, row.collect)
    return GroupWhole(**told.model_dump(), config=config, collect=collect)


def _find(session: Scoped, name: str) -> None:
    """Raises Absent for a name that nothing goes by: it may be mistyped."""
    for key in (Group.name, Device.group, Enrolment.group):
        if session.scalar(select(key).where(key == name).limit(1)) is not None:
            return
    raise Absent(f"there is no group {name!r}; put a device into it, or make a token that names it")


def _check(session: Scoped, row: Group) -> None:
    """No device of the group may be told what it could not read. Raises InputError."""
    check(row.config, row.collect, None)
    query = select(Device.name, Device.config).where(Device.group == row.name, Device.revoked.is_(None))
    for name, config in session.execute(query):
        if config:
            try:
                check(config, {}, row)
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
