"""Watches: what devices told of their bundles before a moment and after it, for a gate that looks on.

watch(session, id, devices, since, every_s, instead)   from now on; what was before ``fill`` looks up, in portions
watched(session, id)                                   each device's ``Watched``
unwatch(session, id)

Devices that are watched make an observation at least every ``every_s``, the shortest of those who watch them, so that a
gate knows something in time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select

from edgewright.core.messages import Observation
from edgewright.core.messages.observations import SHADOW, merge
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.desired import observe
from edgewright.hub.fleet.packing import pack_by_bundle, unpack_by_bundle, unpack_rollup
from edgewright.hub.fleet.tables import Period, Watch

PAST = timedelta(days=7)
_AT_ONCE = 100
_AT_START = 100
_MOST_BUNDLES = 8
_NAMES = 500  # in one statement: SQLite takes 32,766 parameters


@dataclass(frozen=True)
class Watched:
    """A device: its observations by bundle, ``before`` (up to seven days) and ``after``. ``filled``: whether its past
    was looked up already; until then ``before`` is empty."""

    device: str
    before: dict[str, Observation] = field(default_factory=dict)
    after: dict[str, Observation] = field(default_factory=dict)
    filled: bool = True


def watch(
    session: Scoped, id: str, devices: Collection[str], since: datetime, every_s: float = 0.0, instead: str = ""
) -> None:  # fmt: skip
    """Merge what these devices tell of after ``since``, and end what is watched under the id ``instead``. Those that
    are watched already under this id stay as they are. The past of up to 100 devices is there at once, that of more
    soon."""
    over = _forget(session, instead) if instead else set[str]()
    there = set(session.scalars(select(Watch.device).where(Watch.id == id)))
    rows = [
        {"id": id, "device": name, "since": since, "every_s": every_s, "before": None, "after": None}
        for name in devices
    ]
    new = [row for row in rows if row["device"] not in there]
    if new:
        session.execute(insert(Watch), new)
    _observe(session, {*over, *devices})
    if len(new) <= _AT_START:
        fill(session, _AT_START)


def fill(session: Scoped, most: int = _AT_ONCE) -> int:
    """Look up the past of up to ``most`` devices that have none yet; how many there were."""
    query = select(Watch).where(Watch.before.is_(None)).limit(most).with_for_update(skip_locked=True)
    rows = session.scalars(query).all()
    for row in rows:
        row.before = pack_by_bundle(past(session, row.device, row.since))
    session.flush()
    return len(rows)


def past(session: Scoped, device: str, since: datetime) -> dict[str, Observation]:
    """What a device told of the seven days before ``since``, by bundle."""
    first_s, last_s = int((since - PAST).timestamp()), int(since.timestamp())
    query = select(Period.told).where(Period.device == device, Period.began_s >= first_s, Period.began_s < last_s)
    found = (unpack_rollup(data) for data in session.scalars(query))
    return _by_bundle([one.told for one in found if one is not None])


def of(session: Scoped, devices: Iterable[str]) -> dict[str, list[Watch]]:
    """What watches these devices, by device, for ``note``."""
    found: dict[str, list[Watch]] = {}
    query = select(Watch).where(Watch.device.in_(list(devices))).order_by(Watch.id, Watch.device)
    for row in session.scalars(query.with_for_update()):
        found.setdefault(row.device, []).append(row)
    return found


def note(watching: Iterable[Watch], told: Sequence[Observation]) -> None:
    """Add what a device told to all that watch it: observations that began after the moment from which on they do."""
    if not told:
        return
    for row in watching:
        later = [one for one in told if one.began_s >= row.since.timestamp()]
        if later:
            merged = _by_bundle([*unpack_by_bundle(row.after).values(), *later])
            row.after = pack_by_bundle(dict(list(merged.items())[:_MOST_BUNDLES]))


def watched(session: Scoped, id: str) -> Iterator[Watched]:
    """All devices that are watched under this id."""
    for row in session.scalars(select(Watch).where(Watch.id == id).order_by(Watch.device)):
        before, after = unpack_by_bundle(row.before), unpack_by_bundle(row.after)
        yield Watched(row.device, before, after, row.before is not None)


def shadowed(session: Scoped, devices: Collection[str], bundles: Collection[str]) -> dict[tuple[str, str], Observation]:
    """What these devices told of these bundles while they ran in their shadows, by device and bundle."""
    found: dict[tuple[str, str], list[Observation]] = {}
    wanted = sorted(devices)
    for start in range(0, len(wanted), _NAMES):
        mine = Period.device.in_(wanted[start : start + _NAMES]), Period.bundle.in_(bundles)
        query = select(Period.device, Period.bundle, Period.told).where(*mine, Period.model.endswith(SHADOW))
        for device, bundle, data in session.execute(query):
            if (rollup := unpack_rollup(data)) is not None:
                found.setdefault((device, bundle), []).append(rollup.told)
    return {key: merge(parts) for key, parts in found.items()}


def unwatch(session: Scoped, id: str) -> None:
    """No more."""
    _observe(session, _forget(session, id))


def _forget(session: Scoped, id: str) -> set[str]:
    """The devices that were watched."""
    over = set(session.scalars(select(Watch.device).where(Watch.id == id)))
    session.execute(delete(Watch).where(Watch.id == id), execution_options={"synchronize_session": False})
    return over


def _observe(session: Scoped, devices: Collection[str]) -> None:
    """Have them observe as often as those want it who watch them now."""
    wanted, names = dict.fromkeys(devices, 0.0), sorted(devices)
    for start in range(0, len(names), _NAMES):
        some = Watch.device.in_(names[start : start + _NAMES]), Watch.every_s > 0
        query = select(Watch.device, func.min(Watch.every_s)).where(*some).group_by(Watch.device)
        wanted.update((row[0], row[1]) for row in session.execute(query))
    observe(session, wanted)


def _by_bundle(told: Iterable[Observation]) -> dict[str, Observation]:
    groups: dict[str, list[Observation]] = {}
    for one in told:
        if not one.shadow:  # who answered is looked at, not who ran beside
            groups.setdefault(one.bundle, []).append(one)
    return {bundle: merge(parts) for bundle, parts in groups.items()}
