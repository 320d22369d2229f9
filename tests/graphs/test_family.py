"""Families and domains, each told with its evidence."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.core.model import Model
from edgewright.graphs.family import family
from edgewright.testing.build import Build
from edgewright.testing.zoo import conv, encoder_block, head, linear, zoo

KNOWN = {
    "residual": ("residual CNN", "vision"),
    "depthwise": ("depthwise CNN", "vision"),
    "squeeze_excite": ("depthwise CNN", "vision"),
    "inception": ("plain CNN", "vision"),
    "attention": ("transformer encoder", "unknown"),
    "lstm": ("RNN", "signal"),
    "gru": ("RNN", "signal"),
    "mlp": ("MLP", "tabular"),
    "embedding": ("MLP", "language"),
    "signal": ("plain CNN", "signal"),
    "volume": ("plain CNN", "vision"),
    "several": ("MLP", "tabular"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_zoo(name: str) -> None:
    found = family(zoo()[name]())
    assert (found.family, found.domain) == KNOWN[name]
    assert found.evidence
    assert found.domain_evidence


def vision_transformer() -> Model:
    b = Build(17)
    x = b.node("Conv", b.input("pixels", ["batch", 3, 32, 32]), b.weight(32, 3, 8, 8), strides=[8, 8])
    x = b.node("Transpose", b.reshape(x, [0, 32, 16]), perm=[0, 2, 1])
    for _ in range(2):
        x = encoder_block(b, x, 16, 32, 4)
    b.output(linear(b, b.reduce("ReduceMean", x, [1], keep=False), 32, 5), ["batch", 5])
    return b.model()


def decoder() -> Model:
    b = Build(17)
    x = b.node("Gather", b.weight(50, 32), b.input("input_ids", ["batch", 8], "int64"))
    mask = b.node("Trilu", b.constant(np.full((8, 8), -1e9, np.float32)), b.constant(1, dtype=np.int64), upper=1)
    q, k, v = (linear(b, x, 32, 32) for _ in range(3))
    scores = b.node("Add", b.node("MatMul", q, b.node("Transpose", k, perm=[0, 2, 1])), mask)
    x = b.node("Add", x, b.node("MatMul", b.node("Softmax", scores, axis=-1), v))
    b.output(linear(b, x, 32, 50), ["batch", 8, 50])
    return b.model()


def hybrid() -> Model:
    b = Build(17)
    x = conv(b, b.input("image", ["batch", 3, 16, 16]), 3, 32)
    for _ in range(3):
        x = b.node("Relu", conv(b, x, 32, 32))
    x = b.node("Transpose", b.reshape(x, [0, 32, 256]), perm=[0, 2, 1])
    x = b.node("Slice", x, *(b.constant([i], dtype=np.int64) for i in (0, 16, 1)))
    for _ in range(2):
        x = encoder_block(b, x, 16, 32, 4)
    b.output(x, ["batch", 16, 32])
    return b.model()


def logistic() -> Model:
    b = Build()
    b.output(b.node("Softmax", linear(b, b.input("x", ["batch", 9]), 9, 3)), ["batch", 3])
    return b.model()


def ensemble() -> Model:
    b = Build()
    leaf = {"nodes_treeids": [0], "nodes_nodeids": [0], "nodes_featureids": [0], "nodes_values": [0.0],
            "nodes_modes": ["LEAF"], "nodes_truenodeids": [0], "nodes_falsenodeids": [0], "target_treeids": [0],
            "target_nodeids": [0], "target_ids": [0], "target_weights": [1.0], "n_targets": 1}  # fmt: skip
    x = b.input("x", ["batch", 4])
    b.output(b.node("TreeEnsembleRegressor", x, domain="ai.onnx.ml", **leaf), ["batch", 1])
    return b.model()


def nothing_learnt() -> Model:
    b = Build()
    b.output(b.node("Relu", b.input("x", ["batch", 4, 4])), ["batch", 4, 4])
    return b.model()


@pytest.mark.parametrize(
    ("make", "kind", "domain", "evidence"),
    [
        (vision_transformer, "transformer encoder", "vision", "2 attention blocks"),
        (decoder, "transformer decoder", "language", "triangular mask"),
        (hybrid, "mixed", "vision", "2 attention blocks"),
        (logistic, "linear", "tabular", "no activation function"),
        (ensemble, "tree ensemble", "tabular", "TreeEnsembleRegressor"),
        (nothing_learnt, "other", "unknown", "no convolution"),
    ],
)
def test_others(make: object, kind: str, domain: str, evidence: str) -> None:
    found = family(make())  # type: ignore[operator]
    assert (found.family, found.domain) == (kind, domain)
    assert any(evidence in line for line in found.evidence)


@pytest.mark.parametrize(
    ("name", "domain"), [("waveform", "audio"), ("mel_bands", "audio"), ("vibration", "signal"), ("x", "signal")]
)
def test_a_series_is_sound_only_where_a_name_says_so(name: str, domain: str) -> None:
    b = Build()
    b.output(b.node("Relu", b.node("Conv", b.input(name, ["batch", 2, 64]), b.weight(8, 2, 5))), ["batch", 8, 60])
    assert family(b.model()).domain == domain


def test_a_channel_of_a_bias_is_not_a_residual() -> None:
    b = Build()
    x = conv(b, b.input("image", ["batch", 1, 8, 8]), 1, 4)
    head(b, b.node("Add", x, b.constant(np.ones((1, 4, 8, 8), np.float32))), 4)
    assert family(b.model()).family == "plain CNN"


def test_quantized_graphs_keep_their_family() -> None:
    b = Build(17)
    scale, zero = b.constant(0.05, dtype=np.float32), b.constant(128, dtype=np.uint8)
    x = b.input("image", ["batch", 3, 8, 8])

    def pair(y: str) -> str:
        return str(b.node("DequantizeLinear", b.node("QuantizeLinear", y, scale, zero), scale, zero))

    def layer(y: str, inside: int, group: int = 1) -> str:
        held = b.constant(np.ones((8, inside // group, 3, 3)), dtype=np.int8)
        w = b.node("DequantizeLinear", held, scale, b.constant(0, dtype=np.int8))
        return pair(b.node("Relu", b.node("Conv", y, w, pads=[1] * 4, group=group)))

    x = layer(pair(x), 3)
    y = layer(layer(x, 8), 8)
    b.output(b.node("Add", x, y), ["batch", 8, 8, 8])
    assert family(b.model()).family == "residual CNN"
