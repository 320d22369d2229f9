"""Settling: one rollout brought to where the rules want it, in the caller's transaction. Again, it changes nothing.

What devices told is in their rows; so a report that is lost, doubled or late makes no difference to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from edgewright.core.digests import canonical_json
from edgewright.flows import release as rules
from edgewright.flows.release.members import released
from edgewright.flows.release.rows import Action
from edgewright.hub.accounts.audit import HUB, Actor, tell
from edgewright.hub.database import Scoped
from edgewright.hub.events import emit
from edgewright.hub.fleet.desired import assign
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.rollouts import gates, making, rows
from edgewright.hub.rollouts.around import Around
from edgewright.hub.rollouts.clocks import next_due
from edgewright.hub.rollouts.rows import One, release_of
from edgewright.hub.rollouts.rules import AHEAD, GONE, OVER, holding, policy_of, reported, spelled_window, wanted
from edgewright.hub.rollouts.tables import Decision, Member, Rollout

_AT_ONCE = 500


@dataclass(frozen=True)
class Settler:
    """``now``: the hub's clock; ``up_since``: since when this process has been listening (s since 1970); ``actor``: who
    is told to have done it; ``look``: the gate's, where there was one; ``newcomers``: take in who came since."""

    session: Scoped
    around: Around
    now: datetime
    up_since: float
    actor: Actor = HUB
    look: gates.Look | None = None
    newcomers: bool = False

    def settle(self, row: Rollout, start: bool = True) -> bool:
        """Whether anything changed. ``start`` False: no device is touched yet."""
        before, at = row.state, self.now.timestamp()
        rollout = rows.tamed(rows.rollout_of(row), at)
        signed = start and all(self.around.signed(self.session, digest) for digest in row.bundles)
        rollout = replace(rollout, signed=signed)
        row.signed = signed
        ones: dict[str, One] = {}
        if before not in AHEAD or signed or row.superseded_by or row.order.get("kind") == "cancel":
            self._extend(row)
            ones = rows.members(self.session, row.id)
        world = _World(self.session, row, ones)
        verdict = None
        if self.look is not None and self.look.fits(row):
            verdict, row.look, row.look_due = self.look.verdict, self.look.after(row.look, at), gates.again(row, at)
        made, after, actions = self._rules(row, rollout, world, signed, verdict)
        rows.keep(row, made)
        if row.started is None and made.state not in AHEAD | {"cancelled", "superseded"}:
            row.started, row.look_due = self.now, at
            self._supersede(row)
        if made.state == "completed" and before != "completed":
            self._keep(row)
        changed = self._store(row, world, after)
        decisions = [a.decision for a in actions if isinstance(a, rules.Move) and a.decision is not None]
        anew = any(one.kind == "resume" for one in decisions)
        gates.watch(self.session, self.around, row, world.now(after), self.now, anew)
        if ones:
            row.heard = max((one.changed for one in ones.values() if one.changed <= self.now), default=row.heard)
        moved = bool(changed or actions)
        row.due = next_due(made, after, at, self.up_since, moved)
        if row.superseded_by and made.state == "completed":
            row.due = None
        over = row.state in OVER or (row.state == "completed" and row.due is None and row.superseded_by)
        if over and (moved or row.state != before):
            self.around.let_go(self.session, row.id)
        self._tell(row, before, decisions)
        return moved

    def _rules(
        self, row: Rollout, rollout: rules.Rollout, world: _World, signed: bool, verdict: rules.Verdict | None
    ) -> tuple[rules.Rollout, dict[str, rules.Member], list[Action]]:
        at, lease = self.now.timestamp(), rollout.lease_s
        known = {device: self._heard(row, one, lease) for device, one in world.ones.items()}
        if row.state == "completed" and row.superseded_by:
            let = {change.member.device: change.member for change in released(known.values(), at)}
            return rollout, known | let, []
        if rollout.order is not None and rollout.order.kind == "abort" and row.state in ("completed", "halted"):
            known = {device: world.left(member) for device, member in known.items()}
        devices = world.devices(self.now) if signed else {}
        now = rules.Now(at, devices, self.up_since, verdict)
        made, after, actions = rules.settle(rollout, known, now)
        # Whoever was never offered anything has nothing to go back from.
        untouched = [m for m in after.values() if m.state == "reverting" and not m.attempt]
        if untouched:
            after |= {m.device: rules.reported(m, rules.Report(m.device, 0, "reverted"), at) for m in untouched}
            made, after, more = rules.settle(made, after, replace(now, verdict=None))
            actions += more
        return made, after, actions

    def _heard(self, row: Rollout, one: One, lease_s: float) -> rules.Member:
        """The member after what its device told."""
        at = self.now.timestamp()
        member = rows.tamed_member(one.row, at, lease_s)
        if one.revoked and member.state not in GONE:
            return replace(member, state="skipped", lease_until=None, since=at)
        if member.attempt and member.state not in GONE and one.speaks(row.id):
            told = reported(row.id, member, one.bundle, one.ran, one.told())
            if told is not None:
                return rules.reported(member, told, at)
        return member

    def _extend(self, row: Rollout) -> None:
        if not self.newcomers or (row.state == "completed" and row.superseded_by):
            return
        if row.state in ("staging", "wave", "paused", "completed", "awaiting_signature"):
            taken = frozenset(_covered(self.session, row)) if row.state == "completed" else frozenset()
            making.extend(self.session, row, taken)

    def _store(self, row: Rollout, world: _World, after: Mapping[str, rules.Member]) -> int:
        """Members' rows, and what their devices should be."""
        state = "superseded" if row.state == "completed" and row.superseded_by else row.state
        values: dict[str, dict[str, Any]] = {}
        told, first = dict[str, rules.Member](), list[str]()
        for device, one in world.ones.items():
            new = after[device]
            holds = holding(state, new) and (one.holds or not world.busy(one))
            if new == one.row and holds == one.holds:
                continue
            values[device] = rows.member_values(new) | {"holds": holds}
            anew = (new.state, new.attempt) != (one.row.state, one.row.attempt)
            if anew and new.attempt and (holds or one.holds):
                back = new.state == "released" and one.rollout == row.id
                if back or new.state in ("offered", "switching", "reverting"):
                    told[device] = new
                if new.state == "offered" and one.row.attempt == 0:
                    first.append(device)
        self._remember(first, values, world)
        rows.store(self.session, row.id, values)
        self._assign(row, told, world)
        return len(values)

    def _remember(self, first: list[str], values: dict[str, dict[str, Any]], world: _World) -> None:
        """What devices ran before the offer: the way back."""
        for device, release in _in_parts(self.session, first, select(Device.name, Device.release), Device.name):
            ran = world.ones[device].current
            values[device] |= {"before": release or {}, "ran": ran}
            world.ran[device] = ran
        self.around.hold(self.session, world.rollout, sorted(set(world.ran.values()) - {""}))

    def _assign(self, row: Rollout, told: Mapping[str, rules.Member], world: _World) -> None:
        if not told:
            return
        window = spelled_window(policy_of(row.policy).window)
        back = [device for device, member in told.items() if member.state == "released"]
        before = _before(self.session, row.id, back)
        made = {}
        for device, member in told.items():
            ran = world.ran.get(device, world.ones[device].ran)
            bundle = world.ones[device].bundle
            made[device] = wanted(row.id, member, bundle, ran, before.get(device), row.plan, window)
        assign(self.session, made)

    def _supersede(self, row: Rollout) -> None:
        """It has begun: older ones of the same bundle's name to the same group end."""
        older = (
            Rollout.id != row.id, Rollout.group == row.group, Rollout.bundle_name == row.bundle_name,
            Rollout.made <= row.made, Rollout.superseded_by.is_(None),
            Rollout.state.not_in((*OVER, "completed")),
        )  # fmt: skip
        self.session.execute(update(Rollout).where(*older).values(superseded_by=row.id, due=0.0))

    def _keep(self, row: Rollout) -> None:
        """It is completed: what the group runs from now on, newcomers too."""
        older = (
            Rollout.id != row.id, Rollout.group == row.group, Rollout.state == "completed",
            Rollout.superseded_by.is_(None),
        )  # fmt: skip
        self.session.execute(update(Rollout).where(*older).values(superseded_by=row.id, due=0.0))

    def _tell(self, row: Rollout, before: str, decisions: list[rules.Decision]) -> None:
        if before in AHEAD and row.started == self.now:
            tell(self.session, HUB, "rollout.started", row.id, self.now, {"name": row.name, "group": row.group})
        for number, one in enumerate(decisions):
            told = canonical_json(one.to_json()).decode()
            name = new_id("dec", int(self.now.timestamp() * 1000) + number)  # they sort in their order
            self.session.add(
                Decision(id=name, rollout=row.id, at=self.now, kind=one.kind, digest=one.digest, told=told)
            )
            actor = self.actor if one.by not in ("gate", "rules") else HUB
            detail = {"decision": one.digest, "sentence": one.sentence()}
            tell(self.session, actor, f"rollout.{one.kind}", row.id, self.now, detail)
        if row.state != before or decisions:
            emit(self.session, "rollout.state", row.id, {"state": row.state, "wave": row.wave}, self.now)


class _World:
    """A rollout's devices, and which of them are another one's."""

    def __init__(self, session: Scoped, row: Rollout, ones: dict[str, One]) -> None:
        self.ones, self.ran, self._row, self.rollout = ones, dict[str, str](), row, row.id
        self._taken, self._newer, self._names = set[str](), set[str](), dict[str, set[str]]()
        if not ones:
            return
        query = select(Member.device).where(Member.holds, Member.rollout != row.id)
        self._taken = set(session.scalars(query))
        self._newer = set(_newer(session, row))
        if row.state == "completed":
            self._taken |= _covered(session, row)
        if row.needs or row.conflicts:
            for name, bundles in session.execute(select(Rollout.name, Rollout.bundles)):
                for digest in bundles:
                    self._names.setdefault(digest, set()).add(name)

    def busy(self, one: One) -> bool:
        """Whether another rollout has the device."""
        return not one.holds and (one.row.device in self._taken or one.rollout in self._newer)

    def left(self, member: rules.Member) -> rules.Member:
        """A member of a rollout that is aborted after its end: a device that has moved on is not touched."""
        one = self.ones[member.device]
        serves = one.rollout == self._row.id or (one.current and one.current == one.bundle)  # or came back to it
        mine = one.holds or (serves and not self.busy(one))
        return member if mine or member.state == "reverted" else replace(member, state="skipped", lease_until=None)

    def devices(self, now: datetime) -> dict[str, rules.Device]:
        """As the rules have them."""
        return {
            device: rules.Device(
                one.online(now), one.utc_offset_s, frozenset(self._names.get(one.current, ())), self.busy(one)
            )
            for device, one in self.ones.items()
        }  # fmt: skip

    def now(self, after: Mapping[str, rules.Member]) -> dict[str, One]:
        """The members as they are now."""
        return {
            device: replace(one, row=after[device], holds=one.holds or not self.busy(one))
            for device, one in self.ones.items()
        }


def _newer(session: Scoped, row: Rollout) -> list[str]:
    """Rollouts that have begun after it and were not taken back."""
    if row.started is None:
        return []
    query = select(Rollout.id).where(Rollout.started > row.started, Rollout.state.not_in(tuple(OVER)))
    return list(session.scalars(query))


def _covered(session: Scoped, row: Rollout) -> set[str]:
    """Devices that a newer release is for, which is what their group runs."""
    newer = select(Rollout.id).where(
        Rollout.started > row.started, Rollout.state == "completed", Rollout.superseded_by.is_(None)
    )
    query = select(Member.device).where(Member.rollout.in_(newer), Member.state.not_in(tuple(GONE)))
    return set(session.scalars(query))


def _before(session: Scoped, rollout: str, devices: list[str]) -> dict[str, Any]:
    """The releases that devices had before they were offered this one."""
    query = select(Member.device, Member.before).where(Member.rollout == rollout)
    return {device: release_of(told) for device, told in _in_parts(session, devices, query, Member.device)}


def _in_parts(session: Scoped, names: list[str], query: Any, column: Any) -> Iterator[Any]:
    """The rows of these names, some hundred in a statement."""
    for start in range(0, len(names), _AT_ONCE):
        yield from session.execute(query.where(column.in_(names[start : start + _AT_ONCE])))
