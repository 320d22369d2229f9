"""The saturating sums of CPUs without VNNI: against a loop, against ONNX Runtime's own products, against real AVX2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import product as every
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgewright.compression.contract import Context
from edgewright.compression.passes import make_pass
from edgewright.compression.pruning.stepper import Stepper
from edgewright.compression.quantization.kernels import product
from edgewright.compression.quantization.saturation import Saturation, emulate, excess, possible
from edgewright.core.errors import InputError, Refused
from edgewright.core.model import Model
from edgewright.core.session import Arrays
from edgewright.graphs.graph import open_graph
from edgewright.targets import target
from edgewright.testing.build import Build, Drawn
from edgewright.testing.zoo import zoo


def maddubs(a: Sequence[int], w: Sequence[int]) -> int:
    """One dot product as the instruction computes it, in plain Python."""
    a, w = [*map(int, a)], [*map(int, w)]
    if len(a) % 2:
        a, w = [*a, 0], [*w, 0]
    pairs = (a[i] * w[i] + a[i + 1] * w[i + 1] for i in range(0, len(a), 2))
    return sum(max(-32768, min(32767, s)) for s in pairs)


@pytest.mark.parametrize(
    ("activations", "weights", "answer"),
    [
        ([255, 255], [127, 127], 32767),
        ([255, 255], [-128, -128], -32768),
        ([255, 255], [127, -128], -255),
        ([255, 255, 255, 255], [127, 1, 127, 1], 4 * 255 * 64 // 2 * 2),
        ([255, 255, 255, 255], [127, 127, 1, 1], 32767 + 510),
        ([255], [127], 32385),
        ([217, 151], [127, 34], 217 * 127 + 151 * 34),
        ([255, 151], [127, 3], 32767),
        ([0, 0], [127, 127], 0),
    ],
    ids=["high", "low", "cancel", "spread", "together", "odd one", "below", "just over", "zero"],
)
def test_one_product(activations: list[int], weights: list[int], answer: int) -> None:
    a, w = np.array([activations], np.uint8), np.array(weights, np.int8)[:, None]
    lost, cut = excess(a, w)
    exact = int(a[0].astype(int) @ w[:, 0].astype(int))
    assert exact - lost[0, 0] == maddubs(activations, weights) == answer
    assert (cut > 0) == (lost[0, 0] != 0)


@pytest.mark.parametrize("depth", [1, 2, 3, 8, 27])
@pytest.mark.parametrize("high", [90, 255])
def test_many_products_are_those_of_a_loop(depth: int, high: int) -> None:
    rng = np.random.default_rng([depth, high])
    a = rng.integers(0, high, (13, depth), dtype=np.uint8, endpoint=True)
    w = rng.integers(-128, 127, (depth, 7), dtype=np.int8, endpoint=True)
    lost, cut = excess(a, w)
    exact = a.astype(np.int64) @ w.astype(np.int64)
    loop = np.array([[maddubs(row, column) for column in w.T] for row in a])
    np.testing.assert_array_equal(exact - lost, loop)
    assert (cut == 0) == np.array_equal(exact, loop)


def test_no_rows_lose_nothing() -> None:
    lost, cut = excess(np.empty((0, 4), np.uint8), np.ones((4, 2), np.int8))
    assert lost.shape == (0, 2) and cut == 0


@pytest.mark.parametrize(
    ("weights", "answer"),
    [([64, 64, 0], False), ([65, 64, 0], True), ([-64, 0, -64], False), ([-65, 0, -64], True), ([127], False),
     ([63] * 9, False), ([127, -127, 1], False), ([127, -127, 2], True)],
)  # fmt: skip
def test_whether_any_order_could_saturate(weights: list[int], answer: bool) -> None:
    assert possible(np.array(weights, np.int8)[:, None]) is answer


def quantized(model: Model, samples: Any, **options: Any) -> Model:
    result = make_pass({"pass": "int8_static", **options})(model, Context(samples))
    assert result.status == "applied", result.reason
    return result.model


GRAPHS = ("residual", "depthwise", "inception", "mlp", "signal", "volume", "shared_weight", "attention")


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("activations", ["u8", "s8_symmetric"])
def test_rows_times_weights_are_what_the_engine_multiplies(name: str, activations: str) -> None:
    """Without saturation the layout must give ONNX Runtime's own convolution or product, bias apart."""
    model = zoo()[name]()
    small = quantized(model, Drawn(model, 6), activations=activations)
    graph = open_graph(small)
    stepper = Stepper(graph.graph, list(Drawn(model, 2, seed=3).batches(1)), graph.graph.opset_imports)
    seen = 0
    for node in graph.graph:
        found = product(node, stepper.values)
        chunk = stepper.values[found.data][0] if found else None
        if found is not None and len(node.inputs) > 2:
            node.resize_inputs(2)  # the bias is no part of the sums
        stepper.step(node)
        if found is None or chunk is None:
            continue
        seen += 1
        sums = []
        for rows in found.rows(chunk):
            centred = rows.astype(np.int64) - found.zero
            sums.append(np.concatenate([centred[:, g] @ w.astype(np.int64) for g, w in enumerate(found.weights)], 1))
        wanted = stepper.values[str(node.outputs[0].name)][0]
        np.testing.assert_allclose(found.shaped(sums, wanted), wanted, rtol=1e-4, atol=1e-5)
    assert seen


def heavy_conv(groups: int = 1, stride: int = 2, dilation: int = 1) -> Model:
    """A convolution of large positive weights over a border, its answers averaged."""
    b = Build(17)
    x = b.input("image", ["batch", 6, 7, 7])
    w = b.constant(b.rng.uniform(0.5, 1.0, (4, 6 // groups, 3, 3)), "w", np.float32)
    y = b.node("Conv", x, w, kernel_shape=[3, 3], pads=[1] * 4, strides=[stride] * 2, dilations=[dilation] * 2,
               group=groups)  # fmt: skip
    b.output(b.node("Flatten", y))
    return b.model()


class Bright:
    """Samples near the top of their range."""

    name, labels, digest = "calibration", None, "0" * 64

    def __init__(self, shape: tuple[int, ...], count: int = 8, low: float = 0.0) -> None:
        self.rows = np.random.default_rng(1).uniform(low, 1.0, (count, *shape)).astype(np.float32)
        self.rows[0].flat[:2] = 1.0, 0.0

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> Any:
        for start in range(0, len(self.rows), size):
            yield {"image": self.rows[start : start + size]}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_a_convolution_saturates_like_a_loop(groups: int, stride: int, dilation: int) -> None:
    data = Bright((6, 7, 7), 2)
    model = quantized(heavy_conv(groups, stride, dilation), data, bias_correction=False)
    found = emulate(model, list(data.batches(2)))
    assert found.cut > 0
    name = model.signature.outputs[0].name
    graph = open_graph(model)
    stepper = Stepper(graph.graph, list(data.batches(2)), graph.graph.opset_imports)
    for node in graph.graph:
        layer = product(node, stepper.values)
        levels = None if layer is None else layer._levels(stepper.values[layer.data][0])
        stepper.step(node)
        if layer is None or levels is None:
            continue
        weight = np.asarray(node.inputs[1].producer().inputs[0].const_value.numpy())  # type: ignore[union-attr]
        lost = looped(levels, weight, groups, stride, dilation, layer.zero)
        layer_loss = lost * layer.factor[:, None, None]
        before = stepper.values[str(node.outputs[0].name)][0]
        stepper.values[str(node.outputs[0].name)][0] = (before - layer_loss).astype(np.float32)
    np.testing.assert_allclose(found.saturated[name], stepper.values[name][0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(found.saturated[name], found.exact[name])


def looped(
    levels: NDArray[Any], weight: NDArray[Any], groups: int, stride: int, dilation: int, zero: int
) -> NDArray[np.int64]:
    n, height = levels.shape[0], levels.shape[2]
    per = weight.shape[0] // groups
    size = (height + 2 - 2 * dilation - 1) // stride + 1
    lost = np.zeros((n, weight.shape[0], size, size), np.int64)
    padded = np.pad(levels, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=zero)
    for i, o, y, x in every(range(n), range(weight.shape[0]), range(size), range(size)):
        first = o // per * weight.shape[1]
        a, w = [], []
        for ky, kx, c in every(range(3), range(3), range(weight.shape[1])):
            a.append(int(padded[i, first + c, y * stride + ky * dilation, x * stride + kx * dilation]))
            w.append(int(weight[o, c, ky, kx]))
        lost[i, o, y, x] = sum(p * q for p, q in zip(a, w, strict=True)) - maddubs(a, w)
    return lost


@pytest.mark.parametrize("name", ["residual", "inception", "mlp", "attention"])
def test_seven_bits_never_saturate(name: str) -> None:
    model = zoo()[name]()
    data = Drawn(model, 6)
    found = emulate(quantized(model, data, weight_bits=7), list(data.batches(2)))
    assert found.layers and found.cut == 0 and not any(layer.possible for layer in found.layers)
    assert not found.exact, "nothing to compare where nothing was lost"


def heavy_mlp() -> Model:
    """Positive weights beside positive activations; two answers that saturation brings together."""
    b = Build(17)
    x = b.input("image", ["batch", 64])
    w = b.constant(b.rng.uniform(0.2, 1.0, (64, 32)), "w", np.float32)
    y = b.node("Relu", b.node("Gemm", x, w, b.constant(np.zeros(32), "b", np.float32)))
    v = b.constant(b.rng.standard_normal((32, 3)), "v", np.float32)
    b.output(b.node("Gemm", y, v, b.constant(np.zeros(3), "c", np.float32)), ["batch", 3])
    return b.model()


def test_what_one_layer_loses_the_next_one_reads() -> None:
    data = Bright((64,), 16, low=0.6)
    found = emulate(quantized(heavy_mlp(), data), list(data.batches(8)))
    first = found.layers[0]
    assert first.saturated > 0 and first.possible and first.ordered
    assert first.touched <= first.outputs == 16 * 32 and first.pairs == 16 * 32 * 32
    assert first.noise_db is not None and first.noise_db < 40
    assert found.samples == 16 and found.exact.keys() == found.saturated.keys()
    assert not np.allclose(*(side[next(iter(side))] for side in (found.exact, found.saturated)), rtol=1e-3)


def test_dynamic_quantization_is_followed_too() -> None:
    model = heavy_mlp()
    data = Bright((64,), 16, low=0.6)
    result = make_pass({"pass": "int8_dynamic", "smallest": 1})(model, Context(data))
    found = emulate(result.model, list(data.batches(8)))
    assert found.layers[0].op_type == "MatMulInteger" and found.cut > 0 and found.exact


def test_floats_have_nothing_to_saturate() -> None:
    model = zoo()["residual"]()
    found = emulate(model, list(Drawn(model, 2).batches(1)))
    assert (found.layers, found.cut, found.unseen, found.samples) == ((), 0, (), 2)


def test_depthwise_filters_are_exact() -> None:
    model = zoo()["depthwise"]()
    data = Drawn(model, 4)
    names = [layer.op_type for layer in emulate(quantized(model, data), list(data.batches(2))).layers]
    assert names == ["Conv"] * 3 + ["Gemm"], "four convolutions, one of them depthwise"


def test_what_cannot_be_followed_is_named() -> None:
    model = zoo()["lstm"]()
    result = make_pass({"pass": "int8_dynamic", "smallest": 1})(model, Context())
    assert result.status == "applied"
    found = emulate(result.model, list(Drawn(model, 1).batches(1)))
    assert found.unseen == ("DynamicQuantizeLSTM",)


def test_control_flow_is_refused() -> None:
    model = zoo()["conditional"]()
    data = Drawn(model, 4)
    with pytest.raises(Refused, match="control flow"):
        emulate(quantized(model, data), list(data.batches(1)))


def test_a_spent_clock_stops_it() -> None:
    model = zoo()["mlp"]()
    data = Drawn(model, 4)

    def spent() -> None:
        raise InputError("time")

    with pytest.raises(InputError, match="time"):
        emulate(quantized(model, data), list(data.batches(1)), checkpoint=spent)


@pytest.mark.parametrize(("engine", "channels", "known"), [("onnxruntime", 3, True), ("openvino", 8, True),
                                                           ("openvino", 3, False)])  # fmt: skip
def test_openvino_packs_fours_of_channels(engine: str, channels: int, known: bool) -> None:
    b = Build(17)
    x = b.input("image", ["batch", channels, 5, 5])
    b.output(b.node("Flatten", b.node("Conv", x, b.weight(4, channels, 3, 3), kernel_shape=[3, 3])))
    data = Bright((channels, 5, 5))
    found = emulate(quantized(b.model(), data), list(data.batches(4)), engine)
    assert [layer.ordered for layer in found.layers] == [known]


_CHILD = """
import json, sys
import numpy as np, openvino as ov
core = ov.Core(); core.set_property({"ENABLE_MMAP": False})
with np.load(sys.argv[2]) as held: rows = held["rows"]
made = core.compile_model(core.read_model(sys.argv[1]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
request = made.create_infer_request(); request.infer({0: rows})
print(json.dumps(np.array(request.get_output_tensor(0).data).tolist()))
"""


def _outputs(model: Model, rows: NDArray[Any], folder: Any, isa: str) -> NDArray[np.float64]:
    (folder / "model.onnx").write_bytes(model.data)
    np.savez(folder / "rows.npz", rows=rows)
    command = [sys.executable, "-W", "ignore", "-c", _CHILD, str(folder / "model.onnx"), str(folder / "rows.npz")]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa})
    return np.array(json.loads(done.stdout.splitlines()[-1]))


def _db(signal: NDArray[Any], other: NDArray[Any]) -> float:
    return 10 * float(np.log10(np.sum(signal**2) / max(np.sum((signal - other) ** 2), 1e-30)))


@pytest.mark.skipif(not target("host").has("avx2"), reason="needs an x86 CPU with AVX2")
@pytest.mark.parametrize("make", [heavy_mlp, heavy_conv])
def test_real_avx2_answers_as_emulated(make: Callable[[], Model], tmp_path: Any) -> None:
    """oneDNN told to use AVX2 alone, on this very machine: the emulation must be nearer to it than exact sums are."""
    pytest.importorskip("openvino")
    data = Bright((64,), 16, low=0.6) if make is heavy_mlp else Bright((6, 7, 7), 16, low=0.6)
    model = quantized(make(), data)
    batches: list[Arrays] = list(data.batches(16))
    found: Saturation = emulate(model, batches, "openvino")
    name = model.signature.outputs[0].name
    answers = _outputs(model, batches[0]["image"], tmp_path, "AVX2")
    emulated, exact = _db(answers, found.saturated[name]), _db(answers, found.exact[name])
    assert emulated > exact + 10, f"emulation {emulated:.1f} dB, exact {exact:.1f} dB"
    assert emulated > 30
