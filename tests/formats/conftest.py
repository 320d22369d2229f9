"""Small models and files that the tests of formats share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

Writer = Callable[..., Path]


def value(name: str, shape: Sequence[Any] = ("n", 4), dtype: int = T.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, list(shape))


def model(nodes: Sequence[Any], held: Sequence[Any] = (), opset: int = 17, **parts: Any) -> onnx.ModelProto:
    """A model from ``x`` to ``y`` around the nodes; ``parts``: inputs, outputs, functions, domains."""
    graph = helper.make_graph(
        list(nodes), "g", parts.get("inputs", [value("x")]), parts.get("outputs", [value("y")]), list(held)
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in parts.get("domains", ()))]
    return helper.make_model(graph, opset_imports=opsets, functions=parts.get("functions", []), ir_version=10)


def linear() -> onnx.ModelProto:
    """y = relu(x w + b), x of shape (n, 4)."""
    rng = np.random.default_rng(0)
    held = [
        numpy_helper.from_array(rng.standard_normal((4, 4)).astype(np.float32), "w"),
        numpy_helper.from_array(rng.standard_normal(4).astype(np.float32), "b"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], name="product"),
        helper.make_node("Add", ["xw", "b"], ["sum"], name="sum"),
        helper.make_node("Relu", ["sum"], ["y"], name="relu"),
    ]
    return model(nodes, held)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a proto or bytes as ``model.onnx`` (or another name) into a folder of its own; the path."""

    def writer(content: onnx.ModelProto | bytes, name: str = "net.onnx") -> Path:
        path = tmp_path / "given" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return path

    return writer


@pytest.fixture(scope="session")
def digits() -> tuple[Any, Any]:
    """The first 400 digits: features (400, 64) in float32, labels (400,)."""
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    return features[:400].astype(np.float32), labels[:400]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small convolutional network as ``net.pt2``."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 5)
    ).eval()
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = ({0: torch.export.Dim("batch")},)
        torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 6, 6),), dynamic_shapes=sizes), path)
    return path
