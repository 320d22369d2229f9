"""Rows: between the tables and the values that the rules take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from edgewright.core.messages import Release, Status
from edgewright.core.messages.desired import Desired, Sync
from edgewright.flows import release as rules
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.tables import Device
from edgewright.hub.rollouts.rules import policy_of
from edgewright.hub.rollouts.tables import Member, Rollout

ONLINE = timedelta(seconds=90)
"""A device asked within this time, or it is away."""


@dataclass(frozen=True, slots=True)
class One:
    """A member with what is known of its device. ``status`` as JSON: few are looked at."""

    row: rules.Member
    bundle: str
    stratum: str
    ran: str
    holds: bool
    rollout: str
    current: str
    seen: datetime | None
    changed: datetime
    revoked: bool
    status: Mapping[str, Any]

    def told(self) -> Status:
        """What the device said last."""
        try:
            return Sync.from_json({"revision": 0, "boot": "hub", "status": dict(self.status)}).status
        except ValueError:  # a later release's words: as if it had said nothing yet
            return Status()

    def speaks(self, rollout: str) -> bool:
        """Whether it says something of the attempt that the row does not have yet; cheaply, of ten thousand."""
        told = self.status
        if told.get("rollout") != rollout or told.get("attempt") != self.row.attempt:
            return False
        known = {"active": ("result", "committed"), "staged": ("state", "waiting")}.get(self.row.state)
        return known is None or told.get(known[0]) != known[1]

    @property
    def utc_offset_s(self) -> float:
        """What its time zone adds."""
        told = self.status.get("utc_offset_s", 0.0)
        return float(told) if isinstance(told, int | float) else 0.0

    def online(self, now: datetime) -> bool:
        """Whether it can be asked now."""
        return not self.revoked and self.seen is not None and now - self.seen < ONLINE


_COLUMNS = (
    Member.device, Member.wave, Member.control, Member.state, Member.attempt, Member.lease_until, Member.failure,
    Member.switched, Member.since, Member.bundle, Member.stratum, Member.ran, Member.holds, Device.rollout,
    Device.current, Device.seen, Device.changed, Device.revoked, Device.status,
)  # fmt: skip


def members(session: Scoped, rollout: str) -> dict[str, One]:
    """The members of a rollout by device."""
    query = select(*_COLUMNS).join(Device, Device.name == Member.device).where(Member.rollout == rollout)
    made = {}
    for told in session.execute(query.order_by(Member.device)):
        bundle, stratum, ran, holds, desired, current, seen, changed, revoked, status = told[9:]
        made[told[0]] = One(
            rules.Member(*told[:9]), bundle, stratum, ran, holds, desired, current, seen, changed, revoked is not None,
            status,
        )  # fmt: skip
    return made


def store(session: Scoped, rollout: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """New values of members' columns, by device."""
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for device, values in changes.items():
        key = {"tenant": session.tenant, "rollout": rollout, "device": device}
        by_columns.setdefault(tuple(sorted(values)), []).append(key | dict(values))
    for found in by_columns.values():
        session.execute(update(Member), found)


def add(session: Scoped, rollout: Rollout, places: Iterable[tuple[rules.Place, str, str]]) -> int:
    """New members: places with the bundle and the stratum of each."""
    made = [
        {
            **asdict(rules.Member(place.device, place.wave, place.control)), "rollout": rollout.id, "bundle": bundle,
            "stratum": stratum, "before": {}, "ran": "", "holds": False,
        }
        for place, bundle, stratum in places
    ]  # fmt: skip
    if made:
        session.execute(insert(Member), made)
    return len(made)


def member_values(row: rules.Member) -> dict[str, Any]:
    """The columns of a member that the rules change."""
    return {
        "state": row.state, "attempt": row.attempt, "lease_until": row.lease_until, "failure": row.failure,
        "switched": row.switched, "since": row.since,
    }  # fmt: skip


def rollout_of(row: Rollout) -> rules.Rollout:
    """The row as the rules have it."""
    order = rules.Order(**row.order) if row.order else None
    state: Any = row.state
    phase: Any = row.phase
    reverting: Any = row.reverting
    return rules.Rollout(
        row.id, policy_of(row.policy), state, row.wave, phase, row.since, len(row.approvals), row.signed, order,
        row.superseded_by, reverting, frozenset(row.needs), frozenset(row.conflicts),
        float(row.plan["shadow_s"]),
    )  # fmt: skip


def keep(row: Rollout, made: rules.Rollout) -> None:
    """The rules' result into the row."""
    row.state, row.wave, row.phase, row.since = made.state, made.wave, made.phase, made.since
    row.reverting = made.reverting
    row.order = {} if made.order is None else asdict(made.order)


def release_of(told: Mapping[str, Any] | None) -> Release | None:
    """A Release of its JSON; None for none."""
    return Desired.from_json({"revision": 0, "release": dict(told)}).release if told else None


def tamed(rollout: rules.Rollout, now: float) -> rules.Rollout:
    """Without times that have not come yet: a clock that was wrong must not hold a rollout for years."""
    return replace(rollout, since=now) if rollout.since > now else rollout


def tamed_member(row: rules.Member, now: float, lease_s: float) -> rules.Member:
    """As ``tamed``."""
    late = row.lease_until is not None and row.lease_until > now + lease_s
    if row.since <= now and not late:
        return row
    return replace(row, since=min(row.since, now), lease_until=now + lease_s if late else row.lease_until)


def seconds(at: datetime) -> float:
    """S since 1970."""
    return at.timestamp()


def moment(at: float) -> datetime:
    """The other way round."""
    return datetime.fromtimestamp(at, UTC)
