"""Every broken ONNX file is refused in one line that names the culprit and says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright.core.errors import InputError
from edgewright.formats import load
from edgewright.testing.formats import one_line

from .conftest import Writer, linear, model, value

node = helper.make_node


def _tensor(name: str, dims: list[int], dtype: int = T.FLOAT, raw: bytes = b"", **fields: Any) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=name, dims=dims, data_type=dtype, **fields)
    if raw:
        tensor.raw_data = raw
    return tensor


def _external(location: str, dims: list[int], **entries: Any) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="w", dims=dims, data_type=T.FLOAT, data_location=T.EXTERNAL)
    for key, text in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(text))
    return tensor


def _adding(*held: onnx.TensorProto) -> onnx.ModelProto:
    return model([node("Add", ["x", "w"], ["y"])], held)


def _relu(**parts: Any) -> onnx.ModelProto:
    return model([node("Relu", ["x"], ["y"])], **parts)


def _nested(depth: int) -> onnx.ModelProto:
    branch = helper.make_graph([node("Relu", ["x"], ["r0"])], "b0", [], [value("r0")])
    for level in range(1, depth):
        inner = node("If", ["c"], [f"r{level}"], then_branch=branch, else_branch=branch)
        del inner.attribute[1]
        branch = helper.make_graph([inner], f"b{level}", [], [value(f"r{level}")])
    whole = node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return model([whole], inputs=[value("x"), value("c", [], T.BOOL)])


def _function(name: str, calls: list[str], domain: str = "local") -> onnx.FunctionProto:
    steps = ["a", *(f"t{i}" for i in range(len(calls) - 1)), "b"]
    nodes = [
        node(call, [steps[i]], [steps[i + 1]], domain="" if call == "Relu" else domain) for i, call in enumerate(calls)
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    return helper.make_function(domain, name, ["a"], ["b"], nodes, opsets)


def _calling(functions: list[onnx.FunctionProto], op: str = "F") -> onnx.ModelProto:
    return model([node(op, ["x"], ["y"], domain="local")], functions=functions, domains=["local"])


def _laughs() -> onnx.ModelProto:
    """Thirty functions of two calls each stand for a thousand million nodes."""
    chain = [_function(f"F{i}", [f"F{i + 1}"] * 2) for i in range(30)]
    return _calling([*chain, _function("F30", ["Relu"])], "F0")


BROKEN: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a cycle": (
        lambda: model(
            [node("Add", ["x", "b"], ["a"], name="first"), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]
        ),
        "cycle near node 'first'.*feedback",
    ),
    "a node that reads itself": (lambda: model([node("Add", ["x", "y"], ["y"])]), "cycle near the node that makes 'y'"),
    "a cycle through a branch": (
        lambda: model(
            [
                node(
                    "If", ["c"], ["y"], name="choice",
                    then_branch=helper.make_graph([node("Relu", ["z"], ["p"])], "p", [], [value("p")]),
                    else_branch=helper.make_graph([node("Relu", ["x"], ["q"])], "q", [], [value("q")]),
                ),
                node("Relu", ["y"], ["z"]),
            ],
            inputs=[value("x"), value("c", [], T.BOOL)],
        ),
        "cycle near node 'choice'",
    ),
    "a missing initialiser": (
        lambda: model([node("Add", ["x", "w"], ["y"], name="sum")]), "makes 'w', which node 'sum' needs.*its weights",
    ),
    "an output nobody makes": (lambda: model([node("Relu", ["x"], ["z"])]), "makes 'y', which the model's output"),
    "a name made twice": (lambda: model([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])]), "'y' is made twice"),
    "an input made again": (
        lambda: model([node("Relu", ["x"], ["x"]), node("Neg", ["x"], ["y"])]), "'x' is made twice",
    ),
    "two inputs of a name": (
        lambda: _relu(inputs=[value("x"), value("x")]), "two inputs have the same name",
    ),
    "two outputs of a name": (
        lambda: _relu(outputs=[value("y"), value("y")]), "two outputs have the same name",
    ),
    "two initialisers of a name": (
        lambda: model([node("Add", ["x", "w"], ["y"])], [numpy_helper.from_array(np.ones(4, np.float32), "w")] * 2),
        "two initialisers are named 'w'",
    ),
    "an unknown operator": (
        lambda: model([node("Frobnicate", ["x"], ["y"], name="frob")]),
        "no operator 'Frobnicate' of domain 'ai.onnx' .node 'frob'. in its opset 17",
    ),
    "an operator from a later opset": (
        lambda: model([node("Gelu", ["x"], ["y"])], opset=17), "no operator 'Gelu'.*opset 17; export it with an opset",
    ),
    "an opset of the future": (lambda: _relu(opset=999), "needs opset 999.*upgrade onnx"),
    "a custom domain": (
        lambda: model([node("Magic", ["x"], ["y"], domain="acme.ops")], domains=["acme.ops"]),
        "operator 'Magic' of domain 'acme.ops'.*needs custom code.*export it with standard operators",
    ),
    "a custom domain in a branch": (
        lambda: model(
            [
                node(
                    "If", ["c"], ["y"],
                    then_branch=helper.make_graph([node("Magic", ["x"], ["p"], domain="acme")], "p", [], [value("p")]),
                    else_branch=helper.make_graph([node("Relu", ["x"], ["q"])], "q", [], [value("q")]),
                )
            ],
            inputs=[value("x"), value("c", [], T.BOOL)],
            domains=["acme"],
        ),
        "operator 'Magic' of domain 'acme'",
    ),
    "a runtime's private layout": (
        lambda: model([node("Conv", ["x"], ["y"], domain="com.microsoft.nchwc")], domains=["com.microsoft.nchwc"]),
        "own layout for one machine; use the model from before",
    ),
    "an unknown contributed operator": (
        lambda: model([node("Frobnicate", ["x"], ["y"], domain="com.microsoft")], domains=["com.microsoft"]),
        "no operator 'Frobnicate' of domain 'com.microsoft'",
    ),
    "a domain without an opset": (
        lambda: model([node("Gelu", ["x"], ["y"], domain="com.microsoft")]), "without an opset for its domain",
    ),
    "a training operator": (
        lambda: model([node("Adam", ["x"], ["y"], domain="ai.onnx.preview.training")]), "trains the model",
    ),
    "too few inputs for an operator": (lambda: model([node("MatMul", ["x"], ["y"])]), "not valid ONNX .*MatMul"),
    "a function that calls itself": (lambda: _calling([_function("F", ["F"])]), "'F' calls itself"),
    "functions that call one another": (
        lambda: _calling([_function("F", ["G"]), _function("G", ["F"])]), "calls itself; export the model without",
    ),
    "functions that explode": (_laughs, "expands? to more than"),
    "two functions of a name": (lambda: _calling([_function("F", ["Relu"])] * 2), "two functions have the same name"),
    "graphs nested too deep": (lambda: _nested(20), "nested more than 16 deep"),
    "graphs nested too deep for protobuf": (lambda: _nested(32), "nested more than 16 deep|not a whole ONNX file"),
    "an input without a type": (
        lambda: _relu(inputs=[onnx.ValueInfoProto(name="x")]), "not valid ONNX|without type",
    ),
    "an input that is a sequence": (
        lambda: model(
            [node("ConcatFromSequence", ["x"], ["y"], axis=0)],
            inputs=[helper.make_tensor_sequence_value_info("x", T.FLOAT, ["n", 4])],
        ),
        "'x' is a sequence_type, not a tensor",
    ),
    "an input of size 0": (
        lambda: _relu(inputs=[value("x", [0, 4])]), "'x' has a size of 0; export it with",
    ),
    "an absurd input": (
        lambda: _relu(inputs=[value("x", [2**40, 2**40])]), "'x' declares the sizes.*memory",
    ),
    "an absurd constant shape": (
        lambda: model(
            [node("ConstantOfShape", ["s"], ["c"], name="fill"), node("Add", ["x", "c"], ["y"])],
            [numpy_helper.from_array(np.array([2**20, 2**20]), "s")],
        ),
        "node 'fill' makes a tensor of the sizes .1048576, 1048576.",
    ),
    "an absurd repetition": (
        lambda: model(
            [
                node("Constant", [], ["r"], value=numpy_helper.from_array(np.array([2**31, 2]))),
                node("Tile", ["x", "r"], ["y"]),
            ]
        ),
        "makes a tensor of the sizes",
    ),
    "a tensor bomb": (
        lambda: _adding(_tensor("w", [2**20, 2**20], raw=b"1234")),
        "tensor 'w' declares 1,099,511,627,776 values and does not hold them",
    ),
    "a typed tensor bomb": (
        lambda: _adding(_tensor("w", [2**40], float_data=[1.0])), "does not hold them",
    ),
    "a bomb in a constant": (
        lambda: model([node("Constant", [], ["w"], value=_tensor("", [2**40])), node("Add", ["x", "w"], ["y"])]),
        "does not hold them",
    ),
    "a tensor of negative size": (
        lambda: _adding(_tensor("w", [-1, -4], raw=bytes(16))), "impossible shape",
    ),
    "a tensor without a type": (
        lambda: _adding(_tensor("w", [4], dtype=0, raw=bytes(16))), "impossible shape",
    ),
    "no input": (lambda: model([node("Constant", [], ["y"], value_floats=[1.0])], inputs=[]), "takes no input"),
    "no graph": (onnx.ModelProto, "is empty|holds no graph"),
    "external data that is missing": (
        lambda: _adding(_external("gone.bin", [4])), "'gone.bin' is missing; copy it",
    ),
    "external data above the folder": (
        lambda: _adding(_external("../w.bin", [4])), "could leave its folder",
    ),
    "external data at the root": (
        lambda: _adding(_external("/etc/passwd", [4])), "could leave its folder",
    ),
    "external data in the model itself": (
        lambda: _adding(_external("net.onnx", [4])), "may not be called 'net.onnx'",
    ),
    "external data under a link": (
        lambda: _adding(_external("link.bin", [4])), "'link.bin' beside it is a link",
    ),
    "external data in a linked folder": (
        lambda: _adding(_external("linked/w.bin", [4])), "beside it is a link",
    ),
    "external data beyond the file": (
        lambda: _adding(_external("w.bin", [4], offset=4096, length=16)),
        "lies beyond the end of 'w.bin' .4,096 bytes.*copy both again",
    ),
    "external data that overflows": (
        lambda: _adding(_external("w.bin", [4], offset=2**63, length=2**63)),
        "lies beyond the end",
    ),
    "external data before the file": (
        lambda: _adding(_external("w.bin", [4], offset=-16, length=16)), "beyond the end",
    ),
    "external data without a number": (
        lambda: _adding(_external("w.bin", [4], offset="here")), "no number for its place",
    ),
    "external data of another size": (
        lambda: _adding(_external("w.bin", [4], length=8)), "declares 4 values and 8 bytes",
    ),
    "one file read a million times": (
        lambda: model(
            [node("Add", ["x", "w"], ["y"])],
            [*(onnx.TensorProto.FromString(_renamed(f"w{i}")) for i in range(17_000)), _external("w.bin", [1024])],
        ),
        "the same bytes of 'w.bin' over and over",
    ),
}  # fmt: skip


def _renamed(name: str) -> bytes:
    tensor = _external("w.bin", [1024], length=4096)
    tensor.name = name
    return tensor.SerializeToString()


@pytest.mark.parametrize("what", BROKEN)
def test_a_graph_with(what: str, write: Writer, tmp_path: Path) -> None:
    make, message = BROKEN[what]
    path = write(make())
    (tmp_path / "w.bin").write_bytes(bytes(16))
    (path.parent / "w.bin").write_bytes(bytes(4096))
    (path.parent / "link.bin").symlink_to(tmp_path / "w.bin")
    (path.parent / "linked").symlink_to(tmp_path)
    told = one_line(lambda: load(path), what, str(path))
    with pytest.raises(InputError, match=message):
        raise InputError(told)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x00" * 64, "not a whole ONNX file"),
        (bytes(range(256)) * 16, "not a whole ONNX file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
        (linear().SerializeToString()[:-7], "not a whole ONNX file.*export it again"),
        (linear().SerializeToString().replace(b"product", b"pro\xff\xfect"), "name that is not text"),
    ],
)
def test_a_file_of(content: bytes, message: str, write: Writer) -> None:
    path = write(content)
    with pytest.raises(InputError, match=message):
        load(path)


def test_a_file_over_two_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    path.touch()
    os.truncate(path, 2**31 + 5)
    with pytest.raises(InputError, match="over protobuf's 2 GiB; save it with external data"):
        load(path)


def test_a_pipe_or_a_folder_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for name, message in (("pipe.onnx", "no model file"), (".", "but a folder"), ("a\0b.onnx", "no model file")):
        with pytest.raises(InputError, match=message):
            load(f"{tmp_path}/{name}")
