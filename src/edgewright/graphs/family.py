"""Architecture family and domain of a model, told from its graph, with the evidence for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgewright.core.model import Model, TensorSpec
from edgewright.core.workload import OperatorCost
from edgewright.graphs.costs import account
from edgewright.graphs.fusion import fuse
from edgewright.graphs.shapes import Shaped, shape
from edgewright.graphs.view import Node

Family = Literal["residual CNN", "depthwise CNN", "plain CNN", "transformer encoder", "transformer decoder", "RNN",
                 "MLP", "linear", "tree ensemble", "mixed", "other"]  # fmt: skip
Domain = Literal["language", "vision", "audio", "signal", "tabular", "unknown"]
"""``signal``: any series over time; ``audio`` only where a name says so, since operators do not tell sound apart."""

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose", "QLinearConv", "ConvInteger", "FusedConv", "NhwcFusedConv"})
_ATTENTIONS = frozenset({"Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention",
                         "DecoderMaskedMultiHeadAttention", "SparseAttention"})  # fmt: skip
_CELLS = frozenset({"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"})
_MATRICES = frozenset({"Gemm", "MatMul", "QGemm", "QLinearMatMul", "MatMulInteger", "DynamicQuantizeMatMul",
                       "MatMulIntegerToFloat", "MatMulNBits", "FusedGemm", "FusedMatMul"})  # fmt: skip
_ADDITIONS = frozenset({"Add", "Sum", "QLinearAdd"})
_THROUGH = frozenset({"Mul", "Div", "Add", "Where", "Dropout", "Cast", "Reshape", "Transpose", "QuantizeLinear",
                      "DequantizeLinear", "Identity", "Clip", "Sub", "Max", "IsNaN"})  # fmt: skip
_CURVED = frozenset({"Relu", "Sigmoid", "Tanh", "Gelu", "Erf", "Clip", "LeakyRelu", "Elu", "Selu", "HardSigmoid",
                     "HardSwish", "Softplus", "PRelu", "FastGelu", "QuickGelu"})  # fmt: skip
_WORDS = ("input_ids", "token", "ids", "attention_mask", "text", "words")
_NAMED: Mapping[Domain, tuple[str, ...]] = {
    "audio": ("audio", "waveform", "mel", "spectrogram", "mfcc", "speech"),
    "signal": ("signal", "series", "vibration", "wave"),
}
"""Words in an input's name that tell its domain."""


@dataclass(frozen=True)
class Kinship:
    """What a model is and what it works on, each with its evidence in words."""

    family: Family
    evidence: tuple[str, ...]
    domain: Domain
    domain_evidence: tuple[str, ...]


def family(model: Model) -> Kinship:
    """The family and domain of ``model``, by the share of multiply-accumulates that each kind of operator takes.

    Raises InputError for another format than ONNX or a damaged graph.
    """
    shaped = shape(model)
    return kinship(model, shaped, account(shaped).workload.operators)


def kinship(model: Model, shaped: Shaped, operators: Iterable[OperatorCost]) -> Kinship:
    """``family`` of a graph whose shapes and costs are known."""
    seen = _Seen(shaped, tuple(operators))
    found, evidence = _family(seen, model)
    domain, reasons = _domain(model, seen, found)
    return Kinship(found, tuple(evidence), domain, tuple(reasons))


class _Seen:
    """The graph's nodes sorted by what tells families apart."""

    def __init__(self, shaped: Shaped, operators: tuple[OperatorCost, ...]) -> None:
        self.shaped = shaped
        self.nodes = list(shaped.graph.walk())
        self.constants = shaped.constants
        self.folded = fuse(shaped.graph, shaped.facts).folded
        self.macs = {o.name: o.macs for o in operators}
        self.total = max(sum(self.macs.values()), 1)
        self.maker = {name: node for node in self.nodes for name in node.outputs if name}
        self.convolutions = [n for n in self.nodes if n.op_type in _CONVOLUTIONS]
        self.cells = [n for n in self.nodes if n.op_type in _CELLS]
        self.attentions = [n for n in self.nodes if n.op_type in _ATTENTIONS or self._mixes(n)]
        self.matrices = [n for n in self.nodes if n.op_type in _MATRICES and n not in self.attentions]
        self.learners = [n for n in self.nodes if n.domain == "ai.onnx.ml"]

    def fixed(self, name: str) -> bool:
        """Whether a value is stored, or depends on what is stored alone."""
        node = self.maker.get(name)
        behind = node is not None and node.op_type == "DequantizeLinear" and self.fixed(node.inputs[0])
        return name in self.constants or name in self.folded or behind

    def share(self, nodes: Iterable[Node]) -> float:
        """The share of all multiply-accumulates that these nodes take."""
        return sum(self.macs.get(node.name, 0) for node in nodes) / self.total

    def depthwise(self) -> list[Node]:
        """Convolutions of one input channel a group, and more than one group."""
        return [n for n in self.convolutions if int(n.attributes.get("group", 1)) > 1 and self._narrow(n)]

    def spatial(self) -> list[Node]:
        """Convolutions that look at more than one position."""
        kernels = {
            n: self.shaped.facts.get(n.inputs[3 if n.op_type == "QLinearConv" else 1]) for n in self.convolutions
        }
        return [n for n, known in kernels.items() if known is None or math.prod(known.shape[2:]) > 1]

    def residuals(self) -> list[Node]:
        """Additions of two computed values of one shape, one of which lies on the way to the other."""
        return [n for n in self.nodes if n.op_type in _ADDITIONS and self._skips(n)]

    def softmaxes(self) -> int:
        """How many Softmax nodes there are."""
        return sum(n.op_type in ("Softmax", "QLinearSoftmax") for n in self.nodes)

    def _narrow(self, node: Node) -> bool:
        slot = 3 if node.op_type == "QLinearConv" else 1
        known = self.shaped.facts.get(node.inputs[slot])
        return known is not None and len(known.shape) > 1 and known.shape[1] == 1

    def _mixes(self, node: Node) -> bool:
        """A MatMul of two computed values, one of them out of a Softmax: the mixing step of attention."""
        if node.op_type not in ("MatMul", "QLinearMatMul", "Einsum") or any(self.fixed(n) for n in node.inputs[:2]):
            return False
        return any(self._behind(name, frozenset({"Softmax", "QLinearSoftmax"}), _THROUGH, 6) for name in node.inputs)

    def _behind(self, name: str, wanted: frozenset[str], through: frozenset[str], steps: int) -> bool:
        node = self.maker.get(name)
        if node is None or steps == 0:
            return False
        if node.op_type in wanted:
            return True
        return node.op_type in through and self._behind(node.inputs[0], wanted, through, steps - 1)

    def _skips(self, node: Node) -> bool:
        names = [n for n in node.inputs if n and not self.fixed(n)]
        shapes = [self.shaped.facts[n].shape for n in names if n in self.shaped.facts]
        if len(names) < 2 or len(shapes) < 2 or shapes[0] != shapes[1] or math.prod(shapes[0]) < 2:
            return False
        return bool(self._sources(names[0]) & self._sources(names[1]))

    def _sources(self, name: str, steps: int = 24) -> set[str]:
        """Computed values on the way to ``name``, itself included, a bounded way back."""
        found, edge = {name}, [name]
        for _ in range(steps):
            edge = [n for e in edge if e in self.maker for n in self.maker[e].inputs if n and n not in found
                    and not self.fixed(n)]  # fmt: skip
            if not edge:
                break
            found.update(edge)
        return found


def _family(seen: _Seen, model: Model) -> tuple[Family, list[str]]:
    kinds = {n.op_type for n in seen.learners}
    trees = sorted(k for k in kinds if k.startswith("TreeEnsemble"))
    if trees:
        return "tree ensemble", [f"{trees[0]} holds the model"]
    if kinds & {"LinearClassifier", "LinearRegressor"}:
        return "linear", [f"{sorted(kinds & {'LinearClassifier', 'LinearRegressor'})[0]} holds the model"]
    if kinds & {"SVMClassifier", "SVMRegressor"}:
        return "other", ["a support vector machine holds the model"]
    conv, attend, recur = seen.share(seen.convolutions), len(seen.attentions), seen.share(seen.cells)
    if recur >= 0.5 or (seen.cells and not seen.convolutions and not attend):
        return "RNN", [f"{_names(seen.cells)} with {recur:.0%} of the MACs"]
    if attend and conv < 0.5:
        return _transformer(seen, model)
    if conv >= 0.5:
        if attend >= 2:
            return "mixed", [
                f"convolutions with {conv:.0%} of the MACs beside {_count(seen.attentions, 'attention block')}"
            ]
        return _convolutional(seen, conv)
    if seen.cells:
        return "mixed", [f"{_names(seen.cells)} with {recur:.0%} of the MACs beside other layers"]
    if seen.convolutions and (conv >= 0.1 or 4 * len(seen.convolutions) >= len(seen.matrices)):
        return "mixed", [f"convolutions take {conv:.0%} of the MACs, matrix products the rest"]
    if seen.matrices:
        curved = [n for n in seen.nodes if n.op_type in _CURVED]
        if len(seen.matrices) == 1 and not curved:
            return "linear", ["one matrix product and no activation function"]
        return "MLP", [f"{_count(seen.matrices, 'matrix product')}, no convolution, no attention"]
    if seen.convolutions:
        return _convolutional(seen, conv)
    return "other", ["no convolution, matrix product, recurrent cell or tree"]


def _convolutional(seen: _Seen, share: float) -> tuple[Family, list[str]]:
    evidence = [f"{_count(seen.convolutions, 'convolution')} with {share:.0%} of the MACs"]
    depthwise, residuals = seen.depthwise(), seen.residuals()
    more = [_count(residuals, "residual addition")] if residuals else []
    if depthwise and len(depthwise) * 2 >= len(seen.spatial()):
        return "depthwise CNN", [*evidence, f"{len(depthwise)} of them depthwise", *more]
    if residuals:
        return "residual CNN", [*evidence, *more]
    return "plain CNN", [*evidence, "no residual addition"]


def _transformer(seen: _Seen, model: Model) -> tuple[Family, list[str]]:
    evidence = [f"{_count(seen.attentions, 'attention block')} (softmax of scores times values)"]
    causal: list[str] = []
    cached = [t.name for t in model.signature.inputs if "past" in t.name.lower() or "cache" in t.name.lower()]
    if cached:
        causal.append(f"input {cached[0]!r} carries past keys and values")
    for node in seen.nodes:
        one_way = any(int(node.attributes.get(a, 0) or 0) for a in ("unidirectional", "is_causal"))
        if node.op_type == "GroupQueryAttention" or (node.op_type in _ATTENTIONS and one_way):
            causal.append(f"{node.op_type} looks back only")
            break
    if any(node.op_type == "Trilu" for node in seen.nodes):
        causal.append("a triangular mask (Trilu)")
    return ("transformer decoder" if causal else "transformer encoder"), [*evidence, *causal]


def _names(nodes: list[Node]) -> str:
    return _count(nodes, f"{' and '.join(sorted({n.op_type for n in nodes}))} layer")


def _count(nodes: list[Node], noun: str) -> str:
    return f"{len(nodes)} {noun}{'s' if len(nodes) != 1 else ''}"


def _domain(model: Model, seen: _Seen, found: Family) -> tuple[Domain, list[str]]:
    inputs = model.signature.inputs
    tables = [n for n in seen.nodes if n.op_type in ("Gather", "EmbedLayerNormalization", "GatherBlockQuantized")
              and any(n.inputs[slot : slot + 1] and len(seen.constants[n.inputs[slot]].facts.shape) == 2
                      for slot in (0, 2) if slot < len(n.inputs) and n.inputs[slot] in seen.constants)]  # fmt: skip
    whole = {t.name for t in inputs if t.dtype.startswith(("int", "uint")) and t.dtype != "uint8"}
    worded = [t.name for t in inputs if t.name in whole and any(word in t.name.lower() for word in _WORDS)]
    looked = [n for n in tables if any(seen._sources(name, 4) & whole for name in n.inputs if name)]
    if worded or (looked and found not in ("tree ensemble", "linear")):
        evidence = [f"input {worded[0]!r}"] if worded else []
        return "language", evidence + ([f"integers looked up in a stored table by {looked[0].name}"] if looked else [])
    for domain, words in _NAMED.items():
        named = [t.name for t in inputs if any(word in t.name.lower() for word in words)]
        if named:
            return domain, [f"input {named[0]!r}"]
    pictures = [t for t in inputs if _channels(t)]
    if pictures and seen.convolutions:
        return "vision", [f"input {pictures[0]} is an image of {_channels(pictures[0])} channels"]
    if seen.convolutions:
        rank = max((len(t.shape) for t in inputs), default=0)
        if rank == 3:
            return "signal", [f"1-D convolutions over {inputs[0]}"]
        return "vision", [f"{max(rank - 2, 1)}-D convolutions over {inputs[0]}"] if inputs else ["convolutions"]
    if found == "RNN":
        return "signal", ["recurrent layers over a series of floats"]
    if found in ("tree ensemble", "linear") or all(len(t.shape) <= 2 for t in inputs):
        return "tabular", [f"rows of features: {inputs[0]}" if inputs else "no input"]
    return "unknown", ["neither names nor operators tell"]


def _channels(spec: TensorSpec) -> int:
    """Channels of an image input (N, C, H, W) or (N, H, W, C), 0 for anything else."""
    if len(spec.shape) != 4:
        return 0
    for axis in (1, 3):
        size = spec.shape[axis]
        if size in (1, 3, 4) and isinstance(size, int):
            return size
    return 0
