"""Constraints, clauses, candidates and the names they go by."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.candidate import Candidate, Clause, Constraint, candidate_id
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import EngineOptions

SPEC = TensorSpec("x", "float32", (1,))
MODEL = Model("onnx", "m", {"m": b"graph"}, Signature((SPEC,), (SPEC,)))
FAST = Constraint("latency_ms", "max", 2.0, "ms")
RIGHT = Constraint("accuracy", "min", 90.0, "points")


def candidate(*clauses: Clause, refused: tuple[str, ...] = ()) -> Candidate:
    return Candidate("0" * 12, (), MODEL, "onnxruntime", EngineOptions(), {}, clauses, refused)


@pytest.mark.parametrize(
    ("constraint", "value", "slack"),
    [
        (FAST, 1.0, 0.5), (FAST, 2.0, 0.0), (FAST, 3.0, -0.5), (RIGHT, 99.0, 0.1), (RIGHT, 81.0, -0.1),
        (Constraint("accuracy_drop", "max", 0.0, "points"), 0.5, -0.5),  # no share of nothing: the distance itself
        (Constraint("accuracy_drop", "max", 0.0, "points"), -0.5, 0.5),
    ],
)  # fmt: skip
def test_slack_is_a_share_of_the_limit(constraint: Constraint, value: float, slack: float) -> None:
    assert constraint.slack(value) == pytest.approx(slack)


@given(st.floats(0.001, 1e6), st.floats(0, 1e6), st.sampled_from(["max", "min"]))
def test_slack_is_negative_exactly_outside_the_limit(limit, value, sense) -> None:
    inside = value <= limit if sense == "max" else value >= limit
    assert (Constraint("m", sense, limit, "u").slack(value) >= 0) == inside


def test_what_is_not_known_is_not_kept() -> None:
    unknown = Clause(FAST, None, None)
    assert not unknown.kept
    assert not candidate(unknown).feasible


def test_feasible_means_every_clause_kept_and_nothing_refused() -> None:
    good, bad = Clause(FAST, 1.0, 0.5), Clause(RIGHT, 81.0, -0.1)
    assert candidate().feasible and candidate(good).feasible
    assert not candidate(good, bad).feasible
    assert not candidate(good, refused=("slower than the original",)).feasible


def test_what_binds_is_the_furthest_off_or_the_tightest() -> None:
    loose, tight = Clause(FAST, 1.0, 0.5), Clause(RIGHT, 91.0, 0.01)
    assert candidate(loose, tight).binding is tight
    assert candidate(loose, Clause(FAST, 9.0, -3.5), Clause(RIGHT, 80.0, -0.1)).binding.slack == -3.5
    assert candidate(loose, Clause(FAST, None, None), Clause(FAST, 9.0, -3.5)).binding.value is None
    assert candidate().binding is None


def test_a_candidate_is_named_by_all_that_makes_it() -> None:
    steps, options = ({"pass": "fuse", "contrib": True},), EngineOptions()
    name = candidate_id("a", steps, "b", "onnxruntime", options.to_json())
    assert name == candidate_id("a", ({"contrib": True, "pass": "fuse"},), "b", "onnxruntime", options.to_json())
    others = [
        candidate_id("A", steps, "b", "onnxruntime", options.to_json()),
        candidate_id("a", (), "b", "onnxruntime", options.to_json()),
        candidate_id("a", ({"pass": "fuse", "contrib": False},), "b", "onnxruntime", options.to_json()),
        candidate_id("a", (*steps, *steps), "b", "onnxruntime", options.to_json()),
        candidate_id("a", steps, "B", "onnxruntime", options.to_json()),
        candidate_id("a", steps, "b", "openvino", options.to_json()),
        candidate_id("a", steps, "b", "onnxruntime", replace(options, threads=2).to_json()),
    ]
    assert len({name, *others}) == 8
    assert all(len(n) == 12 and int(n, 16) >= 0 for n in (name, *others))


def test_the_reports_entry_has_what_the_format_promises() -> None:
    seen = Measurement(1.0, "ms", "measured", 5, 0.9, 1.1)
    made = replace(candidate(Clause(FAST, 1.0, 0.5)), metrics={"latency_ms": seen}, recipe=({"pass": "fuse"},))
    told = made.to_json("candidates/000000000000")
    assert set(told) == {
        "id", "path", "recipe", "engine", "engine_options", "format", "digest", "feasible", "verdict", "refused",
        "doubts", "metrics",
    }  # fmt: skip
    assert told["digest"] == MODEL.digest and told["feasible"] is True
    assert told["verdict"][0]["kept"] is True and told["metrics"]["latency_ms"]["kind"] == "measured"
    assert str(FAST) == "latency_ms <= 2 ms" and str(RIGHT) == "accuracy >= 90 points"
