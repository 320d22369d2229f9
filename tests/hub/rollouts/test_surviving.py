"""Whatever comes in, however late, twice or never, and wherever the hub is killed: what must never happen does not."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rollouts_fleet import NEW, NEWER, Fleet
from sqlalchemy import event, inspect, select, update

from edgewright.flows.release import allowed
from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.fleet.tables import Device
from edgewright.hub.rollouts.reconcile import Reconciler
from edgewright.hub.rollouts.rows import rollout_of
from edgewright.hub.rollouts.settling import Settler
from edgewright.hub.rollouts.tables import Decision, Member, Rollout
from edgewright.hub.state import open_state

_PASSING = {"due", "look_due", "heard", "worker", "held_until"}
"""Columns that say when to look next, and nothing of what is so."""


def dump(fleet):
    """All rows that matter."""
    made = []
    with fleet.read() as session:
        for kind in (Rollout, Member, Decision, Device):
            names = [c.key for c in inspect(kind).column_attrs if c.key not in _PASSING]
            rows = session.scalars(select(kind)).all()
            made.append(sorted(repr([getattr(row, name) for name in names]) for row in rows))
    return made


class Killed(BaseException):
    """The process ended here."""


def killed_at(fleet, statement, work):
    """``work``, killed before its statement of this number; whether it came so far."""
    seen = 0

    def before(*_):
        nonlocal seen
        seen += 1
        if seen == statement:
            raise Killed

    engine = fleet.state.database.engine
    event.listen(engine, "before_cursor_execute", before)
    try:
        work()
    except Killed:
        return True
    finally:
        event.remove(engine, "before_cursor_execute", before)
    return False


@pytest.mark.parametrize("moment", ["start", "switch", "revert"])
def test_a_kill_between_any_two_statements_leaves_what_the_next_round_goes_on_from(fleet, moment):
    fleet.add(6)
    rollout = fleet.make()
    if moment != "start":
        fleet.round(seconds=1)
        fleet.clock.go_on(seconds=5)
        fleet.poll()
    if moment == "revert":
        fleet.go(times=4)
        with fleet.write() as session:
            session.lock(Rollout, rollout).order = {"kind": "abort", "by": "ann", "mode": "revert all"}
    fleet.clock.go_on(seconds=20)  # the lease of the one that is killed
    fleet.seen()
    before, statement = dump(fleet), 1
    while killed_at(fleet, statement, fleet.reconciler.round):
        assert dump(fleet) == before
        with fleet.write() as session:
            session.lock(Rollout, rollout)  # its server has seen by now that the one that was killed is gone
        fleet.reconciler = Reconciler(fleet.state)
        statement += 1
    assert statement > 10
    assert fleet.states(rollout) == {
        "start": {"offered": 2, "waiting": 4}, "switch": {"switching": 2, "waiting": 4},
        "revert": {"reverted": 4, "reverting": 2},
    }[moment]  # fmt: skip


def test_one_of_two_workers_reconciles_and_the_other_takes_over(fleet):
    fleet.add(4)
    rollout = fleet.make()
    other = Reconciler(fleet.state)
    assert fleet.round(seconds=1) == 1
    fleet.poll()
    fleet.clock.go_on(seconds=1)
    assert other.round() == 0
    fleet.clock.go_on(seconds=20)
    assert other.round() == 1
    assert fleet.states(rollout) == {"switching": 2, "waiting": 2}


def test_a_clock_that_was_years_ahead_holds_nothing_up(fleet):
    fleet.add(4)
    right = fleet.clock.now
    fleet.clock.go_on(days=3650)
    rollout = fleet.make()
    fleet.round()
    fleet.poll()
    fleet.clock.now = right
    fleet.go(times=8)
    assert fleet.states(rollout) == {"active": 2, "waiting": 2}
    fleet.round(seconds=600)
    fleet.go(times=300, seconds=20)
    assert fleet.rollout(rollout).state == "completed"


def test_the_thread_settles_by_itself_and_ends(fleet):
    fleet.add(2)
    rollout = fleet.make(waves="100")
    fleet.clock.go_on(seconds=1)
    done = __import__("threading").Event()
    settle = Settler.settle

    def told(self, row, start=True):
        done.set()
        return settle(self, row, start)

    Settler.settle = told
    try:
        with Reconciler(fleet.state):
            assert done.wait(30)
    finally:
        Settler.settle = settle
    assert fleet.states(rollout) == {"offered": 2}


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    def __call__(self):
        return self.now

    def go_on(self, **by):
        self.now += timedelta(**by)


class World:
    """A fleet to which anything happens, and what must hold after each of it."""

    def __init__(self, folder):
        self.clock = Clock()
        state = replace(open_state(folder), clock=self.clock)
        tenant, _ = make_tenant(state, "main", "owner")
        self.fleet = Fleet(state, tenant, self.clock)
        self.fleet.add(6)
        self.fleet.add(2, good="", prefix="bare")
        self.rollouts = [self.fleet.make(waves="2d,5d,100", lease_s=300.0, soak_s=60.0)]
        self.bundle = {self.rollouts[0]: NEW}
        self.furthest, self.exposed, self.ended = {}, {}, set()
        self.told = dict.fromkeys(self.fleet.agents)
        self.old = []
        self.check()

    def names(self, mask):
        return [name for i, name in enumerate(sorted(self.fleet.agents)) if mask >> i & 1]

    def poll(self, mask, outcome, steps):
        if names := self.names(mask):
            with self.fleet.read() as session:
                self.old += [(row.name, dict(row.status), row.current) for row in session.scalars(select(Device))]
            self.fleet.poll(*names, outcome=outcome, steps=steps)

    def unheard(self, mask):
        for name in self.names(mask):
            self.fleet.agents[name].hear(self.fleet.desired(name))
            self.fleet.agents[name].step()

    def stale(self, which):
        """A report that was under way for long comes after later ones."""
        if self.old:
            name, status, current = self.old[which % len(self.old)]
            told = {"status": status, "current": current, "changed": self.clock()}
            with self.fleet.write() as session:
                session.execute(update(Device).where(Device.name == name).values(**told))

    def round(self, seconds):
        self.clock.go_on(seconds=seconds)
        self.fleet.reconciler.round()

    def restart(self, statement):
        killed_at(self.fleet, statement, self.fleet.reconciler.round)
        self.fleet.reconciler = Reconciler(self.fleet.state)

    def jump(self, seconds):
        self.clock.go_on(seconds=seconds)

    def order(self, kind, mode):
        for rollout in self.rollouts:
            row = self.fleet.rollout(rollout)
            if kind in allowed(rollout_of(row)) and row.superseded_by is None:
                self.fleet.order(rollout, kind, mode)
                return

    def sign(self, there):
        keys = self.fleet.around.keys
        keys.add(NEW) if there else keys.discard(NEW)

    def release(self, newer):
        if len(self.rollouts) < 3:
            bundle = NEWER if newer else "e" * 64
            made = self.fleet.make(bundles=(bundle,), waves="3d,100", lease_s=300.0, soak_s=60.0)
            self.rollouts.append(made)
            self.bundle[made] = bundle

    def come(self):
        if len(self.fleet.agents) < 10:
            name = f"new-{len(self.fleet.agents)}"
            self.fleet.add(1, good="", prefix=name)
            self.told[f"{name}-00000"] = None

    def check(self):
        fleet = self.fleet
        held = []
        for rollout in self.rollouts:
            row, members = fleet.rollout(rollout), fleet.members(rollout)
            self.furthest[rollout] = max(self.furthest.get(rollout, 0), row.wave)
            held += [device for device, m in members.items() if m.holds]
            flying = {d for d, m in members.items() if m.state in ("offered", "switching", "reverting")}
            if row.state not in ("rolled_back", "superseded", "cancelled", "halted"):
                assert all(members[d].holds for d in flying), "who is under way is held"
            self._exposed(rollout, row, members)
        assert len(held) == len(set(held)), "no device is held twice"
        for name in fleet.agents:
            release = fleet.desired(name)
            if release != self.told[name]:
                self._assigned(name, release)
            self.told[name] = release

    def _exposed(self, rollout, row, members):
        """Nobody runs it before its wave, and nobody begins to after its end."""
        now = set()
        for device in members:
            release = self.fleet.desired(device)
            if release and release.rollout == rollout and release.activate and release.bundle == self.bundle[rollout]:
                assert members[device].wave <= self.furthest[rollout] or members[device].ran == release.bundle
                assert row.started is not None
                now.add(device)
        if rollout in self.ended:
            assert row.state in ("halted", "rolling_back", "rolled_back", "superseded", "cancelled")
            assert now <= self.exposed[rollout], "halted is halted"
        self.exposed[rollout] = now
        if row.state in ("halted", "rolling_back", "rolled_back", "superseded", "cancelled"):
            self.ended.add(rollout)

    def _assigned(self, name, release):
        """What a device is newly told is signed, or what it ran or was told before."""
        if release is None:
            return
        bundle = self.bundle.get(release.rollout)
        member = self.fleet.members(release.rollout)[name]
        back = release.bundle == member.ran
        before = member.state in ("released", "active", "staged", "failed")
        if release.bundle == bundle and not back and not before:
            assert bundle in self.fleet.around.keys, "never an unsigned bundle"
        assert release.bundle == bundle or back


_SOME = st.integers(1, 2**10 - 1)
_OPERATIONS = st.one_of(
    st.tuples(st.just("poll"), _SOME, st.sampled_from(["ok", "ok", "ok", "network", "bundle"]), st.integers(1, 3)),
    st.tuples(st.just("round"), st.sampled_from([0, 1, 5, 30, 61, 301])),
    st.tuples(st.just("poll"), st.just(2**10 - 1), st.just("ok"), st.integers(1, 3)),
    st.tuples(st.just("round"), st.just(3)),
    st.tuples(st.just("unheard"), _SOME),
    st.tuples(st.just("stale"), st.integers(0, 500)),
    st.tuples(st.just("restart"), st.integers(1, 40)),
    st.tuples(st.just("jump"), st.sampled_from([-86400, -400, 3600, 86400])),
    st.tuples(
        st.just("order"), st.sampled_from(["pause", "resume", "advance", "abort", "cancel"]),
        st.sampled_from(["hold", "revert exposed", "revert all"]),
    ),
    st.tuples(st.just("sign"), st.booleans()),
    st.tuples(st.just("release"), st.booleans()),
    st.tuples(st.just("come")),
)  # fmt: skip


@given(operations=st.lists(_OPERATIONS, min_size=5, max_size=40))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_must_never_happen_does_not(operations):
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for name, *arguments in operations:
            getattr(world, name)(*arguments)
            world.check()
        world.fleet.around.keys.add(NEW)
        world.round(20)
        world.check()
        for rollout in world.rollouts:
            settled = []
            for _ in range(2):
                with world.fleet.write() as session:
                    Settler(session, world.fleet.around, world.clock(), 0.0).settle(session.lock(Rollout, rollout))
                settled.append(dump(world.fleet))
            assert settled[0] == settled[1], "a second settle at the same moment finds nothing to do"
        world.fleet.state.close()
