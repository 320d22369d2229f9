"""Orders: what people tell a rollout to do, carried out at once where its state allows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from edgewright.flows.release import allowed
from edgewright.flows.release.policy import OnHalt
from edgewright.flows.release.rows import OrderKind
from edgewright.hub.accounts.access import Caller
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict, Forbidden
from edgewright.hub.rollouts.around import Around, around
from edgewright.hub.rollouts.making import Wish, make
from edgewright.hub.rollouts.notes import notes
from edgewright.hub.rollouts.reconcile import up_since
from edgewright.hub.rollouts.rows import rollout_of
from edgewright.hub.rollouts.settling import Settler
from edgewright.hub.rollouts.tables import Member, Rollout
from edgewright.hub.rollouts.told import RolloutShown, RolloutTold


def submit(session: Scoped, caller: Caller, wish: Wish) -> Rollout:
    """A new rollout, submitted. Raises Absent, InputError."""
    row = make(session, caller.state, around(caller.state), wish, caller.user, caller.now)
    detail = {"name": row.name, "group": row.group, "bundles": sorted(row.bundles)}
    _settler(session, caller).settle(row, start=False)
    caller.tell(session, "rollout.made", row.id, detail)
    return row


def order(session: Scoped, caller: Caller, row: Rollout, kind: OrderKind, mode: OnHalt = "hold") -> None:
    """Carry the order out. Raises Conflict where the rollout's state does not allow it."""
    can = sorted(allowed(rollout_of(row)))
    if row.superseded_by is not None:
        raise Conflict(f"rollout {row.superseded_by} has taken its place; give the order to that one")
    if kind not in can:
        told = f"it can: {', '.join(can)}" if can else "nothing more can be done with it"
        raise Conflict(f"a rollout in {row.state.replace('_', ' ')} cannot {kind}; {told}")
    name = caller.actor.name
    by = f"user {name}" if name in ("gate", "rules") else name
    row.order = {"kind": kind, "by": by, "mode": mode}
    ended = row.state in ("completed", "halted")
    _settler(session, caller).settle(row)
    if ended and mode != "hold" and row.state == "rolled_back":
        query = select(func.count()).where(Member.rollout == row.id, Member.state == "reverted")
        if not session.scalar(query):
            raise Conflict("no device has what it released any more, so there is nothing to take back")


def approve(session: Scoped, caller: Caller, row: Rollout) -> None:
    """The caller agrees. Raises Conflict, Forbidden for its author."""
    if row.state != "approval":
        raise Conflict(f"a rollout in {row.state.replace('_', ' ')} does not wait for approval")
    if caller.user == row.author:
        raise Forbidden("a rollout is approved by somebody else than its author; ask a colleague")
    if caller.user in row.approvals:
        return
    row.approvals = [*row.approvals, caller.user]
    _settler(session, caller).settle(row, start=False)
    caller.tell(session, "rollout.approved", row.id, {"approvals": len(row.approvals)})


def around_all(session: Scoped, ids: Sequence[str]) -> tuple[dict[str, int], bool]:
    """What lists tell besides the rows of rollouts: how many devices each has, and whether the tenant develops."""
    development = session.scalars(select(Tenant.development)).one()
    query = select(Member.rollout, func.count()).where(Member.rollout.in_(ids))
    return {row[0]: row[1] for row in session.execute(query.group_by(Member.rollout))}, development


def shown(session: Scoped, row: Rollout, around: Around) -> RolloutShown:
    """One rollout as it is shown."""
    development = session.scalars(select(Tenant.development)).one()
    query = select(Member.wave, Member.state, func.count()).where(Member.rollout == row.id)
    fields: dict[str, Any] = RolloutTold.adapt(RolloutTold.taken(row), {}, development)
    counts: list[dict[str, int]] = [{} for _ in fields["waves"]]
    for wave, state, n in session.execute(query.group_by(Member.wave, Member.state).order_by(Member.state)):
        counts[wave][state] = n
    fields["devices"] = sum(sum(wave.values()) for wave in counts)
    return RolloutShown(**fields, counts=counts, look=row.look or None, notes=notes(session, around, row))


def _settler(session: Scoped, caller: Caller) -> Settler:
    return Settler(session, around(caller.state), caller.now, up_since(caller.state), caller.actor)
