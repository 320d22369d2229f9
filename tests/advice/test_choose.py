"""Advice: the decisions for known pairs of model and target, as a table."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgewright.advice.choose import Advice, advise
from edgewright.advice.coverage import coverage
from edgewright.advice.foresight import in_type
from edgewright.core.errors import InputError
from edgewright.core.model import Model, Signature
from edgewright.graphs.costs import workload
from edgewright.targets import names, target
from edgewright.testing.build import Build
from edgewright.testing.zoo import conv, encoder_block, head, linear, zoo


def cnn(channels: int = 32, size: int = 32) -> Model:
    """Large enough to be worth pruning."""
    b = Build(17)
    x = b.node("Relu", conv(b, b.input("image", ["batch", 3, size, size]), 3, channels))
    for _ in range(2):
        y = b.node("Relu", conv(b, x, channels, channels))
        x = b.node("Relu", b.node("Add", conv(b, y, channels, channels), x))
    head(b, x, channels)
    return b.model()


def decoder() -> Model:
    b = Build(17)
    x = b.node("Gather", b.weight(64, 64), b.input("input_ids", ["batch", 8], "int64"))
    mask = b.node("Trilu", b.constant(np.full((8, 8), -1e9, np.float32)), b.constant(1, dtype=np.int64), upper=1)
    q, k, v = (linear(b, x, 64, 64) for _ in range(3))
    scores = b.node("Add", b.node("MatMul", q, b.node("Transpose", k, perm=[0, 2, 1])), mask)
    b.output(linear(b, b.node("MatMul", b.node("Softmax", scores, axis=-1), v), 64, 64), ["batch", 8, 64])
    return b.model()


def encoder() -> Model:
    b = Build(17)
    x = b.node("Gather", b.weight(64, 64), b.input("input_ids", ["batch", 8], "int64"))
    b.output(encoder_block(b, x, 8, 64, 4), ["batch", 8, 64])
    return b.model()


def tree() -> Model:
    b = Build()
    leaf = {"nodes_treeids": [0], "nodes_nodeids": [0], "nodes_featureids": [0], "nodes_values": [0.0],
            "nodes_modes": ["LEAF"], "nodes_truenodeids": [0], "nodes_falsenodeids": [0], "target_treeids": [0],
            "target_nodeids": [0], "target_ids": [0], "target_weights": [1.0], "n_targets": 1}  # fmt: skip
    x = b.input("x", ["batch", 4])
    b.output(b.node("TreeEnsembleRegressor", x, domain="ai.onnx.ml", **leaf), ["batch", 1])
    return b.model()


def qdq(kind: type = np.int8) -> Model:
    """A convolution between signed pairs, as other tools write them by default."""
    b = Build(17)

    def pair(x: str, zero: int) -> str:
        held = b.constant(0.05, dtype=np.float32), b.constant(zero, dtype=kind)
        return str(b.node("DequantizeLinear", b.node("QuantizeLinear", x, *held), *held))

    held = b.constant(np.ones((4, 3, 1, 1)), dtype=np.int8), b.constant(0.1, dtype=np.float32)
    x = b.node("Conv", pair(b.input("image", [1, 3, 4, 4]), 0), b.node("DequantizeLinear", *held))
    b.output(pair(b.node("Relu", x), -128 if kind is np.int8 else 0), [1, 4, 4, 4])
    return b.model()


MODELS = {"cnn": cnn, "encoder": encoder, "decoder": decoder, "tree": tree, "mlp": zoo()["mlp"], "lstm": zoo()["lstm"]}

DECISIONS = {
    # model, target: platform, framework, engine, first number type, passes in order
    ("cnn", "server-x86-vnni"): ("intel", "ONNX Runtime and OpenVINO", "onnxruntime", "int8_static",
                                 "simplify prune_channels fuse int8_static:u8"),
    ("cnn", "industrial-pc-avx2"): ("intel", "O", "onnxruntime", "int8_static",
                                    "simplify prune_channels fuse int8_static:u8:7"),
    ("cnn", "raspberry-pi-5"): ("cross-platform", "ONNX Runtime", "onnxruntime", "int8_static",
                                "simplify prune_channels fuse int8_static:s8"),
    ("cnn", "jetson-orin-nano"): ("nvidia", "TensorRT", "onnxruntime", "int8_static",
                                  "simplify prune_channels fuse int8_static:s8_symmetric"),
    ("cnn", "iphone"): ("apple", "Core ML", "onnxruntime", "int8_static",
                        "simplify prune_channels fuse int8_static:s8"),
    ("cnn", "android-mid"): ("mobile", "LiteRT", "onnxruntime", "int8_static",
                             "simplify prune_channels fuse int8_static:s8"),
    ("cnn", "stm32h7"): ("microcontroller", "LiteRT for Microcontrollers", "c", "int8_static",
                         "simplify prune_channels fuse int8_static:s8"),
    ("encoder", "server-x86-vnni"): ("intel", "ONNX Runtime and OpenVINO", "onnxruntime", "int8_dynamic",
                                     "simplify fuse int8_dynamic"),
    ("encoder", "raspberry-pi-4"): ("cross-platform", "ONNX Runtime", "onnxruntime", "int8_dynamic",
                                    "simplify fuse int8_dynamic::7"),
    ("decoder", "server-x86-vnni"): ("intel", "OpenVINO (GenAI)", "openvino", "int8_static",
                                     "simplify fuse int8_static:u8"),
    ("decoder", "raspberry-pi-5"): ("cross-platform", "llama.cpp", "onnxruntime", "int8_static",
                                    "simplify fuse int8_static:s8"),
    ("decoder", "iphone"): ("apple", "MLX", "onnxruntime", "int8_static", "simplify fuse int8_static:s8"),
    ("decoder", "jetson-orin-nano"): ("nvidia", "TensorRT-LLM", "onnxruntime", "int8_static",
                                      "simplify fuse int8_static:s8_symmetric"),
    ("decoder", "stm32h7"): ("microcontroller", "none", "c", "int8_static", "simplify fuse int8_static:s8"),
    ("tree", "intel-n100"): ("intel", "ONNX Runtime", "onnxruntime", "fp32", "simplify"),
    ("tree", "android-mid"): ("mobile", "ONNX Runtime Mobile", "onnxruntime", "fp32", "simplify"),
    ("tree", "jetson-orin-nano"): ("nvidia", "ONNX Runtime on the CPU", "onnxruntime", "fp32", "simplify"),
    ("tree", "esp32-s3"): ("microcontroller", "generated C", "c", "fp32", "simplify"),
    ("mlp", "server-x86-vnni"): ("intel", "ONNX Runtime and OpenVINO", "openvino", "int8_static",
                                 "simplify fuse int8_static:u8"),
    ("lstm", "server-x86-vnni"): ("intel", "ONNX Runtime and OpenVINO", "onnxruntime", "int8_dynamic",
                                  "simplify fuse int8_dynamic"),
}  # fmt: skip


def passes(found: Advice) -> str:
    """Pass names, with the activations' type and the weights' bits where they are chosen."""
    told = []
    for step in found.steps():
        parts = [step["pass"], str(step.get("activations", "")), str(step.get("weight_bits", ""))]
        told.append(":".join(parts).rstrip(":"))
    return " ".join(told)


@pytest.mark.parametrize(("model", "machine"), DECISIONS)
def test_decisions(model: str, machine: str) -> None:
    platform, framework, engine, number, recipe = DECISIONS[model, machine]
    found = advise(MODELS[model](), target(machine))
    first = next((n.choice.value for n in found.number_types if n.verdict == "try"), "fp32")
    assert found.framework.value.startswith(framework)
    assert (found.platform, found.engine.value, first, passes(found)) == (platform, engine, number, recipe)


@pytest.mark.parametrize("machine", names())
def test_every_word_of_advice_has_a_reason_and_a_source(machine: str) -> None:
    found = advise(cnn(16, 16), target(machine))
    numbers = [number.choice for number in found.number_types]
    for word in (found.framework, found.engine, *numbers, *found.recipe, *found.fallbacks):
        assert word.reason
        assert word.source
        assert word.row
    for figure in (found.latency, *found.accelerated, *(n.latency for n in found.number_types if n.latency)):
        assert figure.kind == "predicted"
    json.dumps(found.to_json(), allow_nan=False)


def test_signed_pairs_are_repaired_on_x86_and_not_quantized_again() -> None:
    assert passes(advise(qdq(), target("server-x86-vnni"))) == "qdq_repair"
    assert passes(advise(qdq(), target("raspberry-pi-5"))) == ""
    assert passes(advise(qdq(np.uint8), target("server-x86-vnni"))) == ""
    assert advise(qdq(), target("server-x86-vnni")).number_types[0].choice.value == "as_stored"


def test_a_model_that_does_not_fit_is_told_what_would() -> None:
    found = advise(cnn(32, 48), target("stm32h7"))  # activations of 0.6 MB against 0.5 MB
    assert "activations need" in found.problems[0]
    assert found.remedies[0].startswith("INT8 would fit")
    assert any(step.step["pass"] == "prune_channels" for step in found.fallbacks)
    hopeless = advise(cnn(32, 224), target("arduino-nano-33-ble"))
    assert "even in INT8 it needs" in hopeless.remedies[-1]


def test_layers_without_integers_are_named_where_only_integers_run() -> None:
    found = advise(zoo()["lstm"](), target("ultra-low"))
    assert "LSTM have no INT8 form here" in found.remedies[0]


def test_an_accelerator_gets_a_prediction_of_its_own() -> None:
    found = advise(cnn(), target("jetson-orin-nano"))
    assert [m.conditions["device"] for m in found.accelerated] == ["ampere-gpu"]
    assert found.accelerated[0].value < found.latency.value


def test_openvino_is_not_offered_for_what_it_cannot_convert() -> None:
    assert advise(tree(), target("server-x86-vnni")).also == ()
    assert advise(cnn(), target("server-x86-vnni")).also == ("openvino",)


def test_a_model_without_a_graph_is_refused() -> None:
    with pytest.raises(InputError, match="has no graph to inspect"):
        advise(Model("other", "m", {"m": b"x"}, Signature((), ())), target("server-x86-vnni"))


def test_a_workload_in_another_type_shrinks_what_is_covered() -> None:
    model = zoo()["transposed"]()
    before = workload(model)
    columns = {(c.engine, c.number_type): c for c in coverage(model)}
    after = in_type(before, columns["onnxruntime", "int8_static"])
    assert after.macs == before.macs
    for old, new in zip(before.operators, after.operators, strict=True):
        if old.op_type == "Conv":
            assert (new.bits, new.weight_bytes, new.read_bytes) == (8, old.weight_bytes // 4, old.read_bytes // 4)
        elif old.op_type == "ConvTranspose":
            assert new == old
    weights_only = in_type(workload(zoo()["mlp"]()), coverage(zoo()["mlp"]())[5])
    assert {o.bits for o in weights_only.operators if o.macs} == {4}
    assert weights_only.peak_activation_bytes == workload(zoo()["mlp"]()).peak_activation_bytes
    assert in_type(before, columns["onnxruntime", "fp32"]) == before
