"""Evaluating and comparing: the right output and metric, the same answers however fed, honest intervals and flags."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import Arrays
from edgewright.datasets import dataset
from edgewright.engines import open_session
from edgewright.engines.session import BaseSession
from edgewright.formats.onnx import from_proto
from edgewright.measurement.accuracy import AccuracyResult, compare, evaluate, sqnr_db

N, K = 120, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, K)).astype(np.float32)
Y = np.where(RNG.random(N) < 0.85, X.argmax(axis=1), RNG.integers(0, K, N))

Function = Callable[[np.ndarray[Any, Any]], dict[str, np.ndarray[Any, Any]]]


class Computed(BaseSession):
    """A session whose model is a numpy function of its input ``x``; ``sizes`` records the batches it was given."""

    def __init__(self, function: Function, batch: int | None = None) -> None:
        super().__init__(Signature((TensorSpec("x", "float32", (batch, K)),), ()), "cpu", "cpu")
        self._function, self.sizes = function, list[int]()

    def _run(self, inputs: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        self.sizes.append(len(inputs["x"]))
        return self._function(inputs["x"])

    def _release(self) -> None:
        pass


class Given:
    """Samples in memory."""

    def __init__(self, labels: Any = None, x: np.ndarray[Any, Any] = X, classes: tuple[str, ...] = ()) -> None:
        self.name, self.digest, self.x, self.classes = "test", "d" * 64, x, classes
        self.labels = None if labels is None else np.asarray(labels)

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, size: int) -> Iterator[Arrays]:
        for start in range(0, len(self.x), size):
            yield {"x": self.x[start : start + size]}


def scores(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {"logits": x}


def noisy(amount: float) -> Function:
    """The model with a disturbance that is a function of the input, as a worse candidate's is."""
    return lambda x: {"logits": x + amount * np.sin(40 * x[:, ::-1])}


def judged(labels: Any, before: Function, after: Function, metric: str | None = None, **more: Any) -> AccuracyResult:
    samples = Given(labels, **more)
    first = evaluate(Computed(before), samples, metric, subject="a" * 64)
    return compare(first, evaluate(Computed(after), samples, first.choice, subject="b" * 64))


# -- what is chosen ------------------------------------------------------------------------------------------------

ONE = {"y": X[:, :1]}
TEXT = np.array(["ant", "bee", "cat", "dog"])


@pytest.mark.parametrize(
    ("outputs", "labels", "metric", "output"),
    [
        ({"logits": X}, Y, "top1", "logits"),
        ({"logits": X}, Y.astype(float), "top1", "logits"),
        ({"logits": X[:, :, None, None]}, Y, "top1", "logits"),
        ({"label": X.argmax(1), "p": X}, Y, "top1", "label"),
        ({"hidden": X[:, None, :], "logits": X}, Y, "top1", "logits"),
        ({"y": X[:, :1]}, Y % 2, "top1", "y"),
        ({"y": X[:, 0]}, Y % 2, "top1", "y"),
        ({"y": X[:, :1]}, Y, "r2", "y"),
        ({"y": X[:, 0]}, Y + 0.5, "r2", "y"),
        ({"y": X}, X * 2, "r2", "y"),
        ({"y": X}, (X > 0).astype(int), "auc", "y"),
        ({"logits": X}, None, "agreement", "logits"),
        ({"label": X.argmax(1), "p": X}, None, "agreement", "p"),
        ({"label": X.argmax(1)}, None, "agreement", "label"),
        ({"y": X[:, :1]}, None, "fidelity", "y"),
        ({"map": X[:, :, None] * X[:, None, :]}, None, "fidelity", "map"),
        ({"q": (X * 20).astype(np.int8)}, Y, "top1", "q"),
    ],
)
def test_metric_and_output_are_chosen_and_explained(outputs: Any, labels: Any, metric: str, output: str) -> None:
    rows = {x.tobytes(): i for i, x in enumerate(X)}

    def model(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        chosen = [rows[row.tobytes()] for row in x]
        return {name: array[chosen] for name, array in outputs.items()}

    choice = evaluate(Computed(model), Given(labels)).choice
    assert (choice.metric.name, choice.output) == (metric, output)
    assert len(choice.reason) > 20 and (len(outputs) == 1 or f"judged by output {output!r} of 2" in choice.reason)
    assert json.loads(json.dumps(choice.to_json()))["metric"] == metric
    assert type(choice).from_json(choice.to_json()) == choice


@pytest.mark.parametrize(
    ("function", "labels", "options", "message"),
    [
        (scores, Y + 1, {}, "labels go from 1 to 4, but output 'logits' has 4 classes"),
        (scores, Y - 1, {}, "labels go from -1 to 2"),
        (scores, np.full(N, 2), {}, "all labels are class 2: accuracy on one class says nothing"),
        (lambda x: {"y": x[:, 0]}, np.full(N, 1), {}, "all labels are class 1"),
        (scores, np.zeros((N, 9)), {}, r"labels of shape \(n, 9\) do not go with the outputs logits \(n, 4\)"),
        (scores, Y, {"metric": "rmse"}, "do not go with the outputs .* for RMSE"),
        (scores, None, {"metric": "top1"}, "top-1 accuracy needs labels"),
        (lambda x: {"y": x.reshape(-1, 2, 2)}, None, {"metric": "agreement"}, "cannot be compared this way"),
        (scores, Y, {"metric": "speed"}, "no metric is named 'speed'"),
        (scores, Y, {"output": "softmax"}, "no output 'softmax'; it has: logits"),
        (lambda x: {}, Y, {}, "no outputs to judge"),
        (lambda x: {"logits": x * np.where(x > 2, np.nan, 1)}, Y, {}, "the model itself answers NaN or infinity"),
        (lambda x: {"t": TEXT[x.argmax(1)]}, None, {"metric": "auc"}, "needs labels"),
        (scores, Y, {"batch_size": 0}, "batch size must be at least 1"),
    ],
)
def test_what_cannot_be_judged_is_told_in_one_line(
    function: Function, labels: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        evaluate(Computed(function), Given(labels), **options)
    assert "\n" not in str(caught.value)


def test_no_samples_are_refused() -> None:
    with pytest.raises(InputError, match="test split has no samples"):
        evaluate(Computed(scores), Given(Y[:0], x=X[:0]))


def test_text_answers_are_compared_with_text_labels() -> None:
    words = {"label": TEXT, "object": TEXT.astype(object), "bytes": TEXT.astype("S")}
    for array in words.values():
        found = evaluate(Computed(lambda x, a=array: {"t": a[x.argmax(1)]}), Given(Y, classes=tuple(TEXT)))  # type: ignore[misc]
        assert found.value is not None and found.value.value == pytest.approx(100 * (X.argmax(1) == Y).mean())
        assert set(found.per_class()) == set(TEXT)
    result = judged(None, lambda x: {"t": TEXT[x.argmax(1)]}, lambda x: {"t": TEXT[(2 * x).argmax(1)]})
    assert result.candidate.value == 100


@pytest.mark.parametrize(
    ("link", "why"), [(lambda z: z, "as for logits"), (lambda z: 1 / (1 + np.exp(-z)), "all scores lie in 0..1")]
)
def test_a_single_score_has_its_threshold_from_the_original(link: Callable[[Any], Any], why: str) -> None:
    labels: Any = np.where(X[:, 0] > 0, 7, 3)
    first = evaluate(Computed(lambda x: {"y": link(x[:, :1])}), Given(labels))
    assert first.value is not None and first.value.value == 100 and why in first.choice.reason
    # A candidate whose scores leave 0..1 is still judged by the original's threshold.
    second = evaluate(Computed(lambda x: {"y": link(x[:, :1]) - 2}), Given(labels), first.choice)
    assert second.choice == first.choice
    threshold = 0.5 if "0..1" in why else 0.0
    expected = (np.where(link(X[:, 0]) - 2 > threshold, 7, 3) == labels).mean()
    assert second.value is not None and second.value.value == pytest.approx(100 * expected)


# -- how samples are fed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "asked", "expected"),
    [
        (1, 64, {1}),
        (None, 64, {1, 4, 64, 56}),
        (None, 1, {1}),
        (7, 64, {7}),
        (None, 500, {1, 120}),
    ],
)
def test_a_model_is_fed_as_it_wants_with_the_same_answers(batch: int | None, asked: int, expected: set[int]) -> None:
    session = Computed(scores, batch)
    found = evaluate(session, Given(Y), None, asked)
    assert set(session.sizes) <= expected
    assert found.predictions is not None and (found.predictions == X.argmax(1)).all()
    assert (found.kept["logits"] == X).all() and not found.notes


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: {"logits": np.rint(x / np.abs(x).max() * 127) * np.abs(x).max()}, "depends on the other samples"),
        (lambda x: {"logits": x.reshape(1, -1)}, "depends on the other samples"),
        (lambda x: {"logits": x.mean(axis=0) if len(x) > 1 else x[0]}, "depends on the other samples"),
    ],
)
def test_a_model_whose_answers_depend_on_the_batch_is_fed_one_by_one(function: Function, why: str) -> None:
    found = evaluate(Computed(function), Given(Y))
    expected = np.stack([function(x[None])["logits"].reshape(-1).argmax() for x in X])
    assert found.predictions is not None and (found.predictions == expected).all()
    assert found.batch == 1 and why in found.notes[0]


def test_a_model_that_fails_on_batches_is_fed_one_by_one_and_one_that_always_fails_is_told() -> None:
    def single(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        if len(x) > 1:
            raise ValueError("cannot reshape")
        return scores(x)

    found = evaluate(Computed(single), Given(Y))
    assert "does not run with more than one sample" in found.notes[0] and found.batch == 1

    def never(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        raise ValueError("no kernel")

    with pytest.raises(EngineError, match="no kernel"):
        evaluate(Computed(never), Given(Y))


def test_outputs_that_change_shape_are_told() -> None:
    with pytest.raises(InputError, match="changes its shape from sample to sample"):
        evaluate(Computed(lambda x: {"boxes": np.zeros((1, int(x[0, 0] > 0) + 1, 4))}, 1), Given(None))
    with pytest.raises(InputError, match="does not have the batch of 8"):
        evaluate(Computed(lambda x: {"y": x[:1]}, 8), Given(None))


def test_large_inputs_are_fed_fewer_at_a_time() -> None:
    session = Computed(scores)
    session.signature = Signature((TensorSpec("x", "float32", (None, 3, 1024, 1024)),), ())
    assert evaluate(session, Given(Y)).batch == 1


def test_a_checkpoint_can_stop_between_batches() -> None:
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        evaluate(Computed(scores), Given(Y), None, 30, checkpoint=stop)


# -- what is compared ----------------------------------------------------------------------------------------------


def test_the_drop_is_paired_and_its_interval_holds_it() -> None:
    result = judged(Y, scores, noisy(0.5))
    after = noisy(0.5)(X)["logits"].argmax(1)
    expected = 100 * ((X.argmax(1) == Y).mean() - (after == Y).mean())
    assert result.drop.value == pytest.approx(expected) and expected > 0
    assert result.drop.low is not None and result.drop.high is not None
    assert result.drop.low < result.drop.value < result.drop.high
    assert result.baseline.value - result.candidate.value == pytest.approx(result.drop.value)
    assert (result.drop.unit, result.drop.n, result.drop.kind) == ("points", N, "measured")
    assert (result.baseline.subject, result.candidate.subject) == ("a" * 64, "b" * 64)
    assert result.agreement is not None
    assert result.agreement.value == pytest.approx(100 * (X.argmax(1) == after).mean())
    noise = noisy(0.5)(X)["logits"].astype(np.float32) - X
    assert result.sqnr_db is not None
    assert result.sqnr_db.value == pytest.approx(10 * np.log10((X**2).sum() / (noise**2).sum()), abs=1e-3)


@pytest.mark.parametrize(
    ("metric", "labels"),
    [(None, Y), ("f1", Y), ("auc", Y), ("agreement", Y), ("agreement", None), ("fidelity", None), ("r2", X * 2)],
)
def test_the_same_model_loses_nothing_and_a_worse_one_something(metric: str | None, labels: Any) -> None:
    same = judged(labels, scores, scores, metric)
    assert same.drop.value == 0 and str(same.drop.value) == "0.0" and not same.flags
    assert same.sqnr_db is not None and same.sqnr_db.value == 200
    worse = judged(labels, scores, noisy(1.5), metric)
    assert worse.drop.value > 1 and worse.drop.low is not None and worse.drop.low > 0
    better = judged(labels, noisy(1.5), scores, metric)
    if metric not in ("agreement", "fidelity"):
        assert better.drop.value == pytest.approx(-worse.drop.value)


def test_rmse_rises_in_the_labels_unit() -> None:
    y = X[:, 0] * 3
    result = judged(y, lambda x: {"y": x[:, :1] * 3}, lambda x: {"y": x[:, :1] * 3 + 2}, "rmse")
    assert result.drop.value == pytest.approx(2) and result.drop.unit == "label units"


@pytest.mark.parametrize("metric", ["agreement", None])
def test_without_labels_the_originals_answers_are_the_labels(metric: str | None) -> None:
    result = judged(None, scores, noisy(0.5), metric)
    agree = 100 * (X.argmax(1) == noisy(0.5)(X)["logits"].argmax(1)).mean()
    assert (result.baseline.value, result.baseline.low, result.baseline.high) == (100, 100, 100)
    assert result.candidate.value == pytest.approx(agree) and result.drop.value == pytest.approx(100 - agree)
    assert sum(c.n for c in result.per_class) == N


def test_the_worst_class_is_named_with_its_drop() -> None:
    def blind(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        return {"logits": x - np.array([0, 0, 100, 0], np.float32)}

    result = judged(Y, scores, blind, classes=("n", "e", "s", "w"))
    worst = result.worst_class
    assert worst is not None and worst.conditions["class"] == "s" and worst.conditions["after"] == 0
    rows = Y == 2
    assert worst.value == pytest.approx(100 * (X[rows].argmax(1) == 2).mean()) and worst.n == rows.sum()
    assert [c.name for c in result.per_class] == ["n", "e", "s", "w"]
    assert worst.low is not None and 0 < worst.low < worst.value


def test_a_class_of_few_samples_is_not_the_worst_while_others_have_enough() -> None:
    labels = Y.copy()
    labels[labels == 3] = 0
    labels[:3] = 3
    result = judged(labels, lambda x: {"logits": np.eye(K)[labels[[_row(r) for r in x]]]}, scores)
    assert result.worst_class is not None and result.worst_class.conditions["class"] != "3"


def _row(x: np.ndarray[Any, Any]) -> int:
    return int(np.flatnonzero((x == X).all(axis=1))[0])


@pytest.mark.parametrize(("labels", "metric"), [(Y, None), (Y, "auc"), (Y, "f1"), (None, None), (X * 2, "r2")])
def test_nan_among_a_candidates_answers_is_flagged_and_counts_as_wrong(labels: Any, metric: str | None) -> None:
    broken = judged(labels, scores, lambda x: {"logits": np.where(x[:, :1] > 0.5, np.nan, x)}, metric)
    count = int((X[:, 0] > 0.5).sum())
    assert broken.flags[0] == f"{count} of {N} answers are NaN or infinite; they count as wrong"
    assert broken.drop.value > 5 and broken.sqnr_db is None
    json.dumps(broken.to_json(), allow_nan=False)


def test_an_original_that_answers_nan_on_another_split_is_no_yardstick() -> None:
    choice = evaluate(Computed(scores), Given(Y)).choice
    broken = evaluate(Computed(lambda x: {"logits": x * np.nan}), Given(Y), choice)
    with pytest.raises(InputError, match="the original answers NaN or infinity for 120 of 120"):
        compare(broken, evaluate(Computed(scores), Given(Y), choice))


def test_masked_scores_of_minus_infinity_are_fair() -> None:
    result = judged(Y, lambda x: {"l": np.where(x < -1, -np.inf, x)}, lambda x: {"l": np.where(x < -1, -np.inf, x)})
    assert result.drop.value == 0 and result.sqnr_db is not None


def test_results_come_back_from_json() -> None:
    for labels, metric in ((Y, None), (None, "fidelity"), (Y % 2, "auc")):
        result = judged(labels, noisy(0.1), noisy(0.3), metric)
        assert AccuracyResult.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_what_was_judged_apart_is_not_compared() -> None:
    first = evaluate(Computed(scores), Given(Y))
    other = Given(Y)
    other.digest = "e" * 64
    with pytest.raises(InputError, match="different samples"):
        compare(first, evaluate(Computed(scores), other, first.choice))
    with pytest.raises(InputError, match="different rules"):
        compare(first, evaluate(Computed(scores), Given(Y), "f1"))
    with pytest.raises(InputError, match="no output 'logits' to be judged by"):
        evaluate(Computed(lambda x: {"other": x}), Given(Y), first.choice)


def test_the_users_own_metric_sees_every_output_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_metric.py").write_text(
        "def judge(outputs, labels):\n"
        "    return (outputs['a'].argmax(1) == labels) & (outputs['b'].shape[1:] == (2, 2))\n"
    )
    monkeypatch.chdir(tmp_path)

    def model(x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        return {"a": x, "b": x.reshape(-1, 2, 2)}

    samples = Given(Y)
    first = evaluate(Computed(model), samples, "own_metric:judge")
    assert first.value is not None and first.value.value == pytest.approx(100 * (X.argmax(1) == Y).mean())
    second = evaluate(Computed(lambda x: model(-x)), samples, first.choice)
    assert compare(first, second).drop.value > 50


def test_memory_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgewright.measurement import gathering

    monkeypatch.setattr(gathering, "KEPT_BYTES", 30 * K * 4)
    result = judged(None, scores, noisy(0.5), "fidelity")
    assert result.drop.n == 30 and result.sqnr_db is not None and result.sqnr_db.n == 30
    monkeypatch.setattr(gathering, "OWN_BYTES", 100)
    with pytest.raises(InputError, match="fewer samples"):
        evaluate(Computed(scores), Given(Y), "json:dumps")


def test_sqnr_takes_the_worst_output_and_only_like_with_like() -> None:
    a = np.ones((4, 2), np.float32)
    assert sqnr_db({"u": a, "v": a}, {"u": a, "v": a * 1.1}) == pytest.approx(20, abs=1e-4)
    assert sqnr_db({"u": a}, {"u": a[:, :1]}) is None
    assert sqnr_db({"u": a}, {"u": a * np.nan}) is None
    assert sqnr_db({}, {}) is None


# -- real engines --------------------------------------------------------------------------------------------------


def _linear(dynamic_int8: bool) -> Any:
    """x (N, 4) -> Gemm, in float or with the input quantized by one scale for the whole batch."""
    weights = numpy_helper.from_array(np.eye(K, dtype=np.float32) * 2, "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    if dynamic_int8:
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            helper.make_node("MatMul", ["d", "w"], ["logits"]),
        ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", K])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", K])], [weights],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(proto)
    return from_proto(proto)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_dataset_through_a_real_engine(engine: str) -> None:
    model, quantized = _linear(False), _linear(True)
    splits = dataset({"x": X, "labels": Y}).bind(model.signature).splits()
    with open_session(model, engine) as before, open_session(quantized, engine) as after:
        first = evaluate(before, splits.test, subject=model.digest)
        second = evaluate(after, splits.test, first.choice, subject=quantized.digest)
    assert first.batch == 64 and not first.notes
    assert second.batch == 1, "one scale for a batch is not what the device will compute"
    assert first.value is not None and splits.test.labels is not None
    assert first.value.value == pytest.approx(100 * (X[splits.test.rows].argmax(1) == splits.test.labels).mean())
    result = compare(first, second)
    assert abs(result.drop.value) < 10 and result.sqnr_db is not None and 25 < result.sqnr_db.value < 60
