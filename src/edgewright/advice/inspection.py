"""Inspection: everything that can be told of a model without measuring it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgewright.advice.coverage import Coverage, covers
from edgewright.advice.foreign import inspect_foreign
from edgewright.advice.quantized import Quantized, quantized
from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.core.workload import Workload
from edgewright.formats.onnx import parse
from edgewright.graphs.costs import account
from edgewright.graphs.family import Kinship, kinship
from edgewright.graphs.liveness import Liveness, arena_bytes
from edgewright.graphs.shapes import Shaped, shape


@dataclass(frozen=True)
class Inspection:
    """What a model is. Fields that only an ONNX graph tells are None for other formats, and ``unknown`` says so.

    ``histogram`` counts operators as written, by name with domain. ``stored_bytes`` are the constants of the graph,
    ``unread_bytes`` those of them that nothing reads. ``notes`` are remarks on the figures, ``unknown`` what could not
    be told, and why.
    """

    model: Model
    batch: int
    dims: Mapping[str, int]
    histogram: Mapping[str, int]
    opsets: Mapping[str, int] = field(default_factory=dict)
    shaped: Shaped | None = field(default=None, repr=False)
    workload: Workload | None = None
    liveness: Liveness | None = None
    arena_bytes: int | None = None
    kinship: Kinship | None = None
    quantized: Quantized | None = None
    coverage: tuple[Coverage, ...] = ()
    stored_bytes: int | None = None
    unread_bytes: int = 0
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON value: facts with their units in the keys, null for what is not known."""
        w, life, kin = self.workload, self.liveness, self.kinship
        return {
            "format": self.model.format,
            "digest": self.model.digest,
            "size_bytes": self.model.size_bytes,
            "signature": self.model.signature.to_json(),
            "opsets": dict(self.opsets),
            "batch": self.batch,
            "dims": dict(self.dims),
            "operators": dict(self.histogram),
            "parameters": w.parameters if w else None,
            "weight_bytes": self.stored_bytes,
            "unread_weight_bytes": self.unread_bytes,
            "macs": w.macs if w else None,
            "flops": sum(o.flops for o in w.operators) if w else None,
            "peak_activation_bytes": life.peak_bytes if life else None,
            "peak_activation_in_place_bytes": life.peak_in_place_bytes if life else None,
            "arena_bytes": self.arena_bytes,
            "peak_at": {"name": life.peak.node, "op_type": life.peak.op_type} if life else None,
            "timeline": [asdict(moment) for moment in life.timeline] if life else None,
            "costs": [asdict(operator) for operator in w.operators] if w else None,
            "family": kin.family if kin else None,
            "family_evidence": list(kin.evidence) if kin else [],
            "domain": kin.domain if kin else None,
            "domain_evidence": list(kin.domain_evidence) if kin else [],
            "quantized": self.quantized.to_json() if self.quantized else None,
            "coverage": [c.to_json() for c in self.coverage],
            "notes": list(self.notes),
            "unknown": list(self.unknown),
        }


def inspect(
    model: Model, batch: int = 1, dims: Mapping[str, int] | None = None, isa: frozenset[str] | None = None
) -> Inspection:
    """Everything that can be told of ``model`` at a batch size, other dynamic sizes as in ``dims`` (else 1).

    ``isa``: the instruction sets of the CPU it is meant for, None when no target is named. Raises InputError for a
    damaged graph, an unusable size, or a format that has no graph.
    """
    chosen = dict(dims or {})
    if model.format != "onnx":
        if chosen or batch != 1:
            raise InputError(f"sizes can be chosen for ONNX graphs only, not for {model.format}")
        found = inspect_foreign(model)
        return Inspection(
            model, batch, chosen, found.histogram, opsets=found.opsets, stored_bytes=found.stored_bytes,
            notes=found.notes, unknown=found.unknown,
        )  # fmt: skip
    shaped = shape(model, batch, chosen)
    counted = account(shaped)
    lives = counted.liveness
    read = {name for node in shaped.graph.walk() for name in node.reads} | set(shaped.graph.outputs)
    unread = sum(c.facts.bytes for name, c in shaped.constants.items() if name not in read)
    notes = list(counted.notes)
    if any(node.bodies for node in shaped.graph.nodes):
        notes.append("subgraphs: an If counts its dearer branch, a Loop or Scan its body times its trips")
    return Inspection(
        model,
        batch,
        chosen,
        dict(Counter(node.kind for node in shaped.graph.walk()).most_common()),
        opsets={entry.domain or "ai.onnx": int(entry.version) for entry in parse(model.data).opset_import},
        shaped=shaped,
        workload=counted.workload,
        liveness=lives,
        arena_bytes=arena_bytes(lives.lives) if len(lives.lives) <= _ARENA_LIMIT else None,
        kinship=kinship(model, shaped, counted.workload.operators),
        quantized=quantized(shaped),
        coverage=tuple(covers(shaped, counted.workload, isa)),
        stored_bytes=counted.workload.weight_bytes,
        unread_bytes=unread,
        notes=tuple(notes),
        unknown=(f"{len(shaped.unknown)} values have no known shape: {shaped.why}",) if shaped.unknown else (),
    )


_ARENA_LIMIT = 1500  # placing buffers takes time that grows with the square of their number
