"""Structured channel pruning without training: choose, shrink, refit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.pruning.channels import Channels, Group, analyse
from edgewright.compression.pruning.plan import plan
from edgewright.compression.pruning.refit import refit
from edgewright.compression.pruning.rows import choose_places, positions, read
from edgewright.compression.pruning.selection import Moments, Order, moments, order
from edgewright.compression.pruning.shrink import shrink
from edgewright.compression.pruning.stepper import Stepper
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.core.session import Arrays
from edgewright.graphs.graph import close_graph, open_graph

_SAMPLES = 600
_MEMORY_BYTES = 1 << 30
_MOMENT_ROWS = 8192


@dataclass(frozen=True)
class PruneChannels(Pass):
    """Whole channels removed from the graph until ``keep`` of its multiply-accumulates is left.

    Channels that hang together (residual sums, depthwise convolutions, concatenation) go together. Kept counts are
    multiples of ``align``: odd ones are slower than the next even block.
    """

    name: ClassVar[str] = "prune_channels"
    tolerance_db: ClassVar[float] = 0.0
    needs_data: ClassVar[bool] = True

    keep: float = 0.5
    align: int = 16

    def rewrite(self, model: Model, context: Context) -> PassResult | None:
        """The smaller model; refused without samples and where no channel is free to go."""
        if not 0 < self.keep < 1:
            raise Refused("keep must lie between 0 and 1")
        if any(step.name == self.name and dict(step.options) == self.options() for step in model.lineage):
            return None  # a share of what is there now would be another one every time
        pruned = open_graph(model)
        batches = sample_batches(model, context)
        ready = survey(model, pruned, batches, context)
        chosen = plan(ready.found, ready.groups, ready.orders, ready.places, self.keep, self.align)
        if not chosen.removed:
            raise Refused(f"no group has more than {self.align} channels to choose from")
        kept = shrink(pruned.graph, ready.found, chosen.removed)
        by_name = {str(value.name): positions for value, positions in kept.items()}
        layers = refit(open_graph(model), pruned, by_name, batches, context)
        facts: dict[str, Any] = {
            "macs_kept": round(chosen.macs_kept, 4),
            "channels": [list(c) for c in chosen.counts],
            "layers_refitted": layers,
            "samples": sum(len(next(iter(b.values()))) for b in batches),
        }
        return PassResult("applied", close_graph(pruned, model, self.name, self.options()), facts=facts)


@dataclass(frozen=True)
class Survey:
    """All that pruning at any share needs to know of a model: made once, used for every ``keep``."""

    found: Channels
    groups: list[Group]
    orders: list[Order]
    places: dict[int, int]


def sample_batches(model: Model, context: Context) -> list[Arrays]:
    """Up to 600 calibration samples in the model's own batches. Raises Refused when there are none."""
    samples = context.samples()
    fixed = [s.shape[0] for s in model.signature.inputs if s.shape and isinstance(s.shape[0], int)]
    size = fixed[0] if fixed else 50
    batches: list[Arrays] = []
    for batch in samples.batches(size):
        if len(next(iter(batch.values()))) == size or not fixed:
            batches.append({name: np.array(array) for name, array in batch.items()})
        if len(batches) * size >= _SAMPLES:
            break
    if not batches:
        raise Refused(f"needs at least {size} calibration samples")
    return batches


def survey(model: Model, graph: ir.Model, batches: list[Arrays], context: Context) -> Survey:
    """Channel identities of ``graph`` and the order in which each group gives its channels up."""
    shapes: dict[str, tuple[int, ...]] = {}
    opsets = graph.opset_imports
    trial = Stepper(graph.graph, batches[:1], opsets)
    shapes.update({name: tuple(chunks[0].shape) for name, chunks in trial.values.items()})
    for node in graph.graph:
        trial.step(node)
        shapes.update(
            {str(v.name): trial.values[str(v.name)][0].shape for v in node.outputs if str(v.name) in trial.values}
        )
    found = analyse(graph.graph, shapes)
    groups = [g for g in found.groups() if g.atoms.size > 1]
    if not groups:
        raise Refused("no channel is free to go: every one reaches an output or an operator without a rule")
    key = ["survey", model.digest, context.samples().digest, context.seed, len(batches)]
    kept = context.store.get(key) if context.store is not None else None
    if kept is None:
        places, seen = _look(graph, found, batches, context)
        orders = [order(group, found, seen) for group in groups]
        kept = {
            "places": [[index, count] for index, count in places.items()],
            "orders": [[chosen.atoms.tolist(), chosen.errors.tolist()] for chosen in orders],
        }
        if context.store is not None:
            context.store.put(key, kept)
    orders = [Order(np.array(atoms, np.int64), np.array(errors)) for atoms, errors in kept["orders"]]
    return Survey(found, groups, orders, {int(index): int(count) for index, count in kept["places"]})


def _look(
    graph: ir.Model, found: Channels, batches: list[Arrays], context: Context
) -> tuple[dict[int, int], dict[int, Moments]]:
    """One run over all samples: each layer's output positions per sample, and the moments of what it reads."""
    full = Stepper(graph.graph, batches, graph.opset_imports)
    by_node = {layer.node: (i, layer) for i, layer in enumerate(found.layers)}
    seen: dict[int, Moments] = {}
    places: dict[int, int] = {}
    for node in graph.graph:
        context.checkpoint()
        data = full.values[str(by_node[node][1].data.name)] if node in by_node else None
        full.step(node)
        if data is None:
            continue
        index, layer = by_node[node]
        output = full.values[str(node.outputs[0].name)]
        places[index] = positions(layer, output[0]) // max(output[0].shape[0], 1)
        if layer.kind != "depthwise":
            chosen = choose_places(layer, output, max(_MOMENT_ROWS, 8 * layer.inputs * layer.taps), context.seed)
            seen[index] = moments(read(layer, data, chosen))
    return places, seen
