"""Golden calls: their tolerance is what the engines really need, and no more; the self-test tells when it is passed."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from edgewright import bundles
from edgewright.bundles import BundleContent, Call, Golden, SelfTest, Tolerance, Variant, record_golden, self_test
from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.formats.onnx import from_proto
from edgewright.trust import SigningKey

Samples = list[dict[str, np.ndarray[Any, Any]]]


def sealed_with(content: BundleContent, key: SigningKey, folder: Path, **change: Any) -> bundles.Bundle:
    return bundles.seal(dataclasses.replace(content, **change), folder, key)


def graph(*nodes: onnx.NodeProto, outputs: dict[str, int]) -> Model:
    made = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", T.FLOAT, [1, 4])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
    )
    return from_proto(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def test_the_bundle_passes_where_it_was_made(pristine: Path, key: SigningKey) -> None:
    (result,) = self_test(bundles.verify(pristine, [key.public]))
    assert result.passed
    assert result.checked
    assert result.provider == "CPUExecutionProvider"
    assert result.worst.keys() == {"p", "k"}


def test_the_tolerance_is_a_small_share_of_the_scale(content: BundleContent) -> None:
    assert content.golden.tolerances.keys() == {"p"}
    assert 0 < content.golden.tolerances["p"].absolute < 1e-3
    assert len(content.golden.calls) == 3


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda o: {**o, "p": o["p"] + 0.01}, "times as far off"),
        (lambda o: {**o, "p": o["p"] * np.float32(np.nan)}, "times as far off"),
        (lambda o: {**o, "p": o["p"].astype("f8")}, ""),
        (lambda o: {**o, "p": o["p"][:, :2]}, "times as far off"),
        (lambda o: {**o, "k": o["k"] + 1}, "'k' is inf times"),
    ],
)
def test_other_answers_fail(content: BundleContent, key: SigningKey, tmp_path: Path, spoil: Any, reason: str) -> None:
    calls = tuple(Call(call.inputs, spoil(call.outputs)) for call in content.golden.calls)
    golden = dataclasses.replace(content.golden, calls=calls)
    (result,) = self_test(sealed_with(content, key, tmp_path / "b", golden=golden))
    assert result.checked
    assert result.passed == (not reason)
    assert reason in result.reason


def test_nan_and_infinity_must_meet_their_own_kind(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    model = graph(helper.make_node("Log", ["x"], ["y"]), outputs={"y": T.FLOAT})
    variant = Variant("onnxruntime", EngineOptions(), model)
    x = np.array([[-1.0, 0.0, 1.0, 2.0]], np.float32)
    golden = record_golden([variant], [{"x": x}])
    assert np.isnan(golden.calls[0].outputs["y"][0, 0])
    change: dict[str, Any] = {"variants": (variant,), "golden": golden}
    (result,) = self_test(sealed_with(content, key, tmp_path / "a", **change))
    assert result.passed
    other = golden.calls[0].outputs["y"].copy()
    other[0, 1] = np.inf
    change["golden"] = Golden((Call({"x": x}, {"y": other}),), golden.tolerances)
    (result,) = self_test(sealed_with(content, key, tmp_path / "b", **change))
    assert not result.passed


def test_calls_on_the_edge_of_a_decision_are_no_golden_ones() -> None:
    # Rounding x to whole numbers: 0.5 - 2^-25 tips over with the last bit.
    model = graph(
        helper.make_node("Round", ["x"], ["r"]),
        helper.make_node("Cast", ["r"], ["y"], to=T.INT64),
        outputs={"y": T.INT64},
    )
    variant = Variant("onnxruntime", EngineOptions(), model)
    steady, edge = np.full((1, 4), 0.25, np.float32), np.full((1, 4), 0.5 + 2.0**-24, np.float32)
    golden = record_golden([variant], [{"x": edge}, {"x": steady}])
    assert [call.inputs["x"][0, 0] for call in golden.calls] == [0.25]
    with pytest.raises(EngineError, match="no call can be golden"):
        record_golden([variant], [{"x": edge}])


def test_answers_that_come_in_steps_may_be_one_step_off() -> None:
    # round(16 x) / 16: a millionth moves nothing, and yet a CPU that rounds another way is a sixteenth off.
    scale = helper.make_node("Constant", [], ["s"], value=onnx.numpy_helper.from_array(np.array(16, np.float32)))
    model = graph(
        scale,
        helper.make_node("Mul", ["x", "s"], ["a"]),
        helper.make_node("Round", ["a"], ["b"]),
        helper.make_node("Div", ["b", "s"], ["y"]),
        outputs={"y": T.FLOAT},
    )
    variant = Variant("onnxruntime", EngineOptions(), model)
    x = np.array([[0.1, 7.0, 0.7825, 4.003]], np.float32)
    golden = record_golden([variant], [{"x": x}])
    assert golden.tolerances["y"].absolute == pytest.approx(2 / 16)


def test_no_more_is_read_or_kept_than_asked_for(samples: Samples, content: BundleContent) -> None:
    read = []

    def stream() -> Any:
        for i in range(1000):
            read.append(i)
            yield samples[i % len(samples)]

    assert len(record_golden(content.variants, stream(), count=2).calls) == 2
    assert len(read) == 8
    with pytest.raises(InputError, match="golden calls need inputs"):
        record_golden(content.variants, [])


def test_an_engine_that_is_not_here_is_not_checked(
    content: BundleContent, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = dataclasses.replace(content.variants[0], engine="openvino", engine_version="2026.0")
    bundle = sealed_with(content, key, tmp_path / "b", variants=(content.variants[0], variant))
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    here, away = self_test(bundle)
    assert here.passed
    assert not away.checked
    assert not away.passed
    assert "pip install" in away.reason


def test_a_model_that_does_not_open_fails(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    broken = dataclasses.replace(
        content.variants[0], model=Model("onnx", "m.onnx", {"m.onnx": b"not a model"}, content.signature)
    )
    (result,) = self_test(sealed_with(content, key, tmp_path / "b", variants=(broken,)))
    assert result.checked
    assert not result.passed
    assert "cannot open" in result.reason


def test_two_engines_share_one_tolerance(
    content: BundleContent, samples: Samples, key: SigningKey, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    variants = (content.variants[0], dataclasses.replace(content.variants[0], engine="openvino"))
    golden = record_golden(variants, samples)
    bundle = sealed_with(content, key, tmp_path / "b", variants=variants, golden=golden)
    assert [(r.engine, r.passed) for r in self_test(bundle)] == [("onnxruntime", True), ("openvino", True)]
    with bundle.session("openvino") as session:
        assert session.provider == "CPU"


def test_an_exact_tolerance_allows_nothing(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    exact = dataclasses.replace(content.golden, tolerances={"p": Tolerance(0.0, 0.0)})
    (result,) = self_test(sealed_with(content, key, tmp_path / "b", golden=exact))
    assert result.passed
    assert result.worst["p"] == 0


def test_a_result_is_json(pristine: Path) -> None:
    assert SelfTest("e", "p", True, False, {"y": float("inf")}).to_json()["worst"] == {"y": None}
