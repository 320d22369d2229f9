"""The seam: rollouts on the real library and the real telemetry."""

import math

import numpy as np
import pytest
from rollouts_fleet import NEW, OLD, Standin
from sqlalchemy import select

from edgewright.bundles import HeldOut
from edgewright.core.doubt import DoubtCurve
from edgewright.core.messages import Observation, Report
from edgewright.core.messages.observations import Series
from edgewright.hub.fleet import telemetry
from edgewright.hub.fleet.tables import Device
from edgewright.hub.library.tables import Bundle, Hold, Pending
from edgewright.hub.rollouts.around import Around


def bundle(digest, version, **more):
    return Bundle(
        digest=digest, file=digest[::-1], length=1, name="faults", version=version, hardware=[], engines=[],
        signer="ef" * 32, evidence={}, files={}, **more,
    )  # fmt: skip


def test_bundles_are_proposed_held_and_let_go_again(fleet):
    fleet.around.__class__ = Around
    fleet.add(4)
    with fleet.write() as session:
        session.add_all([bundle(OLD, "1.0", made=fleet.clock(), released=True), bundle(NEW, "1.1", made=fleet.clock())])
    rollout = fleet.make()
    fleet.round(seconds=1)
    assert fleet.rollout(rollout).state == "awaiting_signature"

    def rows(kind, column):
        with fleet.read() as session:
            return sorted(session.scalars(select(column).select_from(kind)))

    assert rows(Pending, Pending.bundle) == [NEW]
    with fleet.write() as session:  # what the library does when the release key has signed
        session.find(Bundle, NEW).released = True
    fleet.round(seconds=1)
    assert fleet.states(rollout) == {"offered": 2, "waiting": 2}
    assert rows(Hold, Hold.bundle) == [OLD, NEW], "the way back is kept, too"
    fleet.order(rollout, "abort", "revert all")
    fleet.go(times=3)
    assert fleet.rollout(rollout).state == "rolled_back"
    assert rows(Hold, Hold.bundle) == []


class Real(Standin):
    """The library stands in; telemetry is the real one."""

    watch, watched, unwatch = Around.watch, Around.watched, Around.unwatch


@pytest.mark.parametrize(("errors", "end"), [(0.1, "rolled_back"), (0.004, "wave")])
def test_what_devices_report_halts_a_release_that_is_worse_and_no_other(fleet, errors, end):
    fleet.around.__class__ = Real
    fleet.add(60)
    with fleet.write() as session:
        session.add_all([bundle(OLD, "1.0", made=fleet.clock()), bundle(NEW, "1.1", made=fleet.clock())])
    rollout = fleet.make(waves="20d,100")
    draw = np.random.default_rng(3)
    sequence = 0

    def report():
        nonlocal sequence
        now = fleet.clock()
        for name, agent in fleet.agents.items():
            share = errors if agent.current == NEW else 0.004
            counters = {"requests": 300, "errors": int(draw.binomial(300, share))}
            seen = Observation("faults", agent.current, now.timestamp() - 20, 20.0, counters)
            with fleet.write() as session:
                telemetry.take(session, [telemetry.Told(name, Report("boot", sequence, (seen,)), now)])
        sequence += 1

    def periods():
        with fleet.read() as session:
            return set(session.scalars(select(Device.watched_s)))

    report()
    assert periods() == {0.0}
    for _ in range(12):
        fleet.go(times=2, seconds=30)
        report()
        if fleet.rollout(rollout).watch:
            assert periods() == {60.0}, "ten times in a soak of ten minutes, canaries and controls"
        if fleet.rollout(rollout).state != "wave" or fleet.rollout(rollout).wave:
            break
    fleet.go(times=3)
    row = fleet.rollout(rollout)
    assert row.state == end
    assert (periods() == {0.0}) == (not row.watch)
    if end == "rolled_back":
        assert not row.watch
        findings = {one["metric"]: one for one in row.look["evidence"]["findings"]}
        assert (findings["errors"]["canaries"], findings["errors"]["controls"]) == (20, 40)
        assert fleet.states(rollout) == {"released": 40, "reverted": 20}
    else:
        assert "errors" not in row.look["why"]


def test_readings_take_the_bundles_own_curve_and_expectations_its_held_out_answers():
    curve = DoubtCurve(1.0, 2.0)
    old, new = (HeldOut(curve, 100, 0.9, confidence, 0.1, "data").to_json() for confidence in (0.8, 0.7))
    told = Observation("faults", NEW, 0.0, 60.0, {"requests": 10}, {"ok": 10}, {"lead": Series.of([0.5] * 10)})
    made = Around().readings(told, {"held_out": new})
    assert math.isclose(made["doubt"].mean, float(curve.of([0.5])[0]), rel_tol=0.02)
    assert "doubt" not in Around().readings(told, {})
    assert "doubt" not in Around().readings(told, {"held_out": {"schema": "of another release"}})
    assert math.isclose(Around().expected({"held_out": new}, {"held_out": old})["confidence"], -0.1)
    assert Around().expected({"held_out": new}, {}) == {}
