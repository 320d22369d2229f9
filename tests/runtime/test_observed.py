"""What a runtime tells of its models for the fleet: exact counts, and the same numbers a reader would find."""

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.bundles import Golden
from edgewright.core.answers import NOBODY, Rule
from edgewright.core.messages import Observation
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.datasets.postprocessing import INDICES, SCORES, Postprocessing
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.observations import Observations
from edgewright.runtime.observed import Observed, classifier
from edgewright.runtime.stats import Stats


def signature(*outputs):
    return Signature((TensorSpec("x", "float32", ("n", 4)),), tuple(TensorSpec(*one) for one in outputs))


def observed(labels=(), bundle="", stats=None, classes=3):
    told = signature(("y", "float32", ("n", classes)))
    model, golden = Model("onnx", "m", {"m": b""}, told), Golden((), {}) if bundle else None
    source = Source("m", "1", model, "onnxruntime", EngineOptions(), labels, digest=bundle, golden=golden)
    return Observed(source, stats or Stats(), told, None)


def rows(*values):
    return {"y": np.array(values, np.float32)}


def test_a_run_counts_requests_rows_classes_and_its_time_for_each():
    one = observed(labels=("cat", "dog", "old horse"))
    one.ran(rows([3, 1, 0], [0, 1, 5]), 0.002, requests=2)
    one.ran(rows([9, 1, 0]), 0.010)
    told = one.take()
    assert told.counters == {"requests": 3, "errors": 0, "predictions": 3}
    assert told.classes == {"cat": 2, "old_horse": 1}
    assert told.series["latency_ms"].sketch.count == 3
    assert told.series["latency_ms"].total == pytest.approx(14.0)
    assert told.series["lead"].mean == pytest.approx((2 + 4 + 8) / 3)
    assert Observation.from_json(told.to_json()) == told


def test_what_was_taken_is_not_counted_again_and_nothing_is_no_observation():
    one = observed()
    assert one.take() is None
    one.ran(rows([1, 2, 3]), 0.001)
    assert one.take().counters["requests"] == 1
    assert one.take() is None


@pytest.mark.parametrize(
    ("kind", "requests", "errors"),
    [("failed", 1, 1), ("not_ready", 1, 1), ("expired", 1, 0), ("infeasible", 1, 0), ("overloaded", 1, 0),
     ("bad_request", 0, 0), ("cancelled", 0, 0)],
)  # fmt: skip
def test_errors_are_the_models_own(kind, requests, errors):
    stats = Stats()
    one = observed(stats=stats)
    stats.faults[kind] += 1
    told = one.take()
    assert (told.counters if told else {}) == ({"requests": requests, "errors": errors} if requests else {})


def test_where_the_version_before_answered_it_is_an_error_all_the_same():
    one = observed()
    one.replaced += 1
    assert one.take().counters == {"requests": 1, "errors": 1}


def test_a_row_of_nan_chooses_nothing_and_is_told():
    one = observed()
    one.ran(rows([np.nan, 1, 0], [0, 1, np.inf], [0, 4, 1]), 0.001)
    told = one.take()
    assert told.counters == {"requests": 1, "errors": 0, "predictions": 1, "unanswered": 2}
    assert told.classes == {"1": 1}
    assert (told.series["lead"].sketch.nans, told.series["lead"].sketch.count) == (2, 1)


def test_what_came_from_the_cache_counts_but_took_no_time():
    one = observed()
    one.ran(rows([1, 0, 0]), 0.001)
    one.again(rows([1, 0, 0]), 2)
    one.again(None, 1)
    told = one.take()
    assert told.counters == {"requests": 4, "errors": 0, "predictions": 3}
    assert told.series["latency_ms"].sketch.count == 1


def test_a_run_too_many_waits_for_a_request_to_make_up_for_it():
    one = observed()
    one.again(None, -1)
    assert one.take() is None
    one.again(None, 3)
    assert one.take().counters["requests"] == 2


def test_a_shadow_counts_rows_that_choose_another_class():
    one = observed()
    one.compare(rows([3, 1, 0], [0, 5, 1]), rows([2, 1, 0], [9, 5, 1]))
    one.compare({"z": np.zeros(3)}, rows([1, 0, 0]))
    one.compare(rows([1, 0, 0]), rows([1, 0, 0], [1, 0, 0]))
    told = one.take()
    assert told.counters == {"requests": 0, "errors": 0, "compared": 2, "disagreed": 1}


def test_counts_are_exact_whatever_is_taken_meanwhile():
    one, done, told = observed(), threading.Event(), []

    def work(seed):
        draw = np.random.default_rng(seed)
        for _ in range(3000):
            one.ran({"y": draw.normal(size=(draw.integers(1, 3), 3)).astype(np.float32)}, 0.001)

    def take():
        while not done.is_set():
            told.append(one.take())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    taker = threading.Thread(target=take)
    for thread in (*threads, taker):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    taker.join()
    told = [one for one in [*told, one.take()] if one is not None]
    assert sum(one.counters["requests"] for one in told) == 12000
    assert sum(one.series["latency_ms"].sketch.count for one in told if "latency_ms" in one.series) == 12000
    expected = 0
    for seed in range(4):
        draw = np.random.default_rng(seed)
        for _ in range(3000):
            n = draw.integers(1, 3)
            draw.normal(size=(n, 3))
            expected += int(n)
    assert sum(one.counters.get("predictions", 0) for one in told) == expected
    assert sum(sum(one.classes.values()) for one in told) == expected


def test_large_answers_and_changing_kinds_are_counted_row_by_row():
    one = observed(classes=1000)
    draw = np.random.default_rng(0)
    one.ran({"y": draw.normal(size=(64, 1000)).astype(np.float32)}, 0.1)
    one.ran({"y": draw.normal(size=(1, 1000)).astype(np.float64)}, 0.1)
    one.ran({"y": draw.normal(size=(2, 1000)).astype(np.float32)}, 0.1)
    told = one.take()
    assert told.counters["predictions"] == 67
    assert sum(told.classes.values()) == 67
    assert Observation.from_json(json.loads(json.dumps(told.to_json()))) == told


def test_what_is_no_scores_at_all_costs_nobody_an_answer():
    one = observed()
    for odd in (
        np.array(["a"], object),
        np.float32(3),
        np.zeros((2, 0), np.float32),
        np.zeros((1, 2, 3, 4), np.float32),
    ):
        one.ran({"y": odd}, 0.001)
    one.ran({}, 0.001)
    assert one.take().counters == {"requests": 5, "errors": 0}


def test_of_many_classes_the_most_frequent_are_named_and_all_are_counted():
    one = observed(classes=400)
    eye = np.eye(400, dtype=np.float32)
    one.ran({"y": np.concatenate([eye, eye[300:]])}, 0.1)
    told = one.take()
    assert told.counters["predictions"] == 500
    assert len(told.classes) == 256
    assert all(told.classes[str(i)] == 2 for i in range(300, 400))


@pytest.mark.parametrize(
    ("outputs", "declared", "expected"),
    [
        ([("y", "float32", ("n", 10))], None, "y"),
        ([("y", "float32", ("n", "k"))], None, "y"),
        ([("y", "float32", ("n", 1))], None, ""),
        ([("y", "float32", ("n",))], None, ""),
        ([("y", "int64", ("n", 10))], None, ""),
        ([("y", "float32", ("n", 10)), ("z", "float32", ("n", 10))], None, ""),
        ([("y", "float32", ("n", 10)), ("z", "float32", ("n", 10))], Postprocessing("z"), "z"),
        ([("y", "float32", ("n",))], Postprocessing("y", "single"), "y"),
    ],
)
def test_which_output_is_a_classification(outputs, declared, expected):
    assert classifier(signature(*outputs), declared)[0] == expected


SCORES_OF = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(-30, 30, width=32)
)


@given(SCORES_OF, st.sampled_from(["as_is", "softmax"]), st.sampled_from([None, 0.4]))
def test_classes_are_those_that_postprocessing_answers(values, shares, threshold):
    declared = Postprocessing("y", top=1, shares=shares, threshold=threshold)
    answered = declared.apply({"y": values})
    found = Rule(shares=shares, threshold=threshold).read(values)
    assert found.classes.tolist() == answered[INDICES][:, 0].tolist()
    assert Rule(shares=shares, threshold=threshold).classes(values).tolist() == found.classes.tolist()
    if shares == "softmax":
        assert np.allclose(found.confidence, answered[SCORES][:, 0], atol=1e-5)


@given(
    hnp.arrays(np.float64, st.integers(1, 9), elements=st.floats(0, 1)),
    st.sampled_from([("as_is", 0.3), ("as_is", None)]),
)
def test_single_numbers_choose_as_postprocessing_does(values, how):
    shares, threshold = how
    declared = Postprocessing("y", "single", 1, shares, threshold, (4, 7))
    found = Rule(True, shares, threshold, (4, 7)).read(values)
    assert found.classes.tolist() == declared.apply({"y": values})[INDICES][:, 0].tolist()
    assert (found.lead >= 0).all()


@given(SCORES_OF)
def test_logits_and_their_softmax_have_the_same_answers(values):
    raised = np.exp(values.astype(np.float64) - values.max(axis=1, keepdims=True))
    logits, shares = Rule(shares="softmax").read(values), Rule().read(raised / raised.sum(axis=1, keepdims=True))
    assert np.allclose(logits.confidence, shares.confidence, atol=1e-5)
    assert np.allclose(np.minimum(logits.lead, 27), np.minimum(shares.lead, 27), atol=1e-3)


def test_a_lead_of_probabilities_is_bounded_and_bad_rows_have_none():
    sure = Rule().read(np.array([[1.0, 0.0], [np.nan, 1.0]], np.float32))
    assert sure.lead[0] == pytest.approx(27.6, abs=0.1)
    assert sure.classes.tolist() == [0, NOBODY]
    assert np.isnan(sure.lead[1])
    with pytest.raises(ValueError, match="no scores"):
        Rule().read(np.zeros((2, 3, 4), np.float32))


def test_a_batch_is_given_again_until_it_was_taken():
    several, one = Observations(), observed()
    several.add(one)
    one.ran(rows([1, 0, 0]), 0.001)
    name, told = several.batch()
    one.ran(rows([1, 0, 0]), 0.001)
    assert several.batch() == (name, told)
    assert several.batch("another") == (name, told)
    second, new = several.batch(name)
    assert second != name
    assert [one["counters"]["requests"] for one in (*told, *new)] == [1, 1]


def test_versions_are_told_apart_by_their_bundle_and_what_is_closed_is_told_once_more():
    several = Observations()
    old, new, twin = (observed(bundle=64 * letter) for letter in "abb")
    for one, count in ((old, 1), (new, 2), (twin, 4)):
        several.add(one)
        several.add(one)
        for _ in range(count):
            one.ran(rows([1, 0, 0]), 0.001)
    several.settle(old)
    several.settle(twin)
    told = [Observation.from_json(one) for one in several.batch()[1]]
    assert {one.bundle[0]: one.counters["requests"] for one in told} == {"a": 1, "b": 6}
    assert several.batch(several.batch()[0])[1] == []
