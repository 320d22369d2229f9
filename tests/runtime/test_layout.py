"""Graph and weights are put apart without changing either, and what is no model is left to its engine to refuse."""

import io

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.model import FilesIn, Model, Signature
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.runtime.loading.apart import take_apart
from edgewright.runtime.loading.layout import lay_out
from edgewright.runtime.loading.sources import Source

X = np.random.default_rng(0).standard_normal((3, 300)).astype(np.float32)


def made(how="raw"):
    """x @ W + b, with 360 kB of weights: as raw initializers, in typed fields, or as constants."""
    rng = np.random.default_rng(1)
    w, b = rng.standard_normal((300, 300)).astype(np.float32), rng.standard_normal(300).astype(np.float32)
    held, nodes = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")], []
    if how == "typed":
        held = [helper.make_tensor(t.name, t.data_type, t.dims, numpy_helper.to_array(t).ravel()) for t in held]
    if how == "constants":
        nodes, held = [helper.make_node("Constant", [], [t.name], value=t) for t in held], []
    graph = helper.make_graph(
        [*nodes, helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])],
        "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 300])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 300])], held, doc_string="ü",
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def source(files, main="m.onnx"):
    return Source("m", "1", Model("onnx", main, files, Signature((), ())), "onnxruntime", EngineOptions())


def test_graph_and_weights_are_what_they_were(tmp_path):
    model, weights = made(), io.BytesIO()
    graph = take_apart(memoryview(model.SerializeToString()), weights, "weights.bin")
    assert len(graph) < 1000 and len(weights.getvalue()) >= 4 * 300 * 301
    (tmp_path / "weights.bin").write_bytes(weights.getvalue())
    (tmp_path / "m.onnx").write_bytes(graph)
    again = onnx.load(tmp_path / "m.onnx")
    offsets = [int(entry.value) for t in onnx.load(tmp_path / "m.onnx", load_external_data=False).graph.initializer
               for entry in t.external_data if entry.key == "offset"]  # fmt: skip
    assert offsets[0] == 0 and not offsets[1] % 64
    for tensor in again.graph.initializer:  # how onnx itself notes where they came from
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    assert again == model


@pytest.mark.parametrize("how", ["raw", "typed", "constants"])
@pytest.mark.parametrize("there", ["on disk", "in memory"])
def test_a_large_model_is_mapped_and_answers_as_before(tmp_path, how, there):
    raw = made(how).SerializeToString()
    (tmp_path / "m.onnx").write_bytes(raw)
    files = FilesIn(tmp_path, ["m.onnx"]) if there == "on disk" else {"m.onnx": raw}
    laid = lay_out(source(files), tmp_path / "out", far=False)
    assert set(laid.model.files) == {"m.onnx", "weights.bin"}
    assert len(laid.model.files["m.onnx"]) < 4000 and len(laid.model.files["weights.bin"]) >= 4 * 300 * 300
    with open_session(laid.model) as after, open_session(source({"m.onnx": raw}).model) as before:
        assert after.signature == before.signature
        np.testing.assert_array_equal(after.infer({"x": X})["y"], before.infer({"x": X})["y"])


def test_weights_that_lie_elsewhere_are_taken_along(tmp_path):
    onnx.save_model(made(), tmp_path / "m.onnx", save_as_external_data=True, location="far.data", size_threshold=0)
    laid = lay_out(source(FilesIn(tmp_path, ["m.onnx"])), tmp_path / "out", far=True)
    (tmp_path / "far.data").unlink()
    with (
        open_session(laid.model) as after,
        open_session(source({"m.onnx": made().SerializeToString()}).model) as before,
    ):
        np.testing.assert_array_equal(after.infer({"x": X})["y"], before.infer({"x": X})["y"])


@pytest.mark.parametrize("raw", [b"small", bytes(300_000), b"\xff" * 300_000, made().SerializeToString()[:-100_000]])
def test_what_is_no_model_is_left_as_it_is(tmp_path, raw):
    laid = lay_out(source({"m.onnx": raw}), tmp_path / "out", far=False)
    assert dict(laid.model.files) == {"m.onnx": raw}


WHOLE = made().SerializeToString()


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.tuples(st.integers(0, 400), st.binary(max_size=12))))
def test_anything_is_taken_apart_or_refused(garbage):
    if isinstance(garbage, tuple):
        place, bytes_ = garbage
        garbage = WHOLE[:place] + bytes_ + WHOLE[place + len(bytes_) :]
    weights = io.BytesIO()
    try:
        graph = take_apart(memoryview(garbage), weights, "w")
    except ValueError as error:
        assert "no protobuf" in str(error)
    else:
        assert len(graph) + len(weights.getvalue()) <= len(garbage) + 400
