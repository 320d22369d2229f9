"""Gates on a small simulated fleet: what is worse halts, what is not does not, nobody alone decides. Seeded."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgewright.core.sketches import Sketch
from edgewright.flows.release import (
    METRICS,
    Budget,
    Decision,
    DoubtCurve,
    Installs,
    Metric,
    Reading,
    Series,
    doubt_of,
    expecting,
    fit_doubt,
    judge,
    share,
    shares,
)  # fmt: skip
from edgewright.flows.release.metrics import INSTALL_WEIGHT

WELL = Installs(20, 0, 20, 0, 0, 0.02)


def fleet(seed=0, devices=200, canaries=20, n=200, worse=0.0, drift=0.0, faster=0.0, own=0.02):
    """Shares of doubt around 10%, of each device's own; ``worse`` on canaries, ``drift`` on all after the switch."""
    rng = np.random.default_rng(seed)
    base = np.clip(0.1 + rng.normal(0, 0.04, devices), 0.01, 0.5)
    made = []
    for i in range(devices):
        canary = i < canaries
        after = np.clip(base[i] + drift + worse * canary + rng.normal(0, own), 0, 1)
        speed = rng.normal(3, 0.3)
        made.append(Reading(
            f"d{i}", "canary" if canary else "control", "ab"[i % 2],
            {"doubt": share(rng.binomial(n, base[i]), n), "latency": Series(n, speed + rng.normal(0, 0.05)),
             "errors": share(rng.binomial(n, 0.002), n), **shares("predictions", rng.multinomial(n, [0.5, 0.3, 0.2]))},
            {"doubt": share(rng.binomial(n, after), n), "errors": share(rng.binomial(n, 0.002), n),
             "latency": Series(n, speed - faster * canary + rng.normal(0, 0.05)),
             **shares("predictions", rng.multinomial(n, [0.5, 0.3, 0.2]))},
        ))  # fmt: skip
    return made


def test_weights_are_a_budget():
    assert INSTALL_WEIGHT + sum(m.weight for m in expecting({"confidence": -0.1})) <= 1 + 1e-9
    assert sum(Budget().of_wave(w) for w in range(20)) <= 0.01


def test_a_release_that_is_well_advances():
    verdict = judge(WELL, fleet())
    assert verdict.action == "advance" and not verdict.drifts
    assert verdict.why == "no worse than devices that run on unchanged, by 4 metrics"


def test_a_worse_one_halts_and_says_why():
    verdict = judge(WELL, fleet(worse=0.08))
    assert verdict.action == "halt"
    assert verdict.why.startswith("doubt is up by ") and "20 devices against 180 devices that run on" in verdict.why
    found = {f.metric: f for f in verdict.findings}["doubt"]
    assert found.low < 0.08 < found.high and not found.drifting


def test_of_harmless_releases_few_halt_and_of_worse_ones_most():
    assert sum(judge(WELL, fleet(seed)).action == "halt" for seed in range(60)) == 0
    assert sum(judge(WELL, fleet(seed, worse=0.008)).action == "halt" for seed in range(60)) <= 1
    assert sum(judge(WELL, fleet(seed, worse=0.06)).action == "halt" for seed in range(60)) >= 57


def test_what_moves_in_both_arms_is_drift():
    verdict = judge(WELL, fleet(drift=0.1, n=1000))
    assert verdict.action == "advance" and len(verdict.drifts) == 1
    assert verdict.drifts[0].endswith("on unchanged devices too: drift, not regression") and "up by" in verdict.why
    assert judge(WELL, fleet(drift=0.1, worse=0.08)).action == "halt"


def test_slower_answers_halt_and_faster_ones_do_not():
    slower, faster = judge(WELL, fleet(faster=-0.5)), judge(WELL, fleet(faster=0.5))
    assert slower.action == "halt" and slower.why.startswith("latency is up by 6") and "%" in slower.why
    assert faster.action == "advance"


FORGED = st.one_of(st.just(math.nan), st.floats(allow_nan=False), st.sampled_from([0.0, 1.0, 1e308, -1e308]))


@given(st.integers(0, 199), FORGED, FORGED, FORGED, st.sampled_from([1, 200, 10**6, 2**62]))
@example(0, math.nan, 1.0, 0.0, 1)
def test_nobody_alone_moves_a_gate_by_more_than_a_little(which, before, after, variance, n):
    """One device may report anything, in either arm: it can make a gate wait, and no longer than until that took long
    enough; it halts nothing, and the evidence moves by a bounded amount."""
    honest = HONEST if HONEST else HONEST.extend(fleet()) or HONEST
    forged = list(honest)
    lie = {"doubt": Series(n, after, variance), "predictions/7": Series(n, after, variance)}
    forged[which] = replace(honest[which], before={"doubt": Series(n, before, variance)}, after=lie)
    first, second = judge(WELL, honest), judge(WELL, forged)
    assert first.action == "advance" and second.action != "halt" and math.isfinite(second.log_e)
    assert judge(WELL, forged, overdue=True).action == "advance"
    at = {f.metric: f for f in first.findings}["doubt"], {f.metric: f for f in second.findings}["doubt"]
    spread = at[0].high - at[0].low
    assert abs(at[0].shift - at[1].shift) <= 0.35 * spread
    assert at[1].high - at[1].low >= 0.7 * spread


HONEST: list[Reading] = []


def test_one_forger_hides_no_regression():
    honest = fleet(worse=0.1)
    for which in (0, 100):
        forged = list(honest)
        forged[which] = replace(honest[which], after={"doubt": Series(10**9, -1e9, 1e-300)})
        assert judge(WELL, forged).action == "halt"


def test_a_twin_that_is_expected_to_be_less_sure_is_not_halted():
    rng = np.random.default_rng(0)

    def one(i, shift):
        canary = i < 20
        return Reading(f"d{i}", "canary" if canary else "control", "",
                       {"confidence": Series(200, 0.9 + rng.normal(0, 0.01), 0.02)},
                       {"confidence": Series(200, 0.9 + shift * canary + rng.normal(0, 0.01), 0.02)})  # fmt: skip

    def action(shift, expected):
        return judge(WELL, [one(i, shift) for i in range(200)], metrics=expecting(expected)).action

    assert action(-0.1, {"confidence": -0.1}) == "advance"
    assert action(-0.1, {"confidence": 0.0}) == "halt"
    assert action(-0.1, {}) != "halt"
    with pytest.raises(ValueError, match="no metric is called 'mood'"):
        expecting({"mood": 1.0})


def test_a_class_that_is_chosen_more_often_halts():
    rng = np.random.default_rng(1)
    made = []
    for i in range(200):
        p = [0.5, 0.3, 0.2] if i >= 20 else [0.4, 0.3, 0.3]
        made.append(Reading(f"d{i}", "canary" if i < 20 else "control", "",
                            shares("predictions", rng.multinomial(300, [0.5, 0.3, 0.2])),
                            shares("predictions", rng.multinomial(300, p))))  # fmt: skip
    verdict = judge(WELL, made)
    assert verdict.action == "halt" and verdict.why.startswith("predictions/")


def test_shadow_disagreement_needs_no_controls():
    rng = np.random.default_rng(2)

    def action(p, expected=0.0):
        made = [
            Reading(f"d{i}", "canary", "", {}, {"disagreement": share(rng.binomial(100, p), 100)}) for i in range(20)
        ]
        return judge(WELL, made, metrics=expecting({"disagreement": expected})).action

    assert [action(0.005), action(0.09), action(0.09, 0.08)] == ["advance", "halt", "advance"]


def test_a_fleet_of_three_is_judged_by_what_its_inferences_tell():
    """One canary, two controls: a model that fell apart is seen; a small loss is not, and nothing is claimed of it."""
    one = Installs(1, 0, 1, 0, 0, 0.02)
    assert judge(one, fleet(devices=3, canaries=1, n=500, worse=0.5, own=0.0)).action == "halt"
    assert judge(one, fleet(devices=3, canaries=1, n=500, own=0.0)).action in ("hold", "advance")
    late = judge(one, fleet(devices=3, canaries=1, n=500, own=0.0), overdue=True)
    assert late.action == "advance" and late.why.startswith("nothing speaks against it, though little is known of")


def test_nothing_told_is_waited_for_and_then_said():
    assert judge(WELL, []).action == "hold"
    assert judge(WELL, [], overdue=True).why == "installations went well; nothing is known of its answers yet"
    assert judge(Installs(0, 0, 0, 0, 1, 0.1), [], overdue=True).why.startswith("no device has taken the release yet")


@pytest.mark.parametrize(
    ("installs", "action"),
    [(Installs(50, 0, 50, 0, 0, 0.02), "advance"), (Installs(50, 1, 49, 0, 0, 0.02), "advance"),
     (Installs(1, 0, 1, 1, 0, 0.02), "hold"), (Installs(50, 0, 50, 4, 0, 0.02), "hold"),
     (Installs(50, 0, 50, 12, 0, 0.02), "halt"), (Installs(50, 12, 38, 0, 0, 0.02), "halt"),
     # Twenty quick failures among a thousand that are still fetching are no proof: most answers are still to come.
     (Installs(1000, 20, 0, 0, 980, 0.02), "advance"), (Installs(1000, 0, 20, 20, 980, 0.02), "halt"),
     (Installs(10, 0, 10, 1, 0, 0.0), "halt")],
)  # fmt: skip
def test_installations(installs, action):
    assert judge(installs, fleet()).action == action


def test_quick_failures_do_not_halt_a_fleet_that_fails_within_its_limit():
    """Failures are told at once, successes late: 200 fleets, a look after each answer, at a true share of 2%."""
    rng = np.random.default_rng(3)
    halted = 0
    for _ in range(100):
        failed = int((rng.random(500) < 0.02).sum())
        looks = [Installs(500, 0, 500, k, 500 - k, 0.02) for k in range(failed + 1)]
        halted += any(judge(look, []).action == "halt" for look in looks)
    assert halted <= 1


@given(st.randoms(use_true_random=False))
def test_the_order_of_readings_does_not_matter(random):
    made = fleet(devices=60, canaries=12)
    shuffled = list(made)
    random.shuffle(shuffled)
    assert judge(WELL, shuffled) == judge(WELL, made)


def test_a_verdict_becomes_a_decision_that_can_be_read_again():
    verdict = judge(WELL, fleet(worse=0.08))
    decision = Decision("halt", "r1", 0, 1.7e9, verdict.why, evidence=verdict.evidence)
    again = Decision.from_json(json.loads(json.dumps(decision.to_json(), allow_nan=False)))
    assert again == decision and again.digest == decision.digest
    assert decision.sentence().startswith("Rollout r1 was halted in wave 1: doubt is up by ")
    for bad in ({}, {**decision.to_json(), "kind": "bless"}, {**decision.to_json(), "sentence": "all is well"}):
        with pytest.raises(ValueError):
            Decision.from_json(bad)


def test_doubt_is_the_live_error_and_the_same_for_a_recalibrated_model():
    rng = np.random.default_rng(4)
    lead = rng.exponential(2, 8000)
    wrong = rng.random(8000) < 1 / (1 + np.exp(0.2 + 1.1 * lead))
    told = []
    for temperature in (0.5, 1.0, 2.0):
        curve = fit_doubt(lead[:4000] / temperature, wrong[:4000])
        assert curve.slope == pytest.approx(1.1 * temperature, rel=0.15)
        sketch = Sketch()
        sketch.add(lead[4000:] / temperature)
        found = doubt_of(sketch, curve)
        assert found.n == 4000 and found.mean == pytest.approx(wrong[4000:].mean(), abs=0.015)
        assert found.mean == pytest.approx(curve.of(lead[4000:] / temperature).mean(), abs=0.001)
        told.append(found.mean)
    assert max(told) - min(told) < 0.001


def test_curves_of_doubt_where_there_is_little_to_fit():
    assert 0 < fit_doubt([1.0, 2.0, 3.0], [False] * 3).of([2.0])[0] < 0.5
    assert fit_doubt([0.0, 0.0], [True, False]).of([0.0])[0] == pytest.approx(0.5)
    assert fit_doubt([1.0, 9.0], [False, True]).slope == 0  # less sure and right: no curve turns doubt around
    assert doubt_of(Sketch(), DoubtCurve(0.0, 1.0)).n == 0
    for leads, wrong in (([], []), ([1.0], []), ([math.nan], [True])):
        with pytest.raises(ValueError, match="held-out leads"):
            fit_doubt(leads, wrong)


def test_metrics_that_make_no_sense_are_refused():
    for bad in ({"margin": 0.0}, {"weight": 1.5}, {"expected": math.nan}):
        with pytest.raises(ValueError, match="needs a margin"):
            replace(METRICS[0], **bad)
    assert isinstance(METRICS[0], Metric)
    with pytest.raises(ValueError, match="go together"):
        Installs(1, 2, 1, 0, 0, 0.1)
