"""Shapes: what is claimed of every value is what ONNX Runtime computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from onnx import TensorProto, helper

from edgewright.core.errors import InputError
from edgewright.core.model import Model, Signature
from edgewright.formats.onnx import from_proto
from edgewright.graphs import shapes as shapes_module
from edgewright.graphs.shapes import concrete_shapes, shape
from edgewright.testing.build import Build, draw_array
from edgewright.testing.graphs import models
from edgewright.testing.zoo import zoo


def computed(model: Model, batch: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every value of the main graph, as ONNX Runtime computes them."""
    proto = onnx.load_model_from_string(model.data)
    names = [name for node in proto.graph.node for name in node.output if name]
    del proto.graph.output[:]
    for name in names:
        proto.graph.output.add(name=name)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    feed = {s.name: draw_array(s.dtype, s.shape, rng, {"batch": batch}) for s in model.signature.inputs}
    return {n: (a.shape, a.dtype.name) for n, a in zip(names, session.run(names, feed), strict=True)}


@pytest.mark.parametrize("name", sorted(zoo()))
def test_every_value_of_the_zoo_has_the_shape_that_a_run_gives_it(name: str) -> None:
    model = zoo()[name]()
    found = concrete_shapes(model, batch=3)
    for value, (sizes, dtype) in computed(model, 3).items():
        assert (found[value].shape, found[value].dtype) == (sizes, dtype), value
        assert found[value].bytes == int(np.prod(sizes)) * np.dtype(dtype).itemsize


@given(models())
@settings(max_examples=25, deadline=None)
def test_every_value_of_a_random_graph_has_the_shape_that_a_run_gives_it(drawn: tuple[Model, dict]) -> None:
    model, _ = drawn
    found = concrete_shapes(model, batch=2)
    for value, (sizes, dtype) in computed(model, 2).items():
        assert (found[value].shape, found[value].dtype) == (sizes, dtype), value


@pytest.mark.parametrize(
    ("sizes", "batch", "dims", "expected"),
    [
        (["batch", 8], 4, {}, (4, 8)),
        ([None, 8], 4, {}, (4, 8)),
        (["rows", 8], 4, {}, (4, 8)),
        (["sequence", "batch_size", 8], 4, {}, (1, 4, 8)),
        (["N", "seq", 8], 4, {"seq": 128}, (4, 128, 8)),
        (["batch", "seq", 8], 4, {"batch": 2}, (2, 1, 8)),
        ([1, 8], 4, {}, (1, 8)),
    ],
)
def test_dynamic_sizes_are_pinned(sizes: list, batch: int, dims: dict[str, int], expected: tuple[int, ...]) -> None:
    b = Build()
    b.output(b.node("Relu", b.input("x", sizes)))
    assert concrete_shapes(b.model(), batch, dims)["x"].shape == expected


def test_contrib_operators_are_learnt_from_a_run() -> None:
    b = Build()
    x = b.input("x", ["batch", 8], "float32")
    q = b.node("QuantizeLinear", x, b.constant(0.1, dtype=np.float32), b.constant(128, dtype=np.uint8))
    scale = [b.constant(0.1, dtype=np.float32), b.constant(128, dtype=np.uint8)]
    added = b.node("QLinearAdd", q, *scale, q, *scale, *scale, domain="com.microsoft")
    b.output(b.node("DequantizeLinear", added, *scale), ["batch", 8])
    found = concrete_shapes(b.model(), batch=5)
    assert (found[added].shape, found[added].dtype, found[added].bytes) == ((5, 8), "uint8", 40)


def test_packed_weights_take_half_a_byte_each() -> None:
    b = Build(21)
    b.held.append(helper.make_tensor("w", TensorProto.INT4, [3, 5], bytes(8), raw=True))
    w = b.node("DequantizeLinear", "w", b.constant(0.5, dtype=np.float32))
    b.output(b.node("MatMul", b.input("x", [1, 3]), w), [1, 5])
    facts = concrete_shapes(b.model())["w"]
    assert (facts.dtype, facts.elements, facts.bytes) == ("int4", 15, 8)


def test_values_of_subgraphs_bear_the_name_of_their_place() -> None:
    found = concrete_shapes(zoo()["conditional"](), batch=2)
    inside = {name: facts.shape for name, facts in found.items() if ".then_branch/gemm" in name}
    assert list(inside.values()) == [(2, 8)]


def test_local_functions_are_inlined() -> None:
    body = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    made = helper.make_node("Twice", ["x"], ["y"], domain="own")
    graph = helper.make_graph(
        [made], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = from_proto(helper.make_model(graph, opset_imports=opsets, functions=[body], ir_version=8))
    assert [node.op_type for node in shape(model, 3).graph.nodes] == ["Add"]
    assert concrete_shapes(model, 3)["y"].shape == (3, 2)


def test_an_unknown_operator_is_told_and_the_rest_stays_known() -> None:
    b = Build()
    x = b.node("Relu", b.input("x", ["batch", 8]))
    strange = b.node("Strange", x, domain="nobody.knows")
    b.output(strange, ["batch", 8])
    found = shape(b.model(), 2)
    assert found.facts[x].shape == (2, 8)
    assert found.unknown == (strange,)
    assert "nobody.knows" in found.why or "Strange" in found.why


def test_a_loop_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes_module, "RUN_LIMIT_S", 0.05)
    body = Build()
    body._count = 100
    body.input("i", [], "int64")
    body.input("go", [], "bool")
    body.input("state", [None])
    body.output(body.node("Identity", "go"), [], "bool")
    body.output(body.node("Identity", "state"), [None])
    b = Build()
    x = b.input("x", [4])
    count = b.node("Cast", b.node("Mul", b.node("ReduceMax", x, keepdims=0), b.constant(1e18, dtype=np.float32)), to=7)
    many = b.node("Max", count, b.constant(2**62, dtype=np.int64))
    out = b.node("Loop", many, b.constant(True, dtype=bool), x, body=body.graph("body"))
    b.output(b.node("NonZero", out), None, "int64")
    found = shape(b.model())
    assert found.unknown
    assert "cannot run" in found.why


BAD = {
    "cycle": ([("Add", ["x", "b"], "a"), ("Relu", ["a"], "b")], "b", "cycle"),
    "missing": ([("Add", ["x", "ghost"], "a")], "a", "which nothing provides"),
    "twice": ([("Relu", ["x"], "a"), ("Tanh", ["x"], "a")], "a", "two nodes"),
    "no output": ([("Relu", ["x"], "a")], "z", "nothing in the graph makes"),
}


@pytest.mark.parametrize(("nodes", "output", "message"), BAD.values(), ids=BAD)
def test_a_damaged_graph_gets_one_clear_line(nodes: list, output: str, message: str) -> None:
    made = [helper.make_node(op, inputs, [out]) for op, inputs, out in nodes]
    graph = helper.make_graph(
        made, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1])],
    )  # fmt: skip
    with pytest.raises(InputError, match=message):
        concrete_shapes(from_proto(helper.make_model(graph)))


def test_nodes_written_in_another_order_are_sorted() -> None:
    made = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Tanh", ["x"], ["a"])]
    graph = helper.make_graph(
        made, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    assert [n.op_type for n in shape(from_proto(helper.make_model(graph))).graph.nodes] == ["Tanh", "Relu"]


def test_a_tensor_that_lies_about_its_size_is_refused() -> None:
    proto = onnx.load_model_from_string(zoo()["mlp"]().data)
    proto.graph.initializer[0].dims[0] += 1
    with pytest.raises(InputError, match=r"holds .* bytes where its shape needs"):
        concrete_shapes(from_proto(proto))


@pytest.mark.parametrize(
    ("batch", "dims", "message"), [(0, {}, "at least 1"), (1, {"seq": 3}, "no dynamic size named 'seq'"),
                                   (True, {}, "whole number"), (1, {"batch": -1}, "at least 1")],
)  # fmt: skip
def test_unusable_sizes_are_refused(batch: int, dims: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        concrete_shapes(zoo()["residual"](), batch, dims)


def test_another_format_is_refused() -> None:
    other = Model("ort", "m.ort", {"m.ort": b"x"}, Signature((), ()))
    with pytest.raises(InputError, match="needs an ONNX graph"):
        concrete_shapes(other)


def test_external_data_beyond_their_file_are_refused() -> None:
    proto = onnx.load_model_from_string(zoo()["mlp"]().data)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "8"), ("length", str(64 * 20 * 4))):
        tensor.external_data.add(key=key, value=value)
    found = from_proto(proto)
    short = Model("onnx", "model.onnx", {"model.onnx": found.data, "w.bin": bytes(100)}, found.signature)
    whole = Model("onnx", "model.onnx", {"model.onnx": found.data, "w.bin": bytes(8 + 5120)}, found.signature)
    assert concrete_shapes(whole)[tensor.name].shape == (64, 20)
    with pytest.raises(InputError, match="beyond their file"):
        concrete_shapes(short)
