"""What every value of a graph looks like at several input sizes: shapes, and the integers of shape arithmetic.

Exporters write sizes in many ways (Shape, Gather, Concat, Mul, Cast, Where...). Instead of one pattern for each, the
graph is run with every dynamic size set to other primes, and a size is then read off: the same in every run, or the
same multiple of one dynamic input size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.contract import noise
from edgewright.core.errors import EngineError, InputError, Refused
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.formats.onnx import parse
from edgewright.graphs.graph import constant

# The first size of an input is most often the batch, for which 1 is a case of its own.
_BATCHES = (3, 2, 1)
_SIZES = ((7, 11, 13), (17, 19, 23), (29, 31, 37))
_LARGE = ((64, 96, 160), (128, 192, 224), (256, 288, 352))
_SEQUENCES = frozenset({"SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SplitToSequence",
                        "SequenceMap", "Optional", "Loop", "Scan", "If"})  # fmt: skip
_KEPT_BYTES = 2**16  # shape arithmetic is small; what is larger is data
_UNTAPPED = _SEQUENCES | {"Constant"}
_RANDOM = frozenset({"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
                     "Bernoulli"})  # fmt: skip


@dataclass(frozen=True)
class Symbol:
    """A dynamic size: ``axis`` of the input ``source``, times ``factor``."""

    source: str
    axis: int
    factor: int = 1


Size = int | Symbol | None
"""A fixed size, a multiple of a dynamic one, or None where neither holds."""


@dataclass(frozen=True)
class Facts:
    """``shapes`` and ``values`` by value name, one entry a run; ``sizes`` the dynamic sizes of each run.

    ``values`` holds only what follows from shapes and constants alone, whatever the inputs' content.
    """

    shapes: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    values: Mapping[str, tuple[NDArray[Any], ...]] = field(default_factory=dict)
    sizes: Mapping[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)

    def shape(self, value: ir.Value | None) -> tuple[Size, ...] | None:
        """The shape of ``value``, or None when its rank is not always the same or it was not seen."""
        seen = self.runs(value)
        if len({len(s) for s in seen}) != 1:
            return None
        return tuple(self.size([s[axis] for s in seen]) for axis in range(len(seen[0])))

    def runs(self, value: ir.Value | None) -> tuple[tuple[int, ...], ...]:
        """The shape of ``value`` in each run; empty when it was not seen."""
        if value is None:
            return ()
        held = constant(value)
        return (held.shape,) * self.count if held is not None else self.shapes.get(str(value.name), ())

    @property
    def count(self) -> int:
        """How many runs there were."""
        return len(next(iter(self.shapes.values()), ()))

    def size(self, seen: list[int]) -> Size:
        """What is behind one number seen in each run."""
        if len(set(seen)) == 1:
            return seen[0]
        for (source, axis), sizes in self.sizes.items():
            factors = {n / d for n, d in zip(seen, sizes, strict=True)}
            if len(factors) == 1 and (factor := factors.pop()).is_integer():
                return Symbol(source, axis, int(factor))
        return None

    def array(self, value: ir.Value | None) -> NDArray[Any] | None:
        """What ``value`` holds in every run, or None when it differs or depends on the inputs' content."""
        seen = self.values.get(str(value.name)) if value is not None else None
        if seen is None or any(a.shape != seen[0].shape or not np.array_equal(a, seen[0]) for a in seen):
            return None
        return seen[0]


def observe_shapes(model: Model) -> Facts:
    """Run ``model`` at one to three sets of sizes. Without facts where the engine cannot run it at other sizes.

    Raises Refused for another format.
    """
    if model.format != "onnx":
        raise Refused(f"works on ONNX graphs, not on {model.format}")
    proto = parse(model.data)
    pure = _pure(proto.graph)
    for value in [v.name for node in proto.graph.node if node.op_type not in _UNTAPPED for v in _named(node)]:
        if value not in {o.name for o in proto.graph.output}:
            proto.graph.output.add(name=value)
    tapped = Model("onnx", model.main, {**model.files, model.main: proto.SerializeToString()}, model.signature)
    for large in (False, True):
        try:
            return _run(tapped, pure, large)
        except (EngineError, InputError):
            continue
    return Facts()


def _named(node: onnx.NodeProto) -> list[onnx.ValueInfoProto]:
    return [onnx.ValueInfoProto(name=name) for name in node.output if name]


def _pure(graph: onnx.GraphProto) -> set[str]:
    """Values that follow from shapes and constants alone."""
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        free = node.op_type in ("Shape", "Size")
        bound = node.op_type in _RANDOM or node.op_type in _SEQUENCES
        if free or (not bound and all(name in known for name in node.input if name)):
            known.update(node.output)
    return known


def _run(model: Model, pure: set[str], large: bool) -> Facts:
    symbols: dict[tuple[str, int], tuple[int, ...]] = {}
    by_name: dict[str, tuple[int, ...]] = {}
    menu = list(_LARGE if large else _SIZES)
    for spec in model.signature.inputs:
        for axis, size in enumerate(spec.shape):
            if isinstance(size, int):
                continue
            chosen = by_name.get(size) if isinstance(size, str) else None
            if chosen is None:
                chosen = _BATCHES if axis == 0 else menu[len(by_name) % len(menu)]
            by_name[size or f"{spec.name}:{axis}"] = chosen
            symbols[spec.name, axis] = chosen
    count = 3 if symbols else 1
    shapes: dict[str, list[tuple[int, ...]]] = {}
    values: dict[str, list[NDArray[Any]]] = {}
    with open_session(model, options=EngineOptions(graph_level="none")) as session:
        for run in range(count):
            rng = np.random.default_rng(run)
            feeds = {}
            for spec in model.signature.inputs:
                sizes = tuple(
                    size if isinstance(size, int) else symbols[spec.name, axis][run]
                    for axis, size in enumerate(spec.shape)
                )
                feeds[spec.name] = noise(spec.dtype, sizes, rng) if 0 not in sizes else np.zeros(sizes, spec.dtype)
            for name, array in {**feeds, **session.infer(feeds)}.items():
                shapes.setdefault(name, []).append(array.shape)
                if name in pure and array.nbytes <= _KEPT_BYTES:
                    values.setdefault(name, []).append(np.array(array))
    return Facts({k: tuple(v) for k, v in shapes.items()}, {k: tuple(v) for k, v in values.items()}, symbols)
