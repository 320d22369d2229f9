"""Gates on rows: whose telemetry is looked at, what a look leaves behind, and what follows from it."""

import json
import random

import pytest
from rollouts_fleet import NEW, OLD, observation
from sqlalchemy import select

from edgewright.flows.release import Decision as Told
from edgewright.hub.accounts.tables import Entry
from edgewright.hub.rollouts import gates
from edgewright.hub.rollouts.tables import Decision


def telling(fleet, share_new, share_old=0.005, requests=400):
    """Devices tell of errors, each with a level of its own."""
    draw = random.Random(7)
    own = {name: max(0.0, draw.gauss(0.0, 0.001)) for name in fleet.agents}

    def errors(name, share):
        return sum(draw.random() < share + own[name] for _ in range(requests))

    def tell(name, watch):
        now = fleet.agents[name].current
        share = share_new if now == NEW else share_old
        past = {OLD: observation(OLD, requests, errors(name, share_old))}
        return past, {now: observation(now, requests, errors(name, share))}

    fleet.around.tell = tell


@pytest.fixture
def big(fleet):
    fleet.add(120)
    return fleet


def through_the_first_wave(fleet, rollout, rounds=30):
    for _ in range(rounds):
        fleet.go(times=4, seconds=10)
        if fleet.rollout(rollout).wave or fleet.rollout(rollout).state != "wave":
            return fleet.rollout(rollout)
    raise AssertionError(fleet.rollout(rollout).look)


def test_a_release_that_fails_requests_is_halted_in_its_canary_and_taken_back(big):
    rollout = big.make(waves="20d,100")
    telling(big, share_new=0.08)
    big.round(seconds=1)
    row = through_the_first_wave(big, rollout)
    assert row.state in ("rolling_back", "rolled_back")
    big.go(times=4)
    assert big.rollout(rollout).state == "rolled_back"
    assert big.states(rollout) == {"released": 100, "reverted": 20}
    assert all(agent.good == OLD for agent in big.agents.values())
    assert big.decisions(rollout) == ["halt"]
    with big.read() as session:
        one = session.scalars(select(Decision)).one()
        told = Told.from_json(json.loads(one.told))
        assert told.digest == one.digest
        assert told.by == "gate"
        assert "errors is up" in told.why
        findings = {f["metric"]: f for f in told.evidence["findings"]}
        assert findings["errors"]["canaries"] == 20
        assert findings["errors"]["controls"] == 100
        entry = session.scalars(select(Entry).where(Entry.action == "rollout.halt")).one()
        assert json.loads(entry.actor)["kind"] == "hub"
        assert json.loads(entry.detail)["decision"] == one.digest
    assert big.rollout(rollout).look["action"] == "halt"
    course = big.rollout(rollout).look["course"]
    assert [one["at"] for one in course] == sorted(one["at"] for one in course)
    assert course[-1]["log_e"] == big.rollout(rollout).look["log_e"] >= course[-1]["needed"]
    assert big.watches() == {}


def test_a_release_that_does_no_worse_passes(big):
    rollout = big.make(waves="20d,100")
    telling(big, share_new=0.005)
    big.round(seconds=1)
    row = through_the_first_wave(big, rollout)
    assert (row.state, row.wave) == ("wave", 1)
    assert big.decisions(rollout) == ["advance"]


def test_a_release_that_will_not_install_is_halted(big):
    rollout = big.make(waves="20d,100", max_failure=0.02)
    big.round(seconds=1)
    big.poll(steps=2)
    big.round(seconds=1)
    big.poll(steps=2, outcome="bundle")
    big.go(times=3, seconds=31)
    assert big.rollout(rollout).state == "rolled_back"
    assert "20 of 20 devices failed" in big.rollout(rollout).look["why"]


def test_the_watch_begins_with_the_first_switch_and_goes_with_the_wave(big):
    rollout = big.make(waves="20d,60d,100", soak_s=60.0)
    big.round(seconds=1)
    assert big.watches() == {}
    big.go(times=1)
    ((name, (devices, since)),) = big.watches().items()
    assert (name, since) == (f"{rollout}/0", big.clock())
    rows = big.members(rollout)
    assert len(devices) == 120
    assert sum(rows[d].wave == 0 for d in devices) == 20
    big.go(times=4)
    big.order(rollout, "advance")
    assert big.watches() == {}
    big.go(times=3)
    assert list(big.watches()) == [f"{rollout}/1"]


@pytest.mark.parametrize(
    ("soak_s", "devices", "every_s"),
    [(600.0, 10, 60.0), (20.0, 10, 5.0), (600.0, 4000, 60.0), (60.0, 4000, 40.0), (0.0, 10, 0.0)],
)
def test_devices_tell_often_enough_for_a_soak_and_are_no_load_together(soak_s, devices, every_s):
    assert gates.every_s(soak_s, devices) == every_s


def test_after_a_pause_the_gate_looks_with_fresh_eyes(big):
    rollout = big.make(waves="20d,100")
    big.round(seconds=1)
    big.go(times=6)
    assert big.rollout(rollout).phase == "soak"
    began = big.rollout(rollout).watched
    big.order(rollout, "pause")
    big.go(times=6)
    big.order(rollout, "resume")
    assert big.rollout(rollout).watched == big.clock().timestamp() > began


def test_a_verdict_on_what_has_moved_on_is_not_used(big):
    rollout = big.make(waves="20d,100")
    telling(big, share_new=0.2)
    big.round(seconds=1)
    big.go(times=6)
    with big.read() as session:
        row = session.find(type(big.rollout(rollout)), rollout)
        look = gates.look(session, big.around, row, big.clock())
    assert look.fits(big.rollout(rollout))
    big.order(rollout, "pause")
    assert not look.fits(big.rollout(rollout))


def test_arms_are_bounded_and_drawn_from_all_strata(big, monkeypatch):
    monkeypatch.setattr(gates, "MOST", 30)
    big.add(60, target="pi4", prefix="small")
    big.make(waves="90d,100")
    big.round(seconds=1)
    big.go(times=2)
    ((devices, _),) = big.watches().values()
    assert len(devices) == 60
    small = sum(name.startswith("small") for name in devices)
    assert abs(small - 20) <= 2
