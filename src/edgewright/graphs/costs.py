"""The workload of a graph: what each operator that runs computes, reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgewright.core.model import Model
from edgewright.core.workload import OperatorCost, Workload
from edgewright.graphs.formulas import Case, Unknown, cost
from edgewright.graphs.fusion import Fusion, fuse
from edgewright.graphs.liveness import VIEWS, Liveness, lives_of
from edgewright.graphs.shapes import Shaped, shape
from edgewright.graphs.view import Constant, Graph, Node, TensorFacts

_INTEGER = frozenset(
    {"ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "DynamicQuantizeLSTM"}
)
_FOUR_BITS = frozenset({"MatMulNBits", "MatMulBnb4", "GatherBlockQuantized"})
_PARTIAL = frozenset({"Gather", "GatherElements", "GatherND", "GatherBlockQuantized", "Slice", "ArrayFeatureExtractor"})
"""Operators that read only what they write of their first input."""
_SIZES_ONLY = frozenset({"Shape", "Size", "ConstantOfShape"})

_SETTINGS: Mapping[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "Clip": (1, 2), "Pad": (1, 2, 3), "Resize": (1, 2, 3),
    "Upsample": (1,), "OneHot": (1, 2), "Dropout": (1, 2), "BatchNormalization": (3, 4), "Pow": (1,),
    "QLinearConv": (1, 2, 4, 5, 6, 7), "QLinearMatMul": (1, 2, 4, 5, 6, 7), "QGemm": (1, 2, 4, 5, 7, 8),
    "QLinearAdd": (1, 2, 4, 5, 6, 7), "QLinearMul": (1, 2, 4, 5, 6, 7), "MatMulIntegerToFloat": (2, 3, 4, 5),
    "DynamicQuantizeMatMul": (2, 3), "MatMulInteger": (2, 3), "ConvInteger": (2, 3), "MatMulNBits": (2, 3, 4),
    "LSTM": (4, 5, 6), "GRU": (4, 5), "RNN": (4, 5), "Where": (0,), "Range": (0, 1, 2), "Attention": (3, 4),
    "QAttention": (3, 4, 6, 7), "GatherBlockQuantized": (2, 3),
}  # fmt: skip
"""Inputs that hold how to compute rather than what was learnt: scales, zero points, bounds, running statistics."""
_STORED_INTEGERS: Mapping[str, tuple[int, ...]] = {
    "DequantizeLinear": (0,), "QLinearConv": (3, 8), "QLinearMatMul": (0, 3), "QGemm": (0, 3, 6), "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3), "ConvInteger": (1,), "MatMulInteger": (0, 1), "DynamicQuantizeMatMul": (1,),
    "MatMulIntegerToFloat": (1,), "QAttention": (1,), "DynamicQuantizeLSTM": (1, 2), "MatMulNBits": (1,),
    "MatMulBnb4": (1,), "GatherBlockQuantized": (0,),
}  # fmt: skip
"""Inputs whose integers are quantized weights; other integer constants are sizes and indices."""


@dataclass(frozen=True)
class Account:
    """A workload, the memory simulation behind its peak, and what it leaves open: operators without a formula, sizes
    that could not be known.
    """

    workload: Workload
    liveness: Liveness
    notes: tuple[str, ...]


def workload(model: Model, batch: int = 1, dims: Mapping[str, int] | None = None) -> Workload:
    """What one run of ``model`` costs at a batch size; ``dims`` gives other dynamic sizes (else 1).

    MACs are exact for convolutions (grouped, dilated, transposed, 1-D to 3-D), matrix products in every integer form,
    recurrent layers, attention and Einsum; see ``graphs.formulas`` for the conventions. Bytes follow
    ``graphs.fusion``: nodes that no engine runs (folded constants, fused QuantizeLinear and DequantizeLinear, views)
    cost nothing, the former are left out, and an operator between such pairs reads and writes integers. An If costs as
    much as its dearer branch, a Loop or Scan its body times its trips.

    Raises InputError for another format than ONNX or a damaged graph.
    """
    return account(shape(model, batch, dims)).workload


def account(shaped: Shaped) -> Account:
    """``workload`` of a graph whose shapes are known, with notes on what could not be counted."""
    counter = _Counter(shaped)
    operators = tuple(counter.graph(shaped.graph, {}))
    lives = lives_of(shaped)
    notes = list(dict.fromkeys(counter.notes))
    if shaped.unknown:
        notes.append(f"{len(shaped.unknown)} values have no known shape ({shaped.why}); figures are lower bounds")
    counted = Workload(operators, parameters(shaped.graph), weight_bytes(shaped.graph), lives.peak_bytes)
    return Account(counted, lives, tuple(notes))


def parameters(graph: Graph) -> int:
    """Learnt numbers: elements of the constants that nodes read as weights, each stored tensor once.

    Scales, zero points, bounds, shapes, scalars and the running statistics of a batch normalisation are not learnt;
    of a tree ensemble, thresholds and leaf values are.
    """
    constants = graph.all_constants()
    counted: dict[str, int] = {}
    inside = 0
    for node in graph.walk():
        inside += sum(len(node.attributes.get(key, ())) for key in _LEARNT_ATTRIBUTES if node.domain == "ai.onnx.ml")
        for slot, name in enumerate(node.inputs):
            if name in constants and _learnt(node, slot, constants[name].facts):
                packed = node.op_type in ("MatMulNBits", "MatMulBnb4") and {"N", "K"} <= node.attributes.keys()
                blocks = int(node.attributes["N"]) * int(node.attributes["K"]) if packed and slot == 1 else 0
                counted[name] = blocks or constants[name].facts.elements
    return sum(counted.values()) + inside


_LEARNT_ATTRIBUTES = ("coefficients", "intercepts", "support_vectors", "class_weights", "target_weights",
                      "nodes_values")  # fmt: skip


def _learnt(node: Node, slot: int, facts: TensorFacts) -> bool:
    if slot in _SETTINGS.get(node.op_type, ()):
        return False
    if "float" in facts.dtype:
        return bool(facts.shape)
    return slot in _STORED_INTEGERS.get(node.op_type, ())


def weight_bytes(graph: Graph) -> int:
    """Bytes of everything stored in the graph, each tensor once, attributes of ai.onnx.ml operators included."""
    stored = sum(constant.facts.bytes for constant in graph.all_constants().values())
    return stored + sum(node.attribute_bytes for node in graph.walk() if node.domain == "ai.onnx.ml")


class _Counter:
    def __init__(self, shaped: Shaped) -> None:
        self.facts = shaped.facts
        self.constants: Mapping[str, Constant] = shaped.constants
        self.notes: list[str] = []

    def graph(self, graph: Graph, outside: Mapping[str, Constant]) -> Iterator[OperatorCost]:
        fusion = fuse(graph, self.facts, outside)
        fixed = {**outside, **graph.constants}
        for node in graph.nodes:
            if node not in fusion.idle:
                yield self._operator(node, fusion)
                yield from self._bodies(node, fixed)

    def _bodies(self, node: Node, fixed: Mapping[str, Constant]) -> list[OperatorCost]:
        inner = [list(self.graph(body, fixed)) for body in node.bodies.values()]
        if node.op_type == "If" or len(inner) < 2:
            chosen = max(inner, key=lambda body: sum(4 * o.macs + o.flops + o.read_bytes for o in body), default=[])
        else:
            chosen = [operator for body in inner for operator in body]
        times = self._trips(node) if chosen else 1
        if times == 1:
            return chosen
        return [
            replace(o, macs=o.macs * times, flops=o.flops * times, weight_bytes=o.weight_bytes * times,
                    read_bytes=o.read_bytes * times, written_bytes=o.written_bytes * times)
            for o in chosen
        ]  # fmt: skip

    def _trips(self, node: Node) -> int:
        if node.op_type == "If":
            return 1
        if node.op_type == "Loop" and node.inputs and node.inputs[0] in self.constants:
            value = self.constants[node.inputs[0]].value
            if value is not None and value.size == 1:
                return max(int(value.reshape(-1)[0]), 0)
        if node.op_type == "Scan":
            scanned = node.inputs[-int(node.attributes.get("num_scan_inputs", 1)) :]
            if scanned and scanned[0] in self.facts and self.facts[scanned[0]].shape:
                axis = int((node.attributes.get("scan_input_axes") or [0])[0])
                return self.facts[scanned[0]].shape[axis]
        self.notes.append(f"{node.name}: how often the body of this {node.op_type} runs is not known; counted once")
        return 1

    def _operator(self, node: Node, fusion: Fusion) -> OperatorCost:
        macs, flops = self._arithmetic(node)
        read, weights = self._traffic(node, fusion)
        written = 0 if node.op_type in VIEWS else sum(self._bytes(fusion.written(n)) for n in node.outputs if n)
        weights += node.attribute_bytes if node.domain == "ai.onnx.ml" else 0
        return OperatorCost(node.name, node.op_type, macs, flops, weights, read, written, self._bits(node, fusion))

    def _arithmetic(self, node: Node) -> tuple[int, int]:
        try:
            found = cost(Case(node, self.facts, self.constants))
        except Unknown as missing:
            self.notes.append(f"{node.name}: {node.kind} not counted, {str(missing)[:80]!r} is not known")
            return 0, 0
        if found is None:
            self.notes.append(f"{node.kind}: no formula for this operator, its arithmetic is not counted")
        return found or (0, 0)

    def _traffic(self, node: Node, fusion: Fusion) -> tuple[int, int]:
        """Bytes of activations and of weights that one run of the node reads, each tensor once."""
        if node.op_type in VIEWS or node.op_type in _SIZES_ONLY:
            return 0, 0
        read = weights = 0
        made = sum(self._bytes(fusion.written(name)) for name in node.outputs if name)
        for slot, name in enumerate(dict.fromkeys(node.inputs)):
            source = fusion.read(node, name)
            size = self._bytes(source)
            if slot == 0 and node.op_type in _PARTIAL:
                size = min(size, made)
            if source in self.constants or source in fusion.folded:
                weights += size + (self._scales(name, fusion) if source != name else 0)
            else:
                read += size
        return read, weights

    def _scales(self, name: str, fusion: Fusion) -> int:
        """Bytes of the scale and zero point of a dequantized weight."""
        return sum(self._bytes(other) for other in fusion.scales.get(name, ()))

    def _bytes(self, name: str) -> int:
        known = self.facts.get(name)
        return known.bytes if known else 0

    def _bits(self, node: Node, fusion: Fusion) -> int:
        if node in fusion.bits:
            return fusion.bits[node]
        if node.op_type in _FOUR_BITS:
            return int(node.attributes.get("bits", 4))
        if node.op_type in _INTEGER or node.op_type.startswith(("QLinear", "QGemm", "QAttention")):
            return 8
        widths = [self.facts[n].dtype for n in (*node.inputs[:2], *node.outputs[:1]) if n in self.facts]
        floats = [int("".join(filter(str.isdigit, dtype))) for dtype in widths if "float" in dtype]
        return min(max(floats), 32) if floats else 32
