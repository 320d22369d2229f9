"""Which engines a limit on memory leaves, and what is predicted of a candidate: never in place of a measurement."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgewright as ew
from edgewright.compression.search import Runner
from edgewright.compression.verdict import Preference
from edgewright.core.candidate import Candidate
from edgewright.core.errors import EngineError
from edgewright.core.measurement import Measurement
from edgewright.core.samples import drawn_requests
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.flows.room import COPIES, Need, Room, smallest
from edgewright.graphs.costs import workload
from edgewright.testing.graphs import zoo
from edgewright.testing.tiny import tiny_data, tiny_model

MB = 1e6
LIGHT, HEAVY, ODD = (Runner(name, EngineOptions()) for name in ("onnxruntime", "openvino", "odd"))
MODEL = zoo()["mlp"]()
COST = workload(MODEL)
CONTENT = COST.weight_bytes + COST.peak_activation_bytes


def peaks(**seen):
    """A peak for the smallest model and one for any other, in MB, by engine; remembers what was asked."""
    asked = []

    def peak(subject, inputs):
        asked.append((subject.engine, subject.model.digest == MODEL.digest))
        if subject.engine not in seen:
            raise EngineError("no such engine here")
        small, whole = seen[subject.engine]
        value = small if subject.model.digest == smallest()[0].digest else whole
        return Measurement(value * MB, "B", "measured", 1)

    peak.asked = asked
    return peak


def room(limit_mb, peak, source=MODEL):
    return Room(source, limit_mb * MB, drawn_requests(MODEL.signature, 1), peak)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_engine_runs_the_smallest_model(engine):
    model, request = smallest()
    with open_session(model, engine) as session:
        assert session.infer(request)["y"].tolist() == [2.0]


def test_what_copies_of_the_model_do_not_explain_is_the_engines_own():
    assert Need.between(10 * MB, 150 * MB, int(50 * MB)) == Need(10 * MB, pytest.approx(2.8))
    assert Need.between(40 * MB, 54 * MB, int(1 * MB)) == Need((54 - COPIES) * MB, COPIES)
    assert Need.between(40 * MB, 39 * MB, int(1 * MB)) == Need(39 * MB, 0.0)


@given(small=st.floats(1, 1e9), more=st.floats(0, 1e9), content=st.integers(0, 10**9))
def test_the_line_meets_the_original_and_grows_with_the_content(small, more, content):
    need = Need.between(small, small + more, content)
    found = need.predicted(content)
    assert found.value == pytest.approx(small + more) and found.kind == "predicted"
    assert 0 <= need.base_bytes <= need.predicted(0).value <= found.value <= need.predicted(2 * content + 1).value
    assert found.low >= need.base_bytes, "less than the engine's own it cannot be"


def test_an_engine_that_cannot_fit_is_left_out_with_a_reason_and_asked_once():
    peak = peaks(onnxruntime=(9, 11), openvino=(40, 54))
    kept, (note,) = room(32, peak).survey([LIGHT, HEAVY])
    assert kept == (LIGHT,)
    assert note == "memory without a model's own part: openvino 40 MB; 32 MB are allowed, so left out of the search"
    assert peak.asked == [("onnxruntime", False), ("onnxruntime", True), ("openvino", False)]


def test_an_engine_that_takes_too_much_for_such_a_model_however_small_is_left_out_too():
    kept, (note,) = room(45, peaks(onnxruntime=(9, 11), openvino=(40, 54))).survey([LIGHT, HEAVY])
    assert kept == (LIGHT,) and "openvino 53.7 MB;" in note


def test_an_engine_that_may_fit_with_less_of_the_model_stays():
    many = peaks(onnxruntime=(9, 11), openvino=(40, 40 + COPIES * CONTENT / MB))
    assert room(40 + 0.5 * CONTENT / MB, many).survey([LIGHT, HEAVY]) == ((LIGHT, HEAVY), [])


def test_where_no_engine_fits_the_lightest_is_searched_for_what_comes_nearest():
    kept, (note,) = room(5, peaks(onnxruntime=(9, 11), openvino=(40, 54))).survey([HEAVY, LIGHT])
    assert kept == (LIGHT,)
    assert note.startswith("memory without a model's own part: openvino 40 MB, onnxruntime 9 MB;")
    assert note.endswith("onnxruntime is searched for what comes nearest")


def test_an_engine_that_cannot_be_asked_stays_and_the_reason_is_told():
    chosen = room(32, peaks(onnxruntime=(9, 11)))
    kept, (note,) = chosen.survey([LIGHT, ODD])
    assert kept == (LIGHT, ODD)
    assert "odd" in note and "no such engine here" in note and "before the finals" in note
    assert chosen.figures(candidate(ODD)) == {}


def candidate(runner, name="c"):
    return Candidate(name, (), MODEL, runner.engine, runner.options)


@pytest.mark.parametrize(("limit", "kind"), [(10.9, "measured"), (12, "measured"), (32, "predicted")])
def test_a_candidate_is_measured_where_its_prediction_leaves_the_limit_open(limit, kind):
    chosen = room(limit, peaks(onnxruntime=(9, 11)))
    chosen.survey([LIGHT])
    found = chosen.figures(candidate(LIGHT))["ram_bytes"]
    assert found.kind == kind and found.unit == "B"
    if kind == "predicted":
        assert found.value == pytest.approx(11 * MB) and found.subject == MODEL.digest


def test_what_certainly_breaks_the_limit_is_not_measured():
    peak = peaks(onnxruntime=(9, 9 + 100 * CONTENT / MB))
    chosen = room(5, peak)
    chosen.survey([LIGHT])
    chosen.needs[LIGHT] = Need(9 * MB, 1.0)
    before = len(peak.asked)
    assert chosen.figures(candidate(LIGHT))["ram_bytes"].kind == "predicted"
    assert len(peak.asked) == before


def test_a_score_does_not_hold_what_was_predicted_against_what_was_measured():
    half = Measurement(0.5, "B", "measured")
    base = {"ram_bytes": Measurement(1.0, "B", "measured")}
    light = Preference(memory=1.0, latency=0.0)
    assert light.score(replace(candidate(LIGHT), metrics={"ram_bytes": half}), base) < 0
    guess = replace(half, kind="predicted")
    assert light.score(replace(candidate(LIGHT), metrics={"ram_bytes": guess}), base) == 0


def test_a_run_leaves_out_what_cannot_fit_and_its_finalists_are_measured():
    result = ew.optimize(
        tiny_model(), tiny_data(), max_memory_mb=32, max_accuracy_drop=20, keep_structure=True, budget_s=20
    )
    assert {c.engine for c in result.candidates} == {"onnxruntime"}
    (note,) = [n for n in result.notes if "left out of the search" in n]
    assert "openvino" in note and "32 MB are allowed" in note
    assert {c.metrics["ram_bytes"].kind for c in result.finals} == {"measured"}
    tried = [c for c in result.candidates if c.id not in {f.id for f in result.finals} and "ram_bytes" in c.metrics]
    assert {c.metrics["ram_bytes"].kind for c in tried} <= {"predicted"}
    assert result.best is not None
