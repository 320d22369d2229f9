"""Routes of rollouts and of what was decided about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import Query, Response

from edgewright.flows.release.policy import OnHalt
from edgewright.flows.release.rows import MemberState, OrderKind, RolloutState
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.rollouts import orders
from edgewright.hub.rollouts.around import around
from edgewright.hub.rollouts.making import Wish
from edgewright.hub.rollouts.tables import Decision, Member, Rollout
from edgewright.hub.rollouts.told import Abort, DecisionTold, MemberTold, NewRollout, RolloutShown, RolloutTold
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, answered, paged, read_page
from edgewright.hub.web.reading import fields
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge", tags=["rollouts"])
Reads = Annotated[Caller, may("rollouts.read")]
Writes = Annotated[Caller, may("rollouts.write")]
Controls = Annotated[Caller, may("rollouts.control")]
Group = Annotated[str | None, Query(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$", description="of devices")]


@router.post("/rollouts", status_code=201)
def make(body: NewRollout, caller: Writes) -> RolloutShown:
    """Make a rollout: its members are drawn now. It goes on by itself once it is approved and its bundles are
    signed."""
    wish = Wish(
        body.name, body.bundles, body.group, body.policy(), body.plan(), body.needs, body.conflicts
    )  # fmt: skip
    with caller.write() as session:
        row = orders.submit(session, caller, wish)
        return caller.reply(session, orders.shown(session, row, around(caller.state)), 201)


@router.get("/rollouts", response_model=Page[RolloutTold])
def rollouts(caller: Reads, page: PageQuery, group: Group = None, state: RolloutState | None = None) -> Response:
    """The tenant's rollouts, newest first."""
    where = [] if group is None else [Rollout.group == group]
    where += [] if state is None else [Rollout.state == state]
    with caller.read() as session:
        rows, following = read_page(session, RolloutTold, Rollout.id, page, *where, newest_first=True)
        around_them = orders.around_all(session, [row["id"] for row in rows])
    return answered(fields(RolloutTold, rows, *around_them), following)


@router.get("/rollouts/{rollout}")
def show(rollout: Id, caller: Reads) -> RolloutShown:
    """One rollout: where it is, its members by wave and state, the gate's last look."""
    with caller.read() as session:
        return orders.shown(session, session.find(Rollout, rollout), around(caller.state))


@router.get("/rollouts/{rollout}/members", response_model=Page[MemberTold])
def members(
    rollout: Id, caller: Reads, page: PageQuery, state: MemberState | None = None,
    wave: Annotated[int | None, Query(ge=0, le=20)] = None,
) -> Response:  # fmt: skip
    """A rollout's devices, by name."""
    where = [Member.rollout == rollout]
    where += [] if state is None else [Member.state == state]
    where += [] if wave is None else [Member.wave == wave]
    with caller.read() as session:
        session.find(Rollout, rollout)
        return paged(session, MemberTold, Member.device, page, *where)


@router.get("/rollouts/{rollout}/decisions", response_model=Page[DecisionTold])
def decisions_of(rollout: Id, caller: Reads, page: PageQuery) -> Response:
    """What was decided about it, newest first."""
    with caller.read() as session:
        session.find(Rollout, rollout)
        return paged(session, DecisionTold, Decision.id, page, Decision.rollout == rollout, newest_first=True)


@router.get("/decisions", response_model=Page[DecisionTold])
@brief
def decisions(caller: Reads, page: PageQuery) -> Response:
    """What was decided about any rollout, newest first."""
    return paged(caller.look, DecisionTold, Decision.id, page, newest_first=True)


@router.post("/rollouts/{rollout}/approve")
def approve(rollout: Id, caller: Writes) -> RolloutShown:
    """Agree to a rollout: somebody else than its author."""
    return _done(caller, rollout, orders.approve)


@router.post("/rollouts/{rollout}/pause")
def pause(rollout: Id, caller: Controls) -> RolloutShown:
    """Switch no more devices until it is resumed."""
    return _ordered(caller, rollout, "pause")


@router.post("/rollouts/{rollout}/resume")
def resume(rollout: Id, caller: Controls) -> RolloutShown:
    """Go on after a pause; what was soaking soaks anew."""
    return _ordered(caller, rollout, "resume")


@router.post("/rollouts/{rollout}/advance")
def advance(
    rollout: Id, caller: Controls,
    wave: Annotated[int | None, Query(ge=0, le=99, description="where the caller saw it, the first is 0")] = None,
) -> RolloutShown:  # fmt: skip
    """Go to the next wave without waiting for the gate; with ``wave``, from that one alone (else 409)."""

    def order(session: Scoped, caller: Caller, row: Rollout) -> None:
        if wave is not None and row.wave != wave:
            raise Conflict(f"the rollout has gone on to wave {row.wave + 1}; look at it again")
        orders.order(session, caller, row, kind="advance")

    return _done(caller, rollout, order)


@router.post("/rollouts/{rollout}/abort")
def abort(rollout: Id, body: Abort, caller: Controls) -> RolloutShown:
    """End a rollout; ``mode`` says what becomes of devices that have it."""
    return _ordered(caller, rollout, "abort", body.mode)


@router.post("/rollouts/{rollout}/cancel")
def cancel(rollout: Id, caller: Controls) -> RolloutShown:
    """Give a rollout up before it has begun."""
    return _ordered(caller, rollout, "cancel")


def _ordered(caller: Caller, rollout: str, kind: OrderKind, mode: OnHalt = "hold") -> RolloutShown:
    return _done(caller, rollout, partial(orders.order, kind=kind, mode=mode))


def _done(caller: Caller, rollout: str, work: Callable[[Scoped, Caller, Rollout], None]) -> RolloutShown:
    with caller.write() as session:
        row = session.lock(Rollout, rollout)
        work(session, caller, row)
        return caller.reply(session, orders.shown(session, row, around(caller.state)))
