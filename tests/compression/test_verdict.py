"""Verdicts: every constraint told, no false win, a front that nobody beats, a choice that follows the weights."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.compression.verdict import Preference, judge, nearest, pareto, refuse_false_wins
from edgewright.core.candidate import Candidate, Constraint
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import EngineOptions

SPEC = TensorSpec("x", "float32", (1,))
MODEL = Model("onnx", "m", {"m": b"graph"}, Signature((SPEC,), (SPEC,)))
UNITS = {"latency_ms": "ms", "size_bytes": "B", "ram_bytes": "B", "energy_mj": "mJ", "accuracy_drop": "points"}
FAST = Constraint("latency_ms", "max", 2.0, "ms")
SMALL = Constraint("ram_bytes", "max", 1000.0, "B")


def candidate(name="a", passes=("simplify",), spread=0.0, refused=(), conditions=None, **figures):
    metrics = {
        metric: Measurement(
            value, UNITS[metric], "measured", 10, value * (1 - spread), value * (1 + spread),
            conditions=(conditions or {}) if metric == "latency_ms" else {},
        )
        for metric, value in figures.items()
    }  # fmt: skip
    steps = tuple({"pass": p} if isinstance(p, str) else p for p in passes)
    return Candidate(name, steps, MODEL, "onnxruntime", EngineOptions(), metrics, (), tuple(refused))


def latency(value, spread=0.0):
    return Measurement(value, "ms", "measured", 10, value * (1 - spread), value * (1 + spread))


def reasons(candidates, baseline):
    return {c.id: c.refused for c in refuse_false_wins(candidates, baseline)}


@st.composite
def pools(draw):
    """Candidates with latency, size and drop, some with memory or energy, some refused."""
    figure = st.integers(1, 6).map(float)
    made = []
    for i in range(draw(st.integers(0, 8))):
        figures = {m: draw(figure) for m in ("latency_ms", "size_bytes", "accuracy_drop")}
        figures |= {m: draw(figure) for m in ("ram_bytes", "energy_mj") if draw(st.booleans())}
        made.append(candidate(f"{i}", refused=draw(st.sampled_from([(), (), (), ("no",)])), **figures))
    return made


def test_a_clause_for_every_constraint_known_or_not():
    made = judge(candidate(latency_ms=1.0), (FAST, SMALL))
    assert [c.constraint for c in made.clauses] == [FAST, SMALL]
    assert [(c.value, c.slack, c.kept) for c in made.clauses] == [(1.0, 0.5, True), (None, None, False)]
    assert not made.feasible and made.binding.constraint is SMALL
    assert judge(made, (FAST,)).feasible, "judged anew, not on top"
    assert judge(made, ()).feasible


@given(
    pools(),
    st.lists(
        st.builds(Constraint, st.sampled_from(sorted(UNITS)), st.just("max"), st.floats(1, 6), st.just("u")), max_size=4
    ),
)
def test_a_looser_limit_never_makes_anything_infeasible(pool, limits):
    for c in pool:
        looser = [Constraint(one.metric, "max", one.limit * 2, one.unit) for one in limits]
        assert judge(c, looser).feasible >= judge(c, limits).feasible


def test_slower_than_the_original_is_refused():
    base = latency(1.0, 0.05)
    told = reasons(
        [
            candidate("slower", ("int8_static",), 0.05, latency_ms=1.3),
            candidate("as fast", ("int8_static",), 0.05, latency_ms=1.01),
            candidate("faster", ("int8_static",), 0.05, latency_ms=0.5),
        ],
        base,
    )
    assert told["as fast"] == told["faster"] == ()
    assert "slower than the original: 1.30 times" in told["slower"][0]


def test_what_looks_slower_is_no_win_however_wide_its_interval():
    told = reasons([candidate("doubtful", ("int8_static",), 0.5, latency_ms=1.1)], latency(1.0, 0.05))
    assert "slower than the original" in told["doubtful"][0]


def test_the_original_itself_is_not_slower_than_itself():
    assert reasons([candidate("original", (), 0.0, latency_ms=5.0)], latency(1.0)) == {"original": ()}


def test_a_smaller_number_type_that_is_slower_than_its_own_float_network_is_refused():
    pruned = {"pass": "prune_channels", "keep": 0.5}
    told = reasons(
        [
            candidate("float", ("simplify",), 0.02, latency_ms=0.8),
            candidate("int8", ("simplify", "int8_static"), 0.02, latency_ms=0.9),
            candidate("pruned", (pruned,), 0.02, latency_ms=0.3),
            candidate("pruned int8", (pruned, "int8_static"), 0.02, latency_ms=0.5),
            candidate("pruned dynamic", (pruned, "int8_dynamic"), 0.02, latency_ms=0.2),
            candidate("another share", ({"pass": "prune_channels", "keep": 0.6}, "int8_static"), 0.02, latency_ms=0.5),
        ],
        latency(1.0, 0.02),
    )
    assert "int8_static is slower here than float" in told["int8"][0]
    assert "int8_static is slower here than float" in told["pruned int8"][0]
    assert told["float"] == told["pruned"] == told["pruned dynamic"] == told["another share"] == ()


def test_overlapping_intervals_are_no_proof():
    told = reasons(
        [
            candidate("float", ("simplify",), 0.2, latency_ms=0.8),
            candidate("int8", ("int8_static",), 0.2, latency_ms=0.9),
        ],
        latency(1.0, 0.2),
    )
    assert told == {"float": (), "int8": ()}


def test_figures_are_compared_as_ratios_where_they_were_measured_as_ratios():
    """The machine was twice as slow while this one was measured beside its baseline."""
    told = reasons(
        [candidate("a", ("int8_static",), 0.02, conditions={"over_baseline": 0.8}, latency_ms=1.6)], latency(1.0)
    )
    assert told == {"a": ()}


def test_earlier_refusals_stay_and_are_told_once():
    made = candidate("a", ("int8_static",), refused=("no luck",), latency_ms=3.0)
    once = refuse_false_wins([made], latency(1.0))
    twice = refuse_false_wins(once, latency(1.0))
    assert once[0].refused[0] == "no luck" and len(once[0].refused) == 2
    assert twice[0].refused == once[0].refused


def test_what_was_never_timed_is_not_judged_by_time():
    assert reasons([candidate("a", ("int8_static",), size_bytes=1.0)], latency(1.0)) == {"a": ()}


@given(pools())
def test_refusing_changes_nothing_but_the_refusals(pool):
    judged = refuse_false_wins(pool, latency(3.0))
    assert [c.id for c in judged] == [c.id for c in pool]
    for before, after in zip(pool, judged, strict=True):
        assert set(before.refused) <= set(after.refused)
        assert (after.metrics, after.recipe) == (before.metrics, before.recipe)


@given(pools())
def test_nobody_beats_the_front_and_everybody_else_is_beaten(pool):
    front = pareto(pool)
    ids = {c.id for c in front}
    usable = [c for c in pool if not c.refused]
    assert bool(front) == bool(usable)
    assert all(not c.refused for c in front)
    three = ("latency_ms", "size_bytes", "accuracy_drop")

    def figures(c):
        return [c.metrics[m].value for m in three]

    for c in usable:
        better = [o for o in usable if o is not c and all(x < y for x, y in zip(figures(o), figures(c), strict=True))
                  and set(o.metrics) == set(c.metrics) == set(three)]  # fmt: skip
        assert not (better and c.id in ids)
    for key in three:
        least = min((c.metrics[key].value for c in usable), default=None)
        assert least is None or any(c.metrics[key].value == least for c in front)


@given(pools())
def test_the_front_does_not_depend_on_the_order(pool):
    assert {c.id for c in pareto(pool)} == {c.id for c in pareto(reversed(pool))}


@given(pools())
def test_nearest_are_the_infeasible_ones_least_off_first(pool):
    judged = [judge(c, (FAST, Constraint("size_bytes", "max", 3.0, "B"))) for c in pool]
    found = nearest(judged, 3)
    assert len(found) <= 3 and all(not c.feasible and not c.refused for c in found)
    worst = [min(clause.slack for clause in c.clauses) for c in found]
    assert worst == sorted(worst, reverse=True)
    others = [c for c in judged if not c.feasible and not c.refused and c.id not in {f.id for f in found}]
    assert all(min(clause.slack for clause in c.clauses) <= worst[-1] for c in others)


def test_what_is_unknown_is_further_off_than_any_figure():
    far, unknown = judge(candidate("far", latency_ms=500.0), (FAST,)), judge(candidate("unknown"), (FAST,))
    assert [c.id for c in nearest([unknown, far])] == ["far", "unknown"]


@pytest.mark.parametrize(
    ("weights", "chosen"),
    [
        ({"latency": 1.0, "size": 0.0, "accuracy": 0.0}, "fast"),
        ({"latency": 0.0, "size": 1.0, "accuracy": 0.0}, "small"),
        ({"latency": 0.0, "size": 0.0, "accuracy": 1.0}, "right"),
        ({"latency": 1.0, "size": 0.0, "accuracy": 10.0}, "right"),
        ({"latency": 0.0, "size": 0.0, "accuracy": 0.0, "memory": 1.0}, "small"),
    ],
)
def test_the_choice_follows_the_weights(weights, chosen):
    base = candidate(latency_ms=4.0, size_bytes=4.0, ram_bytes=4.0).metrics
    pool = [
        candidate("fast", latency_ms=1.0, size_bytes=3.0, ram_bytes=3.0, accuracy_drop=0.4),
        candidate("small", latency_ms=3.0, size_bytes=1.0, ram_bytes=1.0, accuracy_drop=0.5),
        candidate("right", latency_ms=2.0, size_bytes=2.0, ram_bytes=2.0, accuracy_drop=0.0),
    ]
    preference = Preference(**weights)
    assert min(pool, key=lambda c: preference.score(c, base)).id == chosen


@given(pools(), st.builds(Preference, *[st.floats(0.1, 3)] * 5))
def test_the_best_by_any_weights_lies_on_the_front_of_equally_known_candidates(pool, preference):
    base = candidate(**{m: 3.0 for m in UNITS if m != "accuracy_drop"}).metrics
    known = [c for c in pool if not c.refused and set(c.metrics) == set(UNITS)]
    if known:
        least = min(preference.score(c, base) for c in known)
        front = {c.id for c in pareto(known)}
        assert any(math.isclose(preference.score(c, base), least) for c in known if c.id in front)


def test_a_gain_in_accuracy_is_no_reward_and_what_is_missing_does_not_count():
    preference, base = Preference(), candidate(latency_ms=1.0, size_bytes=1.0).metrics
    plain = preference.score(candidate(latency_ms=1.0, size_bytes=1.0), base)
    assert plain == 0
    assert preference.score(candidate(latency_ms=1.0, size_bytes=1.0, accuracy_drop=-5.0), base) == 0
    assert preference.score(candidate(latency_ms=1.0, size_bytes=1.0, ram_bytes=9.0), base) == 0
    halved = preference.score(candidate(latency_ms=0.5, size_bytes=1.0), base)
    assert halved == pytest.approx(-preference.latency * math.log(2))


@pytest.mark.parametrize(
    "weights",
    [
        {"latency": -1.0},
        {"latency": math.nan},
        {"size": math.inf},
        dict.fromkeys(("latency", "size", "memory", "accuracy"), 0.0),
    ],
)
def test_weights_that_choose_nothing_are_refused(weights):
    with pytest.raises(InputError, match="weights"):
        Preference(**weights)


def test_a_float_network_on_another_engine_makes_no_false_win():
    int8, twin = candidate("int8", ("int8_static",), 0.05, latency_ms=0.5), candidate("float", (), 0.01, latency_ms=0.4)
    base = latency(1.0, 0.01)
    here, _ = refuse_false_wins([int8, twin], base)
    assert here.refused
    there, _ = refuse_false_wins([int8, replace(twin, engine="openvino")], base)
    assert not there.refused
