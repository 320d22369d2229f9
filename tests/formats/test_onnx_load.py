"""What an ONNX file that is right becomes: the same bytes, its data under its own names, its nodes in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.engines.agreement import agreement, sample_inputs
from edgewright.formats import convert, load, save
from edgewright.formats.onnx import from_bytes
from edgewright.testing.formats import check_format
from edgewright.testing.zoo import zoo

from .conftest import Writer, linear, model, value

node = helper.make_node


def test_the_format_keeps_its_contract(write: Writer, tmp_path: Path) -> None:
    path = write(linear())
    loaded = check_format("onnx", path, tmp_path)
    assert (loaded.main, loaded.digest) == ("model.onnx", digest_bytes(path.read_bytes()))


@pytest.mark.parametrize("name", zoo())
def test_every_model_of_the_zoo_is_taken_as_it_is(name: str, write: Writer) -> None:
    made = zoo()[name]()
    loaded = load(write(made.data))
    assert loaded == made and loaded.signature == made.signature and loaded.lineage == ()


def test_a_live_proto_is_a_model() -> None:
    assert load(linear()) == load(linear())


@pytest.mark.parametrize("locations", [["weights.bin"], ["data/w.bin", "data/b.bin"]])
def test_external_data_keeps_its_own_names(locations: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    proto = linear()
    for tensor, location in zip(proto.graph.initializer, locations * 2, strict=False):
        onnx.external_data_helper.set_external_data(tensor, location)
        path = folder / location
        path.parent.mkdir(exist_ok=True)
        at = path.stat().st_size if path.exists() else 0
        with path.open("ab") as stream:
            stream.write(tensor.raw_data)
        tensor.external_data.add(key="offset", value=str(at))
        tensor.external_data.add(key="length", value=str(len(tensor.raw_data)))
        tensor.ClearField("raw_data")
    (folder / "net.onnx").write_bytes(proto.SerializeToString())
    loaded = load(folder / "net.onnx")
    assert set(loaded.files) == {"model.onnx", *locations} and loaded.main == "model.onnx"
    assert load(save(loaded, tmp_path / "again")) == loaded
    inside = load(linear())
    inputs = sample_inputs(inside.signature)
    assert agreement(inside, loaded, inputs).sqnr_db == np.inf
    for to in ("ort", "openvino"):
        assert agreement(inside, convert(loaded, to), inputs).sqnr_db > 100
    (folder / locations[0]).write_bytes(b"short")
    with pytest.raises(InputError, match="beyond the end"):
        load(folder / "net.onnx")


def test_external_data_without_a_file_is_refused() -> None:
    proto = linear()
    onnx.external_data_helper.set_external_data(proto.graph.initializer[0], "w.bin")
    with pytest.raises(InputError, match=r"'w.bin' is not with it; load the model's file"):
        load(proto)


def _functions() -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    twice = helper.make_function(
        "local", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["t"]), node("Relu", ["t"], ["b"])], opsets
    )
    calls = [node("Twice", ["x"], ["m"], domain="local"), node("Twice", ["m"], ["y"], domain="local")]
    return model(calls, functions=[twice], domains=["local"])


def _shuffled() -> onnx.ModelProto:
    proto = linear()
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes[::-1])
    return proto


def _reads_a_later_name() -> onnx.ModelProto:
    """A branch reads, from the graph around it, what is made further down."""
    then = helper.make_graph([node("Relu", ["later"], ["p"])], "p", [], [value("p")])
    other = helper.make_graph([node("Neg", ["x"], ["q"])], "q", [], [value("q")])
    nodes = [node("If", ["c"], ["y"], then_branch=then, else_branch=other), node("Abs", ["x"], ["later"])]
    return model(nodes, inputs=[value("x"), value("c", [], T.BOOL)])


@pytest.mark.parametrize(
    ("make", "functions", "moved"),
    [(_functions, 1, False), (_shuffled, 0, True), (_reads_a_later_name, 0, True)],
)
def test_functions_are_spelled_out_and_nodes_put_in_order(
    make: Callable[[], onnx.ModelProto], functions: int, moved: bool, write: Writer
) -> None:
    path = write(make())
    loaded = load(path)
    (step,) = loaded.lineage
    assert (step.name, dict(step.options)) == ("normalise", {"functions": functions, "sorted": moved})
    assert step.parent == digest_bytes(path.read_bytes())
    onnx.checker.check_model(loaded.data)
    assert not onnx.load_model_from_string(loaded.data).functions
    again = load(write(loaded.data))
    assert again == loaded and again.lineage == (), "what was put right once is right"
    original = Model("onnx", "m.onnx", {"m.onnx": path.read_bytes()}, loaded.signature)
    assert agreement(original, loaded, sample_inputs(loaded.signature)).sqnr_db == np.inf


def test_sizes_that_vary_are_told_from_fixed_ones(write: Writer) -> None:
    shape = ["n", None, -1, 4]
    proto = model([node("Relu", ["x"], ["y"])], inputs=[value("x", shape)], outputs=[value("y", ["n", None, None, 4])])
    assert load(write(proto)).signature.inputs[0].shape == ("n", None, None, 4)


def test_an_empty_initialiser_that_is_listed_as_an_input_is_no_input(write: Writer) -> None:
    held = [numpy_helper.from_array(np.zeros(0, np.float32), "roi"), numpy_helper.from_array(np.ones(2, "f"), "s")]
    resize = node("Resize", ["x", "roi", "s"], ["y"])
    loaded = load(write(model([resize], held, inputs=[value("x"), value("roi", [0])])))
    assert [spec.name for spec in loaded.signature.inputs] == ["x"]


def test_a_file_without_the_suffix_is_known_by_its_first_bytes(write: Writer) -> None:
    assert load(write(linear(), "model.bin")).format == "onnx"


def test_contributed_operators_are_known(write: Writer) -> None:
    gelu = node("Gelu", ["x"], ["y"], domain="com.microsoft")
    norm = node("SimplifiedLayerNormalization", ["x", "w"], ["y"], axis=-1)
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    for proto in (model([gelu], domains=["com.microsoft"]), model([norm], [weight])):
        loaded = load(write(proto))
        assert agreement(loaded, loaded, sample_inputs(loaded.signature)).sqnr_db == np.inf


SEEDS = [linear().SerializeToString(), _functions().SerializeToString(), _reads_a_later_name().SerializeToString()]
place = st.integers(0, 2**16)
edits = st.one_of(
    st.tuples(st.just("flip"), place, st.integers(0, 7)),
    st.tuples(st.just("set"), place, st.sampled_from([0, 1, 127, 128, 255])),
    st.tuples(st.just("cut"), place, st.integers(1, 40)),
    st.tuples(st.just("copy"), place, place),
    st.tuples(st.just("end"), place, st.just(0)),
)


def _edited(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    found = bytearray(data)
    for kind, at, what in changes:
        at %= len(found) or 1
        if kind == "end":
            del found[at:]
        elif kind == "cut":
            del found[at : at + what]
        elif kind == "copy":
            found[at:at] = found[what % (len(found) or 1) :][:64]
        elif found:
            found[at] = found[at] ^ (1 << what) if kind == "flip" else what
    return bytes(found)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.lists(edits, min_size=1, max_size=8))
@example(b"\x08", [])
@example(SEEDS[0], [("set", 10, 255)])
def test_mutated_bytes_are_a_model_or_an_input_error(data: bytes, changes: list[tuple[str, int, int]]) -> None:
    try:
        made = from_bytes(_edited(data, changes), "mutant.onnx")
    except InputError as error:
        assert str(error).startswith("mutant.onnx") and "\n" not in str(error)
    else:
        assert made.signature.inputs and made.signature.outputs
