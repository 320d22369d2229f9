"""Sensitivity: how much noise each layer alone adds to the answers when it is quantized. Measured, not modelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgewright.compression.contract import Context, agreement_db, probe
from edgewright.compression.passes.int8_static import Int8Static
from edgewright.compression.quantization.calibration import observe
from edgewright.compression.quantization.placement import label, place
from edgewright.compression.quantization.products import settle_products
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, open_graph
from edgewright.graphs.opsets import at_least

_SAMPLES = 16
_CALIBRATION = 64  # enough to rank layers by


@dataclass(frozen=True)
class Sensitivity:
    """One layer: its label, its operator, and the SQNR in dB of the answers with only this layer in INT8."""

    layer: str
    op_type: str
    sqnr_db: float


def sensitivities(
    model: Model, scheme: Int8Static, context: Context, heard: Callable[[Sensitivity], None] = lambda _: None
) -> list[Sensitivity]:
    """Every kernel of ``model``, most sensitive (lowest SQNR) first. Kept in the context's store.

    ``heard`` gets each as it is measured, in the order of the graph: what is known when ``context.checkpoint`` stops
    it. Raises Refused without calibration samples.
    """
    key = ["sensitivity", scheme.key(model, context)]
    kept = context.store.get(key) if context.store is not None else None
    if kept is None:
        kept = [[s.layer, s.op_type, s.sqnr_db] for s in _measure(model, scheme, context, heard)]
        if context.store is not None:
            context.store.put(key, kept)
    return [Sensitivity(*entry) for entry in kept]


def _measure(
    model: Model, scheme: Int8Static, context: Context, heard: Callable[[Sensitivity], None]
) -> list[Sensitivity]:
    samples = context.samples()
    head = getattr(samples, "head", None)
    few = replace(context, calibration=head(_CALIBRATION) if head else samples)
    prepared = settle_products(at_least(model, 13), scheme.name)
    whole = place(open_graph(prepared).graph, frozenset(scheme.skip))
    wanted = scheme.wanted(whole)
    for kernel in whole.kernels:  # alone, a layer may be quantized where it would have shared its neighbour's scale
        wanted.setdefault(str(kernel.data.name))
        wanted.setdefault(str(kernel.output.name))
    seen = observe(prepared, wanted, few)
    batches = probe(model, context, _SAMPLES)
    labels = [label(kernel.node) for kernel in whole.kernels]
    found = []
    for kernel in whole.kernels:
        context.checkpoint()
        graph = open_graph(prepared)
        others = frozenset((*scheme.skip, *(name for name in labels if name != label(kernel.node))))
        scheme.write(graph.graph, place(graph.graph, others), seen)
        noise = agreement_db(model, close_graph(graph, model, scheme.name), batches)
        found.append(Sensitivity(label(kernel.node), kernel.node.op_type, float(np.clip(noise, -200.0, 200.0))))
        heard(found[-1])
    return sorted(found, key=lambda s: s.sqnr_db)
