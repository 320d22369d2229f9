"""Desired state: what each device should be. Whoever changes it takes new revisions, and parked polls are answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import select, tuple_, update

from edgewright.core.errors import InputError
from edgewright.core.messages import Collect, Desired, Release
from edgewright.core.messages.desired import CONFIG_BYTES
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.tables import Counter, Device, Group

_AT_ONCE = 500  # names in one statement: SQLite takes 32,766 parameters, PostgreSQL plans better with fewer


def assign(session: Scoped, wanted: Mapping[str, Release | None]) -> None:
    """Each device named is to run its release (None: whatever it runs stays); one that is to already is left as it is.
    Devices that are gone or revoked are passed over. Within the caller's transaction, by statements: a Device that the
    session has loaded is not renewed."""
    changed = list[dict[str, Any]]()
    for name, before in _columns(session, wanted, Device.release):
        release = wanted[name]
        told = None if release is None else release.to_json()
        if before != told:
            rollout = "" if release is None else release.rollout
            changed.append({"name": name, "release": told, "rollout": rollout})
    _change(session, changed)


def observe(session: Scoped, wanted: Mapping[str, float]) -> None:
    """Each device named makes an observation at least every so many s, whatever else it is told (0: as it is told).
    As with ``assign``."""
    changed = [
        {"name": name, "watched_s": wanted[name]}
        for name, before in _columns(session, wanted, Device.watched_s)
        if before != wanted[name]
    ]
    _change(session, changed)


def _columns(session: Scoped, names: Iterable[str], column: Any) -> Iterator[tuple[str, Any]]:
    """This column of the devices that have these names and are not revoked, by name."""
    rest = iter(sorted(names))
    while part := list(islice(rest, _AT_ONCE)):
        query = select(Device.name, column).where(Device.name.in_(part), Device.revoked.is_(None))
        for row in session.execute(query.order_by(Device.name)):
            yield row[0], row[1]


def _change(session: Scoped, rows: list[dict[str, Any]]) -> None:
    if rows:
        first = take_numbers(session, "revision", len(rows))
        session.execute(
            update(Device), [row | {"tenant": session.tenant, "revision": n} for n, row in enumerate(rows, first)]
        )


def named(session: Scoped, names: Iterable[str]) -> Iterable[Device]:
    """The devices that have these names, in some order."""
    rest = iter(names)
    while part := list(islice(rest, _AT_ONCE)):
        yield from session.scalars(select(Device).where(Device.name.in_(part)))


def revise(session: Scoped, devices: Iterable[Device]) -> None:
    """New revisions for devices whose desired state was changed."""
    rows = list(devices)
    if rows:
        first = take_numbers(session, "revision", len(rows))
        for number, device in enumerate(rows, first):
            device.revision = number


def take_numbers(session: Scoped, name: str, count: int) -> int:
    """The first of ``count`` numbers (from 1) that nobody else gets. Numbers become visible in their order: the
    counter is held until the transaction ends."""
    row = session.get(Counter, (session.tenant, name), with_for_update=True, populate_existing=True)
    if row is None:
        row = Counter(name=name, value=0)
        session.add(row)
        session.flush()
    first, row.value = row.value + 1, row.value + count
    return first


def revise_group(session: Scoped, group: str) -> int:
    """New revisions for all devices of a group, whose configuration was changed; how many there are."""
    # The counter first: whoever joins the group at this moment takes a number before or after, and misses nothing.
    take_numbers(session, "revision", 0)
    query = select(Device.name).where(Device.group == group, Device.revoked.is_(None)).order_by(Device.name)
    names = session.scalars(query).all()
    _change(session, [{"name": name} for name in names])
    return len(names)


def groups_of(session: Scoped, names: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Group]:
    """Groups that have a configuration, of these (tenant and name)."""
    wanted = {one for one in names if one[1]}
    if not wanted:
        return {}
    found = session.scalars(select(Group).where(tuple_(Group.tenant, Group.name).in_(wanted)))
    return {(one.tenant, one.name): one for one in found}


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The runtime's configuration ``above`` over the one ``below``: key by key in each table, and in the table of each
    of the ``models``. A value that is deeper is one thing."""
    found = dict(below)
    for name, table in above.items():
        one = found.get(name)
        if not isinstance(one, Mapping) or not isinstance(table, Mapping):
            found[name] = table
        elif name == "models":
            found[name] = {**one, **{model: _over(one.get(model), its) for model, its in table.items()}}
        else:
            found[name] = {**one, **table}
    return found


def _over(below: Any, above: Any) -> Any:
    return {**below, **above} if isinstance(below, Mapping) and isinstance(above, Mapping) else above


Told = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Configuration, and what is to be collected."""


def told_of(
    config: Mapping[str, Any], collect: Mapping[str, Any], group: Group | None, watched_s: float = 0.0
) -> Told:  # fmt: skip
    """What a device is told: its group's, and its own over it; while it is watched, an observation at least every
    ``watched_s``."""
    if group is not None:
        config, collect = laid_over(group.config, config), {**group.collect, **collect}
    if watched_s:
        collect = {**collect, "period_s": min(collect.get("period_s", Collect().period_s), watched_s)}
    return config, collect


def desired_of(device: Device, anchors: tuple[str, ...] = (), group: Group | None = None) -> Desired:
    """What the device is told. ``anchors``: roots of the hub's CA, PEM. Raises ValueError for what is too long."""
    told = desired(device.release, *told_of(device.config, device.collect, group, device.watched_s))
    return replace(told, revision=device.revision, anchors=anchors)


def desired(release: Any, config: Mapping[str, Any], collect: Mapping[str, Any]) -> Desired:
    """Of JSON values, without a revision. Raises ValueError."""
    return Desired.from_json({"revision": 0, "release": release, "config": config, "collect": collect})


def check(config: Mapping[str, Any], collect: Mapping[str, Any], group: Group | None) -> None:
    """What a device would be told must be what it can read. Raises InputError."""
    try:
        desired(None, *told_of(config, collect, group))
    except ValueError as error:
        what = f"a device could not read that, with what is said of its group: {error}"
        raise InputError(f"{what} (config: {CONFIG_BYTES:,} bytes at most)") from error


def leap(session: Scoped, now: datetime) -> None:
    """Have all numbers from now on be above all that were ever given: a database that was restored from a backup would
    give some of them again, and a device that has one of them already would never hear what it means now. A process
    does it at its start. Numbers count milliseconds since 1970 then, and no hub gives a thousand a second for long."""
    number = int(now.timestamp() * 1000)
    session.execute(update(Counter).where(Counter.name == "revision", Counter.value < number).values(value=number))
