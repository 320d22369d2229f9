"""The models that are served, generated here from a seed: nothing is downloaded.

``mlp`` takes microseconds, ``cnn`` milliseconds, ``tiles`` is the shape of a tile detector (one grey image of 64 x 64,
six classes), and ``big`` is an MLP of 100 MB for reloads. Weights are drawn; only the time they take matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

TILE_SIDE, TILE_CLASSES = 64, ("blowhole", "break", "crack", "fray", "free", "uneven")


@dataclass(frozen=True)
class Kind:
    """One model: the shape of its single input ``x`` (FP32); its single output is ``y``."""

    name: str
    shape: tuple[int, ...]

    def sample(self, seed: int = 0) -> NDArray[np.float32]:
        """An input."""
        return np.random.default_rng(seed).standard_normal(self.shape, np.float32)


MLP, CNN = Kind("mlp", (1, 64)), Kind("cnn", (1, 3, 96, 96))
TILES, BIG = Kind("tiles", (1, 1, TILE_SIDE, TILE_SIDE)), Kind("big", (1, 2048))


class _Graph:
    """Nodes and weights as they are added, one after the other."""

    def __init__(self, seed: int) -> None:
        self.random, self.at = np.random.default_rng(seed), "x"
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
        drawn = self.random.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(drawn, name))
        return name

    def add(self, kind: str, *weights: str, **attributes: object) -> None:
        made = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.at, *weights], [made], **attributes))
        self.at = made

    def save(self, path: Path, shape: tuple[int, ...], classes: int) -> None:
        self.nodes[-1].output[0] = "y"
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape[1:]])  # open: who can may batch
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])
        graph = helper.make_graph(self.nodes, "benchmark", [x], [y], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        part = path.with_suffix(".part")
        onnx.save(model, str(part))
        part.rename(path)


def mlp(path: Path, sizes: tuple[int, ...] = (64, 64, 10), seed: int = 0) -> None:
    """Fully connected layers with ReLU between them."""
    graph = _Graph(seed)
    for place, (wide, narrow) in enumerate(pairwise(sizes)):
        graph.add("Gemm", graph.weight(wide, narrow), graph.weight(narrow))
        if place < len(sizes) - 2:
            graph.add("Relu")
    graph.save(path, (1, sizes[0]), sizes[-1])


def cnn(path: Path, shape: tuple[int, ...], widths: tuple[int, ...], classes: int, seed: int = 0) -> None:
    """3 x 3 convolutions, each second one with stride 2, ReLU, a mean over the image, and one layer."""
    graph, before = _Graph(seed), shape[1]
    for place, width in enumerate(widths):
        stride = 2 if place % 2 else 1
        graph.add("Conv", graph.weight(width, before, 3, 3), graph.weight(width), pads=[1] * 4, strides=[stride] * 2)
        graph.add("Relu")
        before = width
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.add("Gemm", graph.weight(before, classes), graph.weight(classes))
    graph.save(path, shape, classes)


def served(folder: Path, *, big: bool = False) -> Path:
    """A folder with the models, made now unless it is there. ``big``: those of the reloads, two of each."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, Callable[[Path], None]] = {
        "mlp": mlp,
        "cnn": lambda path: cnn(path, CNN.shape, CNN_WIDTHS, 10),
        "tiles": lambda path: cnn(path, TILES.shape, TILE_WIDTHS, len(TILE_CLASSES)),
    }
    if big:
        sizes = {"mlp": (64, 64, 10), "big": (2048, 4096, 4096, 10)}
        wanted = {f"{name}-{side}": partial(mlp, sizes=sizes[name], seed=side) for name in sizes for side in (0, 1)}
    for name, make in wanted.items():
        if not (folder / f"{name}.onnx").is_file():
            make(folder / f"{name}.onnx")
    return folder


CNN_WIDTHS, TILE_WIDTHS = (40, 64, 88, 88, 112, 112), (32, 32, 64, 64, 64, 64)
