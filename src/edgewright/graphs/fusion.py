"""Which nodes of a quantized graph really run: the rule by which costs and memory read QuantizeLinear pairs.

No engine runs a QDQ graph as it is written: *DequantizeLinear -> operator -> QuantizeLinear* becomes one integer
operator. The rule here is ONNX Runtime's (qdq_selector_action_transformer.cc, graph level extended and above), checked
against the library by the tests; OpenVINO's low-precision transformations differ in that a convolution may write
floats, any Relu or Clip may stand behind it, and element-wise operators away from kernels stay in floats. Signed
activations count as on Arm; on x86 ONNX Runtime fuses unsigned ones only, with few exceptions.

1. An operator with an integer kernel runs on integers when everything it computes on comes out of a DequantizeLinear
   and everything it writes goes into one QuantizeLinear. A Relu or Clip between is part of it when the integers' range
   lies within what it lets through, so that rounding clips as it would; so is the stored bias added to a product of
   two matrices. A matrix product may also write floats, unless a Relu, a Clip or a bias that is not dequantized comes
   next, which are taken in first.
2. A DequantizeLinear vanishes when only such operators read it; a QuantizeLinear when such an operator feeds it. What
   lies in memory is then the integer tensor, and the float one between never does.
3. A DequantizeLinear of stored weights vanishes into a matrix product of float activations (weight-only quantization;
   MatMulNBits in ONNX Runtime). One into any other float operator does not: it runs at every call.
4. What depends on constants alone is folded when the model is opened and costs nothing, rule 3 apart. What no output
   needs is dropped.
5. A MatMulInteger takes in the Cast and Mul that scale its sums, and the DynamicQuantizeLinear that feeds it alone
   (dynamic quantization; DynamicQuantizeMatMul and MatMulIntegerToFloat in ONNX Runtime).
6. A BatchNormalization with stored statistics that alone reads a convolution goes into its weights when the model is
   opened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.graphs.view import Constant, Graph, Node, TensorFacts

KERNELS: Mapping[str, tuple[int, ...]] = {"Conv": (0, 1), "Gemm": (0, 1), "MatMul": (0, 1)}
"""Operators whose multiplications become integer, with the inputs that must be dequantized."""

JOINERS: Mapping[str, tuple[int, ...]] = {
    "Add": (0, 1), "Mul": (0, 1), "Where": (1, 2),
    **dict.fromkeys(
        ("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax", "MaxPool", "Resize", "ReduceMax",
         "ReduceMin", "ArgMax", "Expand", "Flatten", "Gather", "GatherElements", "Reshape", "Slice", "Split", "Squeeze",
         "Tile", "Transpose", "Unsqueeze", "DepthToSpace", "Identity", "Dropout"), (0,)
    ),
}  # fmt: skip
"""Operators between kernels that run on integers, likewise. ``Concat``, not listed, needs every input so."""

_FLOATS_OUT = frozenset({"Gemm", "MatMul", "ArgMax"})
_SLOTS = {**KERNELS, **JOINERS}
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_TAILS = frozenset({"Relu", "Clip"})


@dataclass(frozen=True)
class Fusion:
    """``idle``: nodes that do not run. ``bits``: width of the numbers an integer operator multiplies, by node.

    ``sources`` maps what a DequantizeLinear writes to the integer tensor behind it, ``results`` what an integer
    operator writes to the integer tensor that is stored instead; both only where rule 2 or 3 applies.
    """

    idle: frozenset[Node] = frozenset()
    bits: Mapping[Node, int] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What a DequantizeLinear writes -> its scale and zero point."""
    folded: frozenset[str] = frozenset()
    """Values that depend on constants alone."""

    def read(self, node: Node, name: str) -> str:
        """The value that lies in memory where ``node`` reads ``name``."""
        return self.sources.get(name, name) if node in self.bits else name

    def written(self, name: str) -> str:
        """The value that lies in memory where a node writes ``name``."""
        return self.results.get(name, name)


def fuse(graph: Graph, facts: Mapping[str, TensorFacts], outside: Mapping[str, Constant] | None = None) -> Fusion:
    """Apply the rule to one graph; ``outside`` holds the constants of enclosing graphs."""
    return _Fuser(graph, facts, {**(outside or {}), **graph.constants}).fuse()


class _Fuser:
    def __init__(self, graph: Graph, facts: Mapping[str, TensorFacts], fixed: Mapping[str, Constant]) -> None:
        self.graph, self.facts, self.fixed = graph, facts, fixed
        self.kept = set(graph.outputs)
        self.pairs = {n.outputs[0]: n for n in graph.nodes if n.op_type == "DequantizeLinear"}
        self.readers: dict[str, list[Node]] = defaultdict(list)
        self.maker = {name: node for node in graph.nodes for name in node.outputs if name}
        self.dead = self._dead()
        for node in graph.nodes:
            for name in node.reads if node not in self.dead else ():
                self.readers[name].append(node)

    def fuse(self) -> Fusion:
        folded = self._fold()
        bits: dict[Node, int] = {}
        results: dict[str, str] = {}
        idle = {n for n in self.graph.nodes if n.outputs and all(name in folded for name in n.outputs if name)}
        idle |= self.dead
        for node in self.graph.nodes:
            width = 0 if node in idle else self._width(node)
            if not width and node not in idle and (stored_bits := self._weight_only(node)):
                bits[node] = stored_bits
            elif width and (chains := self._chains(node)) is not None:
                bits[node] = width
                for start, chain in chains.items():
                    idle.update(chain)
                    stored = chain[-1].outputs[0]
                    results |= dict.fromkeys((start, *(link.outputs[0] for link in chain)), stored)
        sources: dict[str, str] = {}
        for node in self.graph.nodes:
            if node.op_type == "MatMulInteger" and node not in idle:
                self._dynamic(node, idle, bits, sources, results)
            elif node.op_type in _CONVOLUTIONS and node not in idle:
                readers = self.readers[node.outputs[0]]
                if len(readers) == 1 and node.outputs[0] not in self.kept and self._normalises(readers[0], node):
                    idle.add(readers[0])
                    results[node.outputs[0]] = readers[0].outputs[0]
        results = {name: stored for name, stored in results.items() if name != stored}
        for name, pair in self.pairs.items():
            users = self.readers[name]
            if any(user in bits for user in users):
                sources[name] = pair.inputs[0]
                if name not in self.kept and all(user in bits for user in users):
                    idle.add(pair)
        scales = {name: self.pairs[name].inputs[1:] for name in sources if name in self.pairs}
        return Fusion(frozenset(idle), bits, sources, results, scales, folded)

    def _fold(self) -> frozenset[str]:
        """Rule 4. Random operators and those with subgraphs are left to run; DequantizeLinear is left to rule 3."""
        found: set[str] = set()
        for node in self.graph.nodes:
            free = not node.bodies and not node.op_type.startswith(("Random", "Bernoulli", "Multinomial", "Dequantize"))
            if free and node.reads and all(name in self.fixed or name in found for name in node.reads):
                found.update(name for name in node.outputs if name)
        return frozenset(found)

    def _dead(self) -> set[Node]:
        """Nodes that no output of the graph needs."""
        needed, dead = set(self.kept), set()
        for node in reversed(self.graph.nodes):
            if needed.isdisjoint(node.outputs):
                dead.add(node)
            else:
                needed.update(node.reads)
        return dead

    def _width(self, node: Node) -> int:
        """Bits a node would multiply, 0 if its inputs keep it from running on integers."""
        slots = tuple(range(len(node.inputs))) if node.op_type == "Concat" else _SLOTS.get(node.op_type)
        if node.domain or slots is None or len(node.inputs) <= max(slots):
            return 0
        if node.op_type == "Gemm" and len(node.inputs) > 2 and float(node.attributes.get("beta", 1.0)) != 1.0:
            return 0
        if node.op_type == "Split" and any(not self.readers[name] for name in node.outputs):
            return 0
        widths = [self._narrow(node.inputs[slot]) for slot in slots]
        if node.op_type == "Gemm" or self._added(node) is not None:
            # QGemm takes its zero points from the pairs, and none by default.
            stated = [self.pairs[name].inputs[2:3] for name in node.inputs[:2] if name in self.pairs]
            return max(widths) if all(widths) and all(zero and zero[0] for zero in stated) else 0
        return max(widths) if all(widths) else 0

    def _weight_only(self, node: Node) -> int:
        """Rule 3: 4 for 4-bit weights, 32 for wider ones (the products stay float), 0 where it does not hold."""
        plain = node.op_type == "MatMul" or (node.op_type == "Gemm" and not node.attributes.get("transB", 0))
        pair = self.pairs.get(node.inputs[1]) if plain and not node.domain and len(node.inputs) > 1 else None
        if pair is None or pair.inputs[0] not in self.fixed or node.inputs[0] in self.pairs:
            return 0
        scale = self.facts.get(pair.inputs[1])
        blocks = "block_size" in pair.attributes
        if scale is None or (scale.elements > 1 and not blocks and int(pair.attributes.get("axis", 1)) not in (1, -1)):
            return 0  # a scale for each row is not what the fused kernels take
        return 4 if self._narrow(node.inputs[1]) == 4 else 32

    def _dynamic(
        self, node: Node, idle: set[Node], bits: dict[Node, int], sources: dict[str, str], results: dict[str, str]
    ) -> None:
        """Rule 5, where the sums go to one Cast and one Mul."""
        name, chain = node.outputs[0], []
        for wanted in ("Cast", "Mul"):
            readers = self.readers[name]
            if len(readers) != 1 or readers[0].op_type != wanted or name in self.kept:
                return
            chain.append(readers[0])
            name = readers[0].outputs[0]
        idle.update(chain)
        bits[node] = 8
        results |= {node.outputs[0]: name, chain[0].outputs[0]: name}
        scale = next(other for other in chain[1].inputs if other != chain[0].outputs[0])
        idle.update(n for n in self.graph.nodes if scale in n.outputs and n.op_type == "Mul" and
                    len(self.readers[scale]) == 1)  # fmt: skip
        source = next((n for n in self.graph.nodes if node.inputs[0] in n.outputs), None)
        if source is not None and source.op_type == "DynamicQuantizeLinear":
            users = {user for out in source.outputs for user in self.readers[out]} - idle
            if users == {node}:
                idle.add(source)
                sources[node.inputs[0]] = source.inputs[0]
                sources |= dict.fromkeys(source.outputs[1:], "")

    def _normalises(self, node: Node, source: Node) -> bool:
        """Rule 6."""
        if node.op_type != "BatchNormalization" or node.inputs[0] != source.outputs[0]:
            return False
        stored = all(name in self.fixed for name in (*node.inputs[1:], *source.inputs[1:]) if name)
        return stored and not node.attributes.get("training_mode", 0)

    def _narrow(self, name: str) -> int:
        """Bits of the integers behind a dequantized value, 0 where there is no DequantizeLinear."""
        pair = self.pairs.get(name)
        stored = self.facts.get(pair.inputs[0]) if pair else None
        return int("".join(filter(str.isdigit, stored.dtype)) or 0) if stored else 0

    def _chains(self, node: Node) -> dict[str, tuple[Node, ...]] | None:
        """How each output reaches its QuantizeLinear; {} where floats may be written, None where they may not."""
        used = [name for name in node.outputs if name and (self.readers[name] or name in self.kept)]
        added = self._added(node)
        if added is not None:
            bias = next(name for name in added.inputs if name != node.outputs[0])
            chain = self._chain(added.outputs[0]) if bias in self.fixed else ()
            return {node.outputs[0]: (added, *chain)} if chain else None
        chains = {name: self._chain(name) for name in used}
        if chains and all(chains.values()):
            return chains
        if node.op_type not in _FLOATS_OUT:
            return None
        bias = node.inputs[2] if node.op_type == "Gemm" and len(node.inputs) > 2 else ""
        readers = [reader for name in used for reader in self.readers[name]]
        mixed = any(reader.op_type == "QuantizeLinear" for reader in readers)  # some want integers, others floats
        taken = len(readers) == 1 and readers[0].op_type in _TAILS and self._passed_on(readers[0].outputs[0])
        return None if mixed or taken or (bias and bias not in self.pairs) else {}

    def _passed_on(self, name: str) -> bool:
        return len(self.readers[name]) == 1 and name not in self.kept

    def _added(self, node: Node) -> Node | None:
        """The Add with which a MatMul becomes a Gemm (onnxruntime: matmul_add_fusion.cc), or None."""
        readers = self.readers[node.outputs[0]]
        if node.op_type != "MatMul" or len(readers) != 1 or readers[0].op_type != "Add" or node.outputs[0] in self.kept:
            return None
        bias = next((name for name in readers[0].inputs if name != node.outputs[0]), "")
        if any(name not in self.facts for name in (*node.inputs[:2], bias)):
            return None
        left, right, added = (self.facts[name].shape for name in (*node.inputs[:2], bias))
        if len(right) != 2:
            return None
        rows, columns = left[0] if left else 1, right[1]
        if len(left) == 2:
            fits = added in ((columns,), (1, columns), (rows, 1), (rows, columns))
        else:
            fits = added == (columns,) and not self.graph.dynamic
        return readers[0] if fits else None

    def _chain(self, name: str) -> tuple[Node, ...]:
        """The nodes from ``name`` to the one QuantizeLinear it goes into, through a Relu or Clip; () without one."""
        chain: list[Node] = []
        while len(self.readers[name]) == 1 and name not in self.kept and len(chain) < 2:
            reader = self.readers[name][0]
            if reader.inputs[0] != name or reader.op_type not in {"QuantizeLinear", *_TAILS}:
                break
            chain.append(reader)
            if reader.op_type == "QuantizeLinear":
                return tuple(chain) if len(chain) == 1 or self._clips(chain[0], reader) else ()
            name = reader.outputs[0]
        return ()

    def _clips(self, tail: Node, quantize: Node) -> bool:
        """Whether every value of the integers' range passes the Relu or Clip unchanged."""
        integers = self.facts.get(quantize.outputs[0])
        scale = self._value(quantize.inputs[1])
        zero = self._value(quantize.inputs[2]) if len(quantize.inputs) > 2 else np.zeros(1)
        if integers is None or scale is None or zero is None or integers.dtype not in ("int8", "uint8"):
            return False
        limits = np.iinfo(integers.dtype)
        low, high = ((end - zero.astype(np.float64)) * scale for end in (limits.min, limits.max))
        if tail.op_type == "Relu":
            return bool((low >= 0).all())
        bounds: list[Any] = [tail.attributes.get("min"), tail.attributes.get("max")]
        for slot, name in enumerate(tail.inputs[1:3]):
            bounds[slot] = self._value(name) if name else None
            if name and bounds[slot] is None:
                return False
        margin = 0.5 * scale  # half a step is lost in rounding anyway
        least = -np.inf if bounds[0] is None else bounds[0]
        most = np.inf if bounds[1] is None else bounds[1]
        return bool((low + margin >= least).all() and (high - margin <= most).all())

    def _value(self, name: str) -> NDArray[Any] | None:
        held = self.fixed.get(name)
        return held.value if held else None
