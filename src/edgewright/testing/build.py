"""A small hand for writing ONNX graphs in tests: names, seeded weights and opset differences are taken care of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.digests import digest_array, digest_json
from edgewright.core.model import Dimension, Model
from edgewright.core.session import Arrays
from edgewright.formats.onnx import from_proto

_TYPES = {
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
    "uint8": TensorProto.UINT8,
    "uint64": TensorProto.UINT64,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "str": TensorProto.STRING,
}


class Build:
    """One graph being written. Methods that add a node return the name of its (first) output.

    ``constants`` says where weights live: ``initializer``, ``node`` (Constant nodes) or ``input`` (initialisers that
    are listed among the graph's inputs too, as exporters did before IR version 4).
    """

    def __init__(self, opset: int = 17, seed: int = 0, constants: str = "initializer") -> None:
        self.opset, self.rng, self.constants = opset, np.random.default_rng(seed), constants
        self.nodes: list[onnx.NodeProto] = []
        self.held: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.extra: list[onnx.ValueInfoProto] = []
        self.domains: set[str] = set()
        self._count = 0

    def name(self, hint: str) -> str:
        """A name nobody has yet."""
        self._count += 1
        return f"{hint}_{self._count}"

    def input(self, name: str, shape: Sequence[Dimension], dtype: str = "float32") -> str:
        """A graph input."""
        self.inputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], list(shape)))
        return name

    def output(self, value: str, shape: Sequence[Dimension] | None = None, dtype: str = "float32") -> None:
        """Make ``value`` a graph output; without a shape, shape inference fills it in."""
        self.outputs.append(helper.make_tensor_value_info(value, _TYPES[dtype], None if shape is None else list(shape)))

    def constant(self, array: Any, hint: str = "c", dtype: Any = None) -> str:
        """A constant. ``array`` keeps its dtype unless one is given."""
        name = self.name(hint)
        tensor = numpy_helper.from_array(np.asarray(array, dtype), name)
        if self.constants == "node":
            self.nodes.append(helper.make_node("Constant", [], [name], name=name, value=tensor))
            return name
        self.held.append(tensor)
        if self.constants == "input":
            self.inputs.append(helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
        return name

    def weight(self, *shape: int, gain: float = 1.0, hint: str = "w") -> str:
        """Seeded float32 weights scaled so that activations keep their size (fan-in: all axes but the first)."""
        fan = max(1, int(np.prod(shape[1:]))) if len(shape) > 1 else 1
        return self.constant(self.rng.standard_normal(shape) * gain / np.sqrt(fan), hint, np.float32)

    def node(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """A node; the name of its output, or a tuple of names when ``outputs`` > 1. An empty input name is left out."""
        names = [self.name(op.lower()) for _ in range(outputs)]
        made = helper.make_node(op, list(inputs), names, name=names[0] + "_node", domain=domain, **attributes)
        self.nodes.append(made)
        if domain:
            self.domains.add(domain)
        return names[0] if outputs == 1 else tuple(names)

    # What changed its spelling between opsets 11 and 21.

    def reduce(self, op: str, x: str, axes: Sequence[int], keep: bool = True) -> str:
        """ReduceMean, ReduceSum... ``axes`` an attribute or an input, as the opset wants it."""
        late = self.opset >= (13 if op == "ReduceSum" else 18)
        if late:
            return str(self.node(op, x, self.constant(axes, "axes", np.int64), keepdims=int(keep)))
        return str(self.node(op, x, axes=list(axes), keepdims=int(keep)))

    def unsqueeze(self, x: str, axes: Sequence[int], op: str = "Unsqueeze") -> str:
        """Unsqueeze, or Squeeze by ``op``."""
        if self.opset >= 13:
            return str(self.node(op, x, self.constant(axes, "axes", np.int64)))
        return str(self.node(op, x, axes=list(axes)))

    def split(self, x: str, sizes: Sequence[int], axis: int) -> tuple[str, ...]:
        """Split into parts of the given sizes."""
        if self.opset >= 13:
            sized = self.constant(sizes, "split", np.int64)
            made = self.node("Split", x, sized, outputs=len(sizes), axis=axis)
        else:
            made = self.node("Split", x, outputs=len(sizes), axis=axis, split=list(sizes))
        return made if isinstance(made, tuple) else (made,)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Reshape to constant sizes (0 copies, -1 infers)."""
        return str(self.node("Reshape", x, self.constant(shape, "shape", np.int64)))

    def hard_swish(self, x: str) -> str:
        """HardSwish, decomposed before opset 14."""
        if self.opset >= 14:
            return str(self.node("HardSwish", x))
        gate = self.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)
        return str(self.node("Mul", x, gate))

    def gelu(self, x: str, approximate: bool = False) -> str:
        """Gelu as exporters decompose it: by erf, or by tanh."""
        if approximate:
            cube = self.node("Pow", x, self.constant(3.0, "three", np.float32))
            inner = self.node("Add", x, self.node("Mul", cube, self.constant(0.044715, "k", np.float32)))
            gate = self.node("Tanh", self.node("Mul", inner, self.constant(np.sqrt(2 / np.pi), "k", np.float32)))
            half = self.node("Mul", x, self.constant(0.5, "half", np.float32))
            return str(self.node("Mul", half, self.node("Add", gate, self.constant(1.0, "one", np.float32))))
        erf = self.node("Erf", self.node("Div", x, self.constant(np.sqrt(2.0), "root", np.float32)))
        gated = self.node("Mul", x, self.node("Add", erf, self.constant(1.0, "one", np.float32)))
        return str(self.node("Mul", gated, self.constant(0.5, "half", np.float32)))

    def layer_norm(self, x: str, size: int, whole: bool = False) -> str:
        """Layer normalisation over the last axis, decomposed unless ``whole`` and the opset has it (17)."""
        scale = self.constant(1 + 0.1 * self.rng.standard_normal(size), "gamma", np.float32)
        bias = self.constant(0.1 * self.rng.standard_normal(size), "beta", np.float32)
        if whole and self.opset >= 17:
            return str(self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5))
        centred = self.node("Sub", x, self.reduce("ReduceMean", x, [-1]))
        square = self.node("Pow", centred, self.constant(2.0, "two", np.float32))
        spread = self.node("Add", self.reduce("ReduceMean", square, [-1]), self.constant(1e-5, "eps", np.float32))
        normal = self.node("Div", centred, self.node("Sqrt", spread))
        return str(self.node("Add", self.node("Mul", normal, scale), bias))

    def batch_norm(self, x: str, channels: int) -> str:
        """Batch normalisation in inference."""
        rng = self.rng
        scale, var = rng.uniform(0.5, 1.5, channels), rng.uniform(0.5, 1.5, channels)
        shift, mean = 0.2 * rng.standard_normal(channels), 0.2 * rng.standard_normal(channels)
        held = [self.constant(v, "bn", np.float32) for v in (scale, shift, mean, var)]
        return str(self.node("BatchNormalization", x, *held, epsilon=1e-3))

    def graph(self, name: str = "graph") -> onnx.GraphProto:
        """What was written so far, as a graph (for subgraphs of If)."""
        return helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.held, value_info=self.extra)

    def model(self) -> Model:
        """The finished Model. Raises onnx.checker.ValidationError when the test wrote an invalid graph."""
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(domain, 1) for domain in sorted(self.domains)]
        ir = 3 if self.constants == "input" else max(4, helper.find_min_ir_version_for(opsets, ignore_unknown=True))
        proto = helper.make_model(self.graph(), opset_imports=opsets, ir_version=ir, producer_name="test")
        if any(not v.type.tensor_type.HasField("shape") for v in proto.graph.output):
            inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
            for mine, found in zip(proto.graph.output, inferred.graph.output, strict=True):
                mine.CopyFrom(found)
        onnx.checker.check_model(proto)
        return from_proto(proto)


class Drawn:
    """Samples made of seeded noise: the Samples protocol for tests.

    ``count`` rows for inputs with a dynamic (or 1) first size; an input of a fixed size, or of rank 0, comes as it is.
    """

    def __init__(self, model: Model, count: int = 8, seed: int = 0, name: str = "calibration") -> None:
        self.name, self.labels = name, None
        self._specs, self._count, self._seed = model.signature.inputs, count, seed
        self.digest = digest_json([digest_array(a) for rows in self.batches(1) for _, a in sorted(rows.items())])

    def __len__(self) -> int:
        return self._count

    def batches(self, size: int) -> Iterator[Arrays]:
        """Inputs by name, row after row the same whatever ``size`` is."""
        for start in range(0, self._count, size):
            rows = [self._row(i) for i in range(start, min(start + size, self._count))]
            if any(s.shape and isinstance(s.shape[0], int) for s in self._specs):
                yield from rows
            else:
                yield {s.name: np.concatenate([r[s.name] for r in rows]) if s.shape else rows[0][s.name]
                       for s in self._specs}  # fmt: skip

    def _row(self, index: int) -> dict[str, NDArray[Any]]:
        rng = np.random.default_rng([self._seed, index])
        return {s.name: draw_array(s.dtype, s.shape, rng) for s in self._specs}


def draw_array(
    dtype: str, shape: Sequence[Dimension], rng: np.random.Generator, sizes: Mapping[str, int] | None = None
) -> NDArray[Any]:
    """Noise of a dtype; named dynamic sizes are taken from ``sizes``, else 1. Integers are small: 0 to 3."""
    known = sizes or {}
    whole = [d if isinstance(d, int) else known.get(str(d), 1) for d in shape]
    if dtype == "bool":
        return rng.random(whole) < 0.5
    if dtype.startswith(("int", "uint")):
        return np.asarray(rng.integers(0, 4, whole), dtype)
    return np.asarray(rng.standard_normal(whole), dtype)


def initializer_arrays(model: Model) -> dict[str, NDArray[Any]]:
    """The main graph's initialisers by name."""
    proto = onnx.load_model_from_string(model.data)
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}


def op_types(model: Model) -> list[str]:
    """The main graph's operators in order."""
    return [node.op_type for node in onnx.load_model_from_string(model.data).graph.node]
