"""The coverage table against the libraries themselves: each claim is rebuilt as a small graph and looked at."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

from edgewright.advice.coverage import check_table, column
from edgewright.core.model import Model
from edgewright.graphs.fusion import JOINERS, KERNELS
from edgewright.testing.build import Build

F, I8, U8, I64 = np.float32, np.int8, np.uint8, np.int64
IMAGE = [1, 4, 8, 8]


def pair(b: Build, x: str, kind: type = U8, zero_point: int | None = None) -> str:
    middle = (128 if kind is U8 else 0) if zero_point is None else zero_point
    scale, zero = b.constant(0.05, dtype=F), b.constant(middle, dtype=kind)
    return str(b.node("DequantizeLinear", b.node("QuantizeLinear", x, scale, zero), scale, zero))


def weight(b: Build, *sizes: int) -> str:
    held = b.constant(b.rng.integers(-100, 100, sizes), dtype=I8)
    return str(b.node("DequantizeLinear", held, b.constant(0.01, dtype=F), b.constant(0, dtype=I8)))


def quantized(op: str, shapes: list[list[int]], *, weights: tuple[tuple[int, ...], ...] = (),
              extra: tuple[Any, ...] = (), outputs: int = 1, tail: Callable[[Build, str], str] | None = None,
              kind: type = U8, end: int | None = None, **attributes: Any) -> Model:  # fmt: skip
    """One operator between pairs."""
    b = Build(21)
    first = [b.constant(np.ones(IMAGE, bool))] if op == "Where" else []
    names = first + [pair(b, b.input(f"x{i}", s), kind) for i, s in enumerate(shapes)]
    names += [weight(b, *s) for s in weights]
    names += ["" if a is None else b.constant(a) for a in extra]
    made = b.node(op, *names, outputs=outputs, **attributes)
    for name in (made,) if outputs == 1 else made:
        last = tail(b, name) if tail else name
        b.output(last if op == "ArgMax" else pair(b, last, kind, end), None, "int64" if op == "ArgMax" else "float32")
    return b.model()


def ints(*values: int) -> Any:
    return np.array(values, I64)


CASES: dict[str, dict[str, Any]] = {
    "Conv": {"shapes": [IMAGE], "weights": ((8, 4, 3, 3),)},
    "ConvTranspose": {"shapes": [IMAGE], "weights": ((4, 8, 2, 2),)},
    "Gemm": {"shapes": [[1, 8]], "weights": ((8, 4),)},
    "MatMul": {"shapes": [[1, 8]], "weights": ((8, 4),)},
    **{op: {"shapes": [IMAGE, IMAGE]} for op in ("Add", "Mul", "Sub", "Div", "Where")},
    "Concat": {"shapes": [IMAGE, IMAGE], "axis": 1},
    "AveragePool": {"shapes": [IMAGE], "kernel_shape": [2, 2]},
    "MaxPool": {"shapes": [IMAGE], "kernel_shape": [2, 2]},
    **{
        op: {"shapes": [IMAGE]}
        for op in ("GlobalAveragePool", "GlobalMaxPool", "LeakyRelu", "Sigmoid", "Softmax", "Relu", "Tanh", "HardSwish",
                   "Erf", "Elu", "HardSigmoid", "Identity", "Dropout", "Flatten")
    },
    "Clip": {"shapes": [IMAGE], "extra": (F(0), F(6))},
    "LayerNormalization": {"shapes": [[1, 8]], "extra": (np.ones(8, F),)},
    "Resize": {"shapes": [IMAGE], "extra": (None, np.array([1, 1, 2, 2], F))},
    "Split": {"shapes": [IMAGE], "extra": (ints(2, 2),), "axis": 1, "outputs": 2},
    "Reshape": {"shapes": [IMAGE], "extra": (ints(1, -1),)},
    "Transpose": {"shapes": [IMAGE], "perm": [0, 2, 3, 1]},
    "Squeeze": {"shapes": [IMAGE], "extra": (ints(0),)},
    "Unsqueeze": {"shapes": [IMAGE], "extra": (ints(0),)},
    "Slice": {"shapes": [IMAGE], "extra": (ints(0), ints(2), ints(1))},
    "Gather": {"shapes": [IMAGE], "extra": (ints(0),), "axis": 1},
    "GatherElements": {"shapes": [[1, 4]], "extra": (np.zeros((1, 4), I64),), "axis": 1},
    "Expand": {"shapes": [IMAGE], "extra": (ints(2, 4, 8, 8),)},
    "Tile": {"shapes": [IMAGE], "extra": (ints(2, 1, 1, 1),)},
    "Pad": {"shapes": [IMAGE], "extra": (ints(0, 0, 1, 1, 0, 0, 1, 1),)},
    "DepthToSpace": {"shapes": [IMAGE], "blocksize": 2},
    "SpaceToDepth": {"shapes": [IMAGE], "blocksize": 2},
    **{op: {"shapes": [IMAGE], "extra": (ints(2, 3),)} for op in ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum")},
    "ArgMax": {"shapes": [IMAGE]},
}  # fmt: skip


def claimed(engine: str) -> dict[str, str]:
    """Operator -> role in the engine's static INT8."""
    return {op: claim.role for claim in column(engine, "int8_static").claims for op in sorted(claim.ops)}


def optimized(model: Model, level: str = "EXTENDED") -> onnx.GraphProto:
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.log_severity_level = 4
    with pytest.MonkeyPatch.context() as patch:
        import tempfile

        folder = tempfile.mkdtemp()
        patch.chdir(folder)
        options.optimized_model_filepath = "optimized.onnx"
        ort.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
        return onnx.load("optimized.onnx").graph


def reads_floats(graph: onnx.GraphProto) -> bool:
    """Whether an operator other than the last DequantizeLinear still reads dequantized values."""
    dequantized = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    return any(name in dequantized for node in graph.node for name in node.input)


def test_the_table_can_be_read() -> None:
    check_table()


@pytest.mark.parametrize("op", sorted(set(CASES) - {"Relu", "Clip", "Identity", "Dropout"}))
def test_onnxruntime_runs_as_integers_exactly_what_is_claimed(op: str) -> None:
    graph = optimized(quantized(op, **CASES[op]))
    assert (not reads_floats(graph)) == (op in claimed("onnxruntime")), [n.op_type for n in graph.node]


def test_costs_follow_the_same_rule_as_the_table() -> None:
    roles = {op: role for op, role in claimed("onnxruntime").items() if role != "absorbed"}
    assert {op for op, role in roles.items() if role == "kernel"} == set(KERNELS)
    assert {op for op, role in roles.items() if role != "kernel"} == {*JOINERS, "Concat"}


def test_every_static_claim_has_a_case() -> None:
    for engine in ("onnxruntime", "openvino"):
        assert set(claimed(engine)) <= set(CASES)


@pytest.mark.parametrize("op", ["Relu", "Clip"])
def test_onnxruntime_absorbs_an_activation_behind_a_kernel(op: str) -> None:
    def tail(b: Build, x: str) -> str:
        return str(b.node(op, x, *((b.constant(0.0, dtype=F), b.constant(12.75, dtype=F)) if op == "Clip" else ())))

    graph = optimized(quantized("Conv", **CASES["Conv"], tail=tail, end=0))
    assert [n.op_type for n in graph.node] == ["QuantizeLinear", "QLinearConv", "DequantizeLinear"]
    assert reads_floats(optimized(quantized("Conv", **CASES["Conv"], tail=tail, end=128)))
    assert reads_floats(optimized(quantized(op, **CASES[op])))


def test_onnxruntime_multiplies_two_activations_as_integers() -> None:
    graph = optimized(quantized("MatMul", [[1, 2, 8, 8], [1, 2, 8, 8]]))
    assert "QLinearMatMul" in {n.op_type for n in graph.node}


@pytest.mark.parametrize("bits", [4, 8])
def test_onnxruntime_fuses_weights_alone(bits: int) -> None:
    b = Build(21)
    kind = TensorProto.INT4 if bits == 4 else TensorProto.INT8
    b.held.append(helper.make_tensor("w", kind, [64, 32], bytes(64 * 32 * bits // 8), raw=True))
    w = b.node("DequantizeLinear", "w", b.constant(np.ones((2, 32), F)), axis=0, block_size=32)
    b.output(b.node("MatMul", b.input("x", [4, 64]), w), [4, 32])
    assert [n.op_type for n in optimized(b.model()).node] == ["MatMulNBits"]


def kernels() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for kernel in state.get_all_opkernel_def():
        found.setdefault("" if kernel.domain == "ai.onnx" else kernel.domain, set()).add(kernel.op_name)
    return found


def test_onnxruntime_has_the_kernels_that_fp32_claims() -> None:
    there = kernels()
    by_domain = {claim.domain: claim for claim in column("onnxruntime", "fp32").claims}
    assert by_domain["com.microsoft"].ops <= there["com.microsoft"]
    schemas = [s for s in onnx.defs.get_all_schemas() if s.domain in ("", "ai.onnx.ml") and not s.deprecated]
    without = {
        s.name for s in schemas
        if s.domain == "" and s.name not in there[""] | {"Constant"}
        and not (s.has_function or s.has_context_dependent_function)
    }  # fmt: skip
    assert without <= by_domain[""].all_but
    assert {s.name for s in schemas if s.domain == "ai.onnx.ml"} <= there["ai.onnx.ml"]
    assert not by_domain[""].all_but & there[""]


def test_onnxruntime_has_the_kernels_that_smaller_types_claim() -> None:
    there = kernels()
    assert {"DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulNBits", "GatherBlockQuantized"} <= there[
        "com.microsoft"
    ]
    assert "ConvInteger" in there[""]
    halves = {k.op_name for k in state.get_all_opkernel_def()
              if any("tensor(float16)" in types for types in k.type_constraints.values())}  # fmt: skip
    arithmetic, movers = (claim.ops for claim in column("onnxruntime", "fp16").claims)
    assert movers <= halves
    if platform.machine() == "x86_64":
        assert not arithmetic & halves  # hence cast to fp32 around them


UNCONVERTED = """
import json, os, sys
import openvino
from onnx import TensorProto, helper

core = openvino.Core()


def converted(op, domain):
    node = helper.make_node(op, ["x"], ["y"], domain=domain)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    opsets = [helper.make_opsetid("", 22)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    try:
        core.read_model(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    except RuntimeError as error:
        return "No conversion rule found" not in str(error)
    return True


answers = {}
for domain, op in json.load(sys.stdin):
    reader, writer = os.pipe()
    child = os.fork()  # a malformed node may crash the library; that it got so far means that there is a rule
    if child == 0:
        os.write(writer, b"1" if converted(op, domain) else b"0")
        os._exit(0)
    os.close(writer)
    answers[domain + ":" + op] = os.read(reader, 1) != b"0"
    os.close(reader)
    os.waitpid(child, 0)
print(json.dumps(answers))
"""


def test_openvino_converts_what_fp32_claims_and_nothing_it_denies() -> None:
    pytest.importorskip("openvino")
    asked: list[tuple[str, str]] = []
    expected: dict[str, bool] = {}
    for claim in column("openvino", "fp32").claims:
        domain_kernels = kernels().get(claim.domain, set())
        names = claim.all_but if claim.all_but else domain_kernels
        for op in sorted(names):
            asked.append((claim.domain, op))
            expected[f"{claim.domain}:{op}"] = op in claim.ops
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNCONVERTED], input=json.dumps(asked), capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.fixture(scope="module")
def core() -> Any:
    return pytest.importorskip("openvino").Core()


def executed(core: Any, model: Model) -> list[tuple[str, str]]:
    """(layer type, precision) of what the compiled graph executes, inputs and outputs left out."""
    compiled = core.compile_model(core.read_model(model.data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = []
    for node in compiled.get_runtime_model().get_ops():
        info = {k: node.get_rt_info()[k].astype(str) for k in ("layerType", "runtimePrecision")}
        if info["layerType"] not in ("Input", "Output", "Const"):
            found.append((info["layerType"], info["runtimePrecision"]))
    return found


GLUE = {"Subgraph", "Reorder", "FakeQuantize", "Convert"}
ABSORBED = {op for op, role in claimed("openvino").items() if role == "absorbed"}


@pytest.mark.parametrize("op", sorted(set(CASES) - ABSORBED - {"Identity", "Dropout"}))
def test_openvino_runs_as_integers_exactly_what_is_claimed(core: Any, op: str) -> None:
    layers = executed(core, quantized(op, **CASES[op]))
    own = [precision for layer, precision in layers if layer not in GLUE and layer != "Transpose"]
    own = own or [precision for layer, precision in layers if layer == "Transpose"]
    integers = bool(own) and all(precision in ("u8", "i8") for precision in own)
    assert integers == (op in claimed("openvino")), layers


@pytest.mark.parametrize("op", sorted(ABSORBED - {"Add", "Mul"}))
def test_openvino_takes_an_activation_into_the_kernel_before_it(core: Any, op: str) -> None:
    def tail(b: Build, x: str) -> str:
        return str(b.node(op, x, *((b.constant(0.0, dtype=F), b.constant(6.0, dtype=F)) if op == "Clip" else ())))

    layers = executed(core, quantized("Conv", **CASES["Conv"], tail=tail))
    assert [layer for layer, _ in layers if layer not in GLUE] == ["Convolution"]
    assert ("Convolution", "u8") in layers


@pytest.mark.parametrize("op", ["MatMul", "ConvTranspose"])
def test_openvino_takes_symmetric_activations_where_it_is_said_to(core: Any, op: str) -> None:
    case = {"shapes": [[1, 2, 8, 8], [1, 2, 8, 8]]} if op == "MatMul" else CASES[op]
    layer = {"MatMul": "MatMul", "ConvTranspose": "Deconvolution"}[op]
    assert (layer, "f32") in executed(core, quantized(op, **case, kind=U8))
    assert (layer, "i8") in executed(core, quantized(op, **case, kind=I8))
