"""What an engine would run in a number type: the share of a model that is covered, and what is left out and why.

The claims are data (``advice/data/coverage.toml``), each with its source; this module applies them to a graph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from edgewright.advice.tables import check_keys, read
from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.core.workload import OperatorCost, Workload
from edgewright.graphs.costs import workload
from edgewright.graphs.fusion import Fusion, fuse
from edgewright.graphs.shapes import Shaped, shape
from edgewright.graphs.view import Node

ENGINES = ("onnxruntime", "openvino")
NUMBER_TYPES = ("fp32", "fp16", "bf16", "int8_static", "int8_dynamic", "int4_weights")
_ROLES = ("any", "kernel", "joiner", "mover", "absorbed")
_NEEDS = ("stored_weight", "stored_matrix", "stored_table")
_X86 = frozenset({"sse4_2", "avx", "avx2", "avx512f"})
_BITS = {"int8_static": 8, "int8_dynamic": 8, "int4_weights": 4}


@dataclass(frozen=True)
class Claim:
    """One entry: operators that run in the type under conditions. Empty ``ops``: every one but ``all_but``."""

    role: str
    domain: str
    ops: frozenset[str]
    all_but: frozenset[str]
    needs: tuple[str, ...]
    becomes: str
    source: str

    def names(self, node: Node) -> bool:
        """Whether the entry speaks of this operator."""
        if node.domain != self.domain:
            return False
        return node.op_type in self.ops if self.ops else node.op_type not in self.all_but


@dataclass(frozen=True)
class Column:
    """All that is said of one engine and number type."""

    requires: tuple[str, ...]
    rest: str
    source: str
    claims: tuple[Claim, ...]
    leaves: Mapping[str, str]


@dataclass(frozen=True)
class LeftOut:
    """Operators of one kind that stay in fp32 (or do not run at all, in the fp32 column), and why."""

    op_type: str
    names: tuple[str, ...]
    macs_share: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {"op_type": self.op_type, "names": list(self.names), "macs_share": self.macs_share,
                "reason": self.reason}  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """Shares (0 to 1) of the multiply-accumulates and of the operators that the engine runs in the number type.

    ``requires`` are instruction sets of which the CPU must have one; of a CPU known to have none nothing is covered.
    """

    engine: str
    number_type: str
    macs_share: float
    operators_share: float
    left_out: tuple[LeftOut, ...]
    requires: tuple[str, ...]
    source: str
    covered: frozenset[str] = field(default=frozenset(), repr=False)
    """Names of the operators that are covered."""

    def to_json(self) -> dict[str, Any]:
        """A JSON value; names of covered operators left out."""
        return {
            "engine": self.engine,
            "number_type": self.number_type,
            "macs_share": round(self.macs_share, 6),
            "operators_share": round(self.operators_share, 6),
            "requires": list(self.requires),
            "left_out": [entry.to_json() for entry in self.left_out],
            "source": self.source,
        }


def coverage(model: Model, isa: Collection[str] | None = None) -> tuple[Coverage, ...]:
    """Every engine and number type for ``model``. ``isa``: the CPU's instruction sets, None when it is not known.

    Raises InputError for another format than ONNX or a damaged graph.
    """
    shaped = shape(model)
    return tuple(covers(shaped, workload(model), isa))


def covers(shaped: Shaped, costs: Workload, isa: Collection[str] | None = None) -> Iterator[Coverage]:
    """``coverage`` of a graph whose shapes and costs are known."""
    seen = _Seen(shaped, costs)
    for engine in ENGINES:
        for number_type in NUMBER_TYPES:
            yield seen.cover(engine, number_type, isa)


@cache
def column(engine: str, number_type: str) -> Column:
    """What the data say of one engine and number type. Raises InputError for an entry that cannot be read."""
    table = read("coverage").get(engine, {}).get(number_type)
    place = f"advice/data/coverage.toml [{engine}.{number_type}]"
    if table is None:
        raise InputError(f"{place} is missing")
    check_keys(table, ("rest", "source"), ("requires", "covers", "leaves"), place)
    claims: list[Claim] = []
    leaves: dict[str, str] = {}
    for entry in table.get("covers", ()):
        check_keys(entry, ("source",), ("like", "role", "domain", "ops", "all_but", "needs", "becomes"), place)
        if "like" in entry:
            claims += column(*entry["like"].split(".")).claims
            continue
        role, needs = entry.get("role", "any"), tuple(entry.get("needs", ()))
        if role not in _ROLES or not set(needs) <= set(_NEEDS) or ("ops" in entry) == ("all_but" in entry):
            raise InputError(f"{place}: an entry needs a known role and needs, and either ops or all_but: {entry}")
        claims.append(
            Claim(role, entry.get("domain", ""), frozenset(entry.get("ops", ())), frozenset(entry.get("all_but", ())),
                  needs, entry.get("becomes", ""), entry["source"])
        )  # fmt: skip
    for entry in table.get("leaves", ()):
        check_keys(entry, ("ops", "reason"), (), place)
        leaves |= dict.fromkeys(entry["ops"], entry["reason"])
    return Column(tuple(table.get("requires", ())), table["rest"], table["source"], tuple(claims), leaves)


class _Seen:
    """A graph's operators that work on numbers, with what the claims' conditions ask about."""

    def __init__(self, shaped: Shaped, costs: Workload) -> None:
        self.shaped = shaped
        self.costs: Mapping[str, OperatorCost] = {o.name: o for o in costs.operators}
        self.total = costs.macs
        self.fusions: dict[str, Fusion] = {}
        self.nodes = list(self._running())
        self.maker = {name: node for node in shaped.graph.walk() for name in node.outputs if name}
        self.readers: dict[str, int] = defaultdict(int)
        for node in shaped.graph.walk():
            for name in node.reads:
                self.readers[name] += 1
        self.fusion = fuse(shaped.graph, shaped.facts)
        self.pairs = {n.outputs[0]: n for n in shaped.graph.walk() if n.op_type == "DequantizeLinear"}

    def _running(self) -> Iterator[Node]:
        """Operators that run and touch floats or quantized values; arithmetic on shapes has no number type."""
        for node in self.shaped.graph.walk():
            dtypes = [self.shaped.facts[n].dtype for n in (*node.inputs, *node.outputs) if n in self.shaped.facts]
            unknown = not dtypes
            if node.name in self.costs and (unknown or any("float" in d or d in ("int8", "uint8") for d in dtypes)):
                yield node

    def cover(self, engine: str, number_type: str, isa: Collection[str] | None) -> Coverage:
        """One engine and number type. What the engine cannot run at all is left out of every type for that reason."""
        said, base = column(engine, number_type), column(engine, "fp32")
        missing = isa is not None and said.requires and not set(said.requires) & set(isa)
        covered: set[Node] = set()
        whole: set[str] = set()  # values that can be integers when they are read
        reasons: dict[Node, str] = {}
        for node in self.nodes:
            reason = self._reason(node, said, number_type, covered, whole)
            if not reason and (engine, number_type) == ("onnxruntime", "int8_static"):
                reason = self._unfused(node, isa)
            if not any(claim.names(node) for claim in base.claims):
                reason = base.rest
            elif missing:
                reason = f"the CPU has none of {', '.join(said.requires)}"
            if reason:
                reasons[node] = reason
            else:
                covered.add(node)
                whole.update(node.outputs)
        return Coverage(
            engine,
            number_type,
            self._share(covered),
            len(covered) / len(self.nodes) if self.nodes else 0.0,
            tuple(self._left_out(reasons)),
            said.requires,
            said.source,
            frozenset(node.name for node in covered),
        )

    def _reason(self, node: Node, said: Column, number_type: str, covered: set[Node], whole: set[str]) -> str:
        """Why the node is not covered; "" when it is."""
        if node.op_type in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"):
            return ""
        bits = _BITS.get(number_type)
        if bits and self.costs[node.name].macs and self.costs[node.name].bits == bits:
            return ""  # the model is in this type already
        for claim in said.claims:
            if claim.names(node) and all(self._needed(node, need) for need in claim.needs):
                if claim.role in ("any", "kernel"):
                    return ""
                if claim.role == "absorbed" and self._behind(node, covered):
                    return ""
                computed = [n for n in node.inputs if n and not self._stored(n) and self._float(n)]
                if claim.role == "joiner" and computed and all(self._origin(n) in whole for n in computed):
                    return ""
                if claim.role == "mover" and computed and self._origin(computed[0]) in whole:
                    return ""
        joining = any(claim.names(node) and claim.role in ("joiner", "mover") for claim in said.claims)
        return said.leaves.get(node.op_type) or (
            "reads values that are not integers: what comes before it is left out" if joining else said.rest
        )

    def _unfused(self, node: Node, isa: Collection[str] | None) -> str:
        """Why a kernel between pairs stays in fp32 nevertheless: what the pairs look like, not what they surround."""
        cost = self.costs[node.name]
        if not self.pairs or not cost.macs or node.domain:
            return ""
        if cost.bits == 8:
            pair = self.pairs.get(node.inputs[0])
            known = self.shaped.facts.get(pair.inputs[0]) if pair else None
            signed = known is not None and known.dtype == "int8"
            if signed and isa is not None and not _X86.isdisjoint(isa):
                return "signed activations, of which ONNX Runtime on x86 fuses few: qdq_repair makes them unsigned"
            return ""
        if node.inputs[0] not in self.pairs:
            return "left in fp32 by what quantized the model"
        return "quantized, but its pairs do not fuse: none behind it, or a Relu or Clip between that the integers cross"

    def _behind(self, node: Node, covered: set[Node]) -> bool:
        """The node follows a covered operator that nobody else reads."""
        for name in node.inputs:
            maker = self.maker.get(self._origin(name))
            if maker in covered and self.readers[name] == 1:
                return True
        return False

    def _origin(self, name: str) -> str:
        """The value behind a DequantizeLinear, a QuantizeLinear, or a BatchNormalization that goes into its weights."""
        node = self.maker.get(name)
        while node is not None and (
            node.op_type in ("DequantizeLinear", "QuantizeLinear")
            or (node.op_type == "BatchNormalization" and node in self.fusion.idle)
        ):
            name = node.inputs[0]
            node = self.maker.get(name)
        return name

    def _needed(self, node: Node, need: str) -> bool:
        slot = 0 if need == "stored_table" else 1
        if slot >= len(node.inputs) or not self._stored(node.inputs[slot]):
            return False
        rank = len(self.shaped.facts[node.inputs[slot]].shape) if node.inputs[slot] in self.shaped.facts else 0
        return rank == 2 if need in ("stored_matrix", "stored_table") else True

    def _stored(self, name: str) -> bool:
        name = self._origin(name)
        return name in self.shaped.constants or name in self.fusion.folded

    def _float(self, name: str) -> bool:
        known = self.shaped.facts.get(name)
        return known is None or "float" in known.dtype

    def _share(self, covered: Collection[Node]) -> float:
        done = sum(self.costs[node.name].macs for node in covered)
        return done / self.total if self.total else 0.0

    def _left_out(self, reasons: Mapping[Node, str]) -> Iterator[LeftOut]:
        groups: dict[tuple[str, str], list[Node]] = defaultdict(list)
        for node, reason in reasons.items():
            groups[node.kind, reason].append(node)
        found = [LeftOut(kind, tuple(n.name for n in nodes), self._share(nodes), reason)
                 for (kind, reason), nodes in groups.items()]  # fmt: skip
        yield from sorted(found, key=lambda entry: (-entry.macs_share, -len(entry.names), entry.op_type))


def check_table() -> None:
    """Read every column. Raises InputError naming what is wrong: for tests and for third-party data."""
    for engine in ENGINES:
        for number_type in NUMBER_TYPES:
            column(engine, number_type)
