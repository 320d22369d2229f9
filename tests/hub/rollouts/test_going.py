"""Rollouts from being made to their end, with devices that follow the hub's word."""

from types import SimpleNamespace

import pytest
from rollouts_fleet import NEW, NEWER, OLD, SMALL
from sqlalchemy import select, update

from edgewright.core.errors import InputError
from edgewright.hub.accounts.audit import Actor
from edgewright.hub.accounts.tables import Entry
from edgewright.hub.errors import Conflict
from edgewright.hub.fleet.tables import Device
from edgewright.hub.rollouts import orders
from edgewright.hub.rollouts.tables import Decision, Member, Rollout


def started(fleet, count=10, **policy):
    fleet.add(count)
    rollout = fleet.make(**policy)
    fleet.round(seconds=1)
    return rollout


def finish(fleet, rollout):
    """Through all its waves: gates let it pass, as nobody tells anything that speaks against it."""
    for _ in range(40):
        fleet.go(times=3)
        if fleet.rollout(rollout).state == "completed":
            fleet.go(times=6)
            return
        fleet.round(seconds=600)
    raise AssertionError(fleet.rollout(rollout).state, fleet.states(rollout))


def test_a_wave_is_offered_staged_switched_and_the_next_one_waits_for_the_gate(fleet):
    rollout = started(fleet)
    assert fleet.states(rollout) == {"offered": 2, "waiting": 8}
    name, member = next(iter(fleet.members(rollout, "offered").items()))
    release = fleet.desired(name)
    assert (release.rollout, release.bundle, release.activate, release.attempt) == (rollout, NEW, False, 1)
    assert (release.trial_s, dict(release.guardrails)) == (60.0, {"errors": 0.1})
    assert (member.ran, member.holds) == (OLD, True)
    fleet.go(times=2)
    assert fleet.states(rollout) == {"switching": 2, "waiting": 8}
    assert fleet.desired(name).activate
    fleet.go(times=3)
    assert fleet.states(rollout) == {"active": 2, "waiting": 8}
    assert fleet.rollout(rollout).phase == "soak"
    fleet.go(times=10)
    assert fleet.states(rollout) == {"active": 2, "waiting": 8}


def test_it_comes_to_its_end_and_says_why(fleet):
    rollout = started(fleet)
    finish(fleet, rollout)
    assert fleet.states(rollout) == {"active": 10}
    assert fleet.decisions(rollout) == ["advance", "complete"]
    assert {agent.good for agent in fleet.agents.values()} == {NEW}
    with fleet.read() as session:
        told = session.scalars(select(Entry.action).where(Entry.subject == rollout).order_by(Entry.number)).all()
        assert told == ["rollout.started", "rollout.advance", "rollout.complete"]
        one = session.scalars(select(Decision)).first()
        detail = session.scalars(select(Entry.detail).where(Entry.action == "rollout.advance")).one()
        assert one.digest in detail
    assert fleet.watches() == {}
    assert not any(member.holds for member in fleet.members(rollout).values())


def test_nothing_is_offered_before_the_key_has_signed(fleet):
    fleet.around.keys.discard(NEW)
    rollout = started(fleet)
    assert fleet.rollout(rollout).state == "awaiting_signature"
    assert fleet.around.proposed == [([NEW], rollout)]
    fleet.round(times=3, seconds=60)
    assert fleet.states(rollout) == {"waiting": 10}
    fleet.around.keys.add(NEW)
    fleet.round(seconds=1)
    assert fleet.states(rollout) == {"offered": 2, "waiting": 8}


def test_a_bundle_that_was_withdrawn_goes_to_no_more_devices(fleet):
    rollout = started(fleet)
    fleet.around.keys.discard(NEW)
    fleet.go(times=20)
    assert fleet.states(rollout) == {"staged": 2, "waiting": 8}
    assert all(agent.good == OLD for agent in fleet.agents.values())


def test_each_device_gets_the_variant_for_its_hardware(fleet):
    fleet.add(4, target="pi4", prefix="small")
    fleet.add(4, target="pi5", prefix="large")
    rollout = fleet.make(bundles=(NEW, SMALL), waves="100")
    fleet.round(seconds=1)
    assert {d: m.bundle for d, m in fleet.members(rollout).items()} == {
        **{f"small-{i:05d}": SMALL for i in range(4)}, **{f"large-{i:05d}": NEW for i in range(4)}
    }  # fmt: skip
    only = fleet.make(bundles=(SMALL,), waves="100", name="small-only")
    assert set(fleet.members(only)) == {f"small-{i:05d}" for i in range(4)}


def test_variants_that_do_not_go_together_are_refused(fleet):
    fleet.add(1)
    with pytest.raises(InputError, match="for any hardware"):
        fleet.make(bundles=(NEW, NEWER))
    with pytest.raises(InputError, match="one name"):
        fleet.make(bundles=(NEW, "e" * 64))
    with pytest.raises(InputError, match="no device"):
        fleet.make(group="nobody")
    with pytest.raises(InputError, match="wave"):
        fleet.make(waves="1,2")


def test_a_device_that_runs_it_already_answers_at_once(fleet):
    fleet.add(3, good=NEW)
    rollout = fleet.make(waves="100")
    fleet.round(seconds=1)
    fleet.go(times=4)
    assert fleet.states(rollout) == {"active": 3}
    assert all(agent.ran == [] for agent in fleet.agents.values())


def test_a_passing_failure_is_tried_again_and_a_bad_bundle_is_not(fleet):
    rollout = started(fleet, waves="5d,100", max_failure=0.9)
    first, second = sorted(fleet.members(rollout, "offered"))[:2]
    fleet.poll(first, outcome="network")
    fleet.round(seconds=1)
    assert fleet.members(rollout)[first].failure == "network"
    fleet.round(times=8, seconds=10)
    assert (fleet.members(rollout)[first].state, fleet.desired(first).attempt) == ("offered", 2)
    fleet.go(times=2)
    fleet.poll(second, steps=2, outcome="bundle")
    fleet.go(times=2)
    member = fleet.members(rollout)[second]
    assert (member.state, member.failure, member.switched) == ("failed", "bundle", True)
    assert fleet.desired(second).bundle == NEW
    fleet.go(times=40)
    assert fleet.members(rollout)[second].attempt == 1
    assert fleet.agents[second].good == OLD


def test_silence_is_a_failure_once_the_lease_is_over_but_not_for_the_time_the_hub_was_down(fleet):
    rollout = started(fleet)
    fleet.round(seconds=899)
    assert fleet.states(rollout) == {"offered": 2, "waiting": 8}
    fleet.round(seconds=2)
    assert {m.failure for m in fleet.members(rollout, "failed").values()} == {"silent"}


def test_pausing_holds_everything_and_resuming_goes_on(fleet):
    rollout = started(fleet)
    fleet.order(rollout, "pause")
    fleet.go(times=10)
    assert fleet.states(rollout) == {"staged": 2, "waiting": 8}
    fleet.order(rollout, "resume")
    fleet.go(times=3)
    assert fleet.states(rollout) == {"active": 2, "waiting": 8}


@pytest.mark.parametrize("mode", ["hold", "revert exposed", "revert all"])
def test_an_abort_does_with_devices_what_it_says(fleet, mode):
    rollout = started(fleet)
    fleet.go(times=5)
    exposed = sorted(fleet.members(rollout, "active"))
    assert len(exposed) == 2
    fleet.order(rollout, "abort", mode)
    fleet.go(times=4)
    row = fleet.rollout(rollout)
    if mode == "hold":
        assert (row.state, fleet.states(rollout)) == ("halted", {"active": 2, "released": 8})
        assert all(fleet.agents[name].good == NEW for name in exposed)
    else:
        assert row.state == "rolled_back"
        assert fleet.states(rollout) == (
            {"reverted": 2, "released": 8} if mode == "revert exposed" else {"reverted": 10}
        )
        assert all(agent.good == OLD for agent in fleet.agents.values())
        untouched = next(name for name in fleet.agents if name not in exposed)
        assert fleet.desired(untouched) is None


def test_devices_that_had_nothing_go_back_to_serving_nothing(fleet):
    fleet.add(4, good="")
    rollout = fleet.make(waves="2d,100")
    fleet.round(seconds=1)
    fleet.go(times=5)
    name = min(fleet.members(rollout, "active"))
    fleet.order(rollout, "abort", "revert exposed")
    assert (fleet.desired(name).bundle, fleet.desired(name).activate) == ("", True)
    fleet.go(times=3)
    assert fleet.agents[name].good == ""
    assert fleet.rollout(rollout).state == "rolled_back"


def test_a_taken_back_offer_gives_the_release_before_back(fleet):
    first = started(fleet, waves="100")
    finish(fleet, first)
    second = fleet.make(bundles=(NEWER,), name="faults-1.2")
    fleet.round(seconds=1)
    name = min(fleet.members(second, "offered"))
    assert fleet.desired(name).bundle == NEWER
    fleet.order(second, "abort", "hold")
    assert (fleet.desired(name).rollout, fleet.desired(name).bundle) == (first, NEW)
    fleet.go(times=3)
    assert fleet.agents[name].good == NEW


def test_a_device_is_busy_while_another_rollout_holds_it(fleet):
    first = started(fleet)
    other = fleet.make(bundles=("e" * 64,), name="doors-2")
    fleet.round(times=3, seconds=3)
    assert fleet.states(other) == {"waiting": 10}
    finish(fleet, first)
    fleet.go(times=4)
    assert fleet.states(other) == {"active": 2, "waiting": 8}


def test_a_newer_release_of_the_same_bundle_takes_the_place_of_one_under_way(fleet):
    first = started(fleet)
    fleet.go(times=5)
    active = sorted(fleet.members(first, "active"))
    second = fleet.make(bundles=(NEWER,), name="faults-1.2", waves="100")
    fleet.go(times=8)
    assert fleet.rollout(first).state == "superseded"
    assert fleet.rollout(first).superseded_by == second
    assert fleet.states(first) == {"active": 2, "released": 8}
    assert fleet.states(second) == {"active": 10}
    assert fleet.members(second)[active[0]].ran == NEW


def test_the_index_lets_no_two_rollouts_hold_one_device(fleet):
    first = started(fleet)
    other = fleet.make(bundles=("e" * 64,), name="doors-2")
    with pytest.raises(Exception, match=r"(?i)unique"), fleet.write() as session:
        session.execute(update(Member).where(Member.rollout == other).values(holds=True))
    assert all(m.holds for m in fleet.members(first).values())


def test_who_comes_later_is_taken_in_and_gets_what_the_group_runs(fleet):
    rollout = started(fleet)
    finish(fleet, rollout)
    fleet.add(1, good="", prefix="late")
    fleet.round(seconds=11)
    fleet.go(times=5)
    assert fleet.agents["late-00000"].good == NEW
    second = fleet.make(bundles=(NEWER,), name="faults-1.2", waves="2d,100")
    fleet.round(seconds=1)
    fleet.add(1, good="", prefix="later")
    fleet.go(times=8, seconds=3)
    assert fleet.agents["later-00000"].good == NEW, "what the group runs now, until its wave comes"
    assert fleet.members(second)["later-00000"].wave >= fleet.rollout(second).wave
    finish(fleet, second)
    assert {agent.good for agent in fleet.agents.values()} == {NEWER}
    assert fleet.rollout(rollout).superseded_by == second


def test_a_straggler_gets_the_newest_completed_release_and_no_older_one(fleet):
    first = started(fleet, waves="100")
    away = "dev-00009"
    with fleet.write() as session:
        session.execute(update(Device).where(Device.name == away).values(seen=None))
    others = [name for name in fleet.agents if name != away]

    def all_but_one(times=6):
        for _ in range(times):
            fleet.clock.go_on(seconds=5)
            fleet.poll(*others, steps=2)
            fleet.reconciler.round()

    def until_completed(rollout):
        for _ in range(30):
            all_but_one(3)
            fleet.clock.go_on(seconds=600)
            if fleet.rollout(rollout).state == "completed":
                return

    fleet.round()
    for rollout in (first, second := fleet.make(bundles=(NEWER,), name="faults-1.2", waves="100")):
        until_completed(rollout)
    assert fleet.rollout(second).state == "completed"
    fleet.go(times=8, seconds=20)
    assert fleet.agents[away].good == NEWER
    assert fleet.agents[away].ran == [NEWER]


def test_needs_and_conflicts_are_held(fleet):
    first = started(fleet, waves="100")
    finish(fleet, first)
    fleet.add(2, good=OLD, prefix="plain", group="apart")
    with fleet.write() as session:  # they are of another group, and nothing was released to it
        session.execute(update(Rollout).values(superseded_by="rol_" + "0" * 26, due=None))
    needing = fleet.make(bundles=("e" * 64,), name="doors-2", waves="100", needs=("faults-1.1",))
    fleet.go(times=6)
    assert {d for d, m in fleet.members(needing).items() if m.state == "waiting"} == {"plain-00000", "plain-00001"}


def test_a_revoked_device_is_no_longer_asked(fleet):
    rollout = started(fleet, waves="100")
    with fleet.write() as session:
        session.execute(update(Device).where(Device.name == "dev-00003").values(revoked=fleet.clock()))
    fleet.round(seconds=3)
    assert fleet.members(rollout)["dev-00003"].state == "skipped"
    finish(fleet, rollout)


def test_a_window_is_waited_for_in_the_devices_own_time(fleet):
    fleet.add(2)
    rollout = fleet.make(waves="100", window="02:00-04:00", lease_s=9e4)
    fleet.round(seconds=1)
    fleet.go(times=5)
    assert fleet.states(rollout) == {"staged": 2}
    assert fleet.desired("dev-00000").window == "02:00-04:00"
    fleet.clock.now = fleet.clock.now.replace(hour=2, minute=1, day=22)
    fleet.go(times=2)
    assert fleet.states(rollout) in ({"switching": 2}, {"active": 2})


def test_what_devices_came_back_to_can_be_taken_back_too(fleet):
    fleet.add(4)
    first = fleet.make(waves="100", soak_s=1.0)
    fleet.go(times=8)
    assert fleet.rollout(first).state == "completed"
    second = fleet.make(bundles=(NEWER,), waves="100", soak_s=3600.0)
    fleet.go(times=5)
    fleet.order(second, "abort", "revert all")
    fleet.go(times=5)
    assert {agent.good for agent in fleet.agents.values()} == {NEW}
    fleet.order(first, "abort", "revert all")
    fleet.go(times=5)
    assert fleet.rollout(first).state == "rolled_back"
    assert {agent.good for agent in fleet.agents.values()} == {OLD}


def test_taking_back_what_nobody_has_is_refused(fleet):
    fleet.add(2)
    first = fleet.make(waves="100", soak_s=1.0)
    fleet.go(times=8)
    assert fleet.rollout(first).state == "completed"
    with fleet.write() as session:
        for row in session.scalars(select(Member).where(Member.rollout == first)):
            row.holds = False
        for row in session.scalars(select(Device)):
            row.rollout, row.current = "rol_" + "1" * 26, NEWER  # another one has been there
    caller = SimpleNamespace(state=fleet.state, now=fleet.clock(), actor=Actor("user", "usr_1", "ann"))
    with pytest.raises(Conflict, match="nothing to take back"), fleet.write() as session:
        orders.order(session, caller, session.lock(Rollout, first), "abort", "revert all")
    assert fleet.rollout(first).state == "completed"
