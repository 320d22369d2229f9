"""Sensitivity: how much noise each layer alone adds to the answers when it is quantized. Measured, not modelled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgewright.compression.contract import Context, agreement_db, probe
from edgewright.compression.passes.int8_static import Int8Static
from edgewright.compression.quantization.placement import label, place
from edgewright.core.model import Model
from edgewright.graphs.graph import open_graph

_SAMPLES = 16


@dataclass(frozen=True)
class Sensitivity:
    """One layer: its label, its operator, and the SQNR in dB of the answers with only this layer in INT8."""

    layer: str
    op_type: str
    sqnr_db: float


def sensitivities(model: Model, scheme: Int8Static, context: Context) -> list[Sensitivity]:
    """Every kernel of ``model``, most sensitive (lowest SQNR) first. Kept in the context's store.

    Raises Refused without calibration samples.
    """
    head = _Head(context)
    key = ["sensitivity", scheme.key(model, context)]
    kept = context.store.get(key) if context.store is not None else None
    if kept is None:
        kernels = place(open_graph(model).graph, frozenset(scheme.skip)).kernels
        labels = [(label(k.node), k.node.op_type) for k in kernels]
        batches = probe(model, context, _SAMPLES)
        kept = []
        for name, op_type in labels:
            context.checkpoint()
            alone = replace(scheme, skip=(*scheme.skip, *(other for other, _ in labels if other != name)))
            result = alone(model, head.context)
            noise = agreement_db(model, result.model, batches) if result.status == "applied" else -200.0
            kept.append([name, op_type, float(np.clip(noise, -200.0, 200.0))])
        kept.sort(key=lambda entry: entry[2])
        if context.store is not None:
            context.store.put(key, kept)
    return [Sensitivity(*entry) for entry in kept]


class _Head:
    """The context with its first calibration samples only and no store: 64 are enough to rank layers by."""

    def __init__(self, context: Context) -> None:
        samples = context.samples()
        head = getattr(samples, "head", None)
        self.context = replace(context, calibration=head(64) if head else samples, store=None)
