"""Fuse: what exporters spell out, as the operators that engines run fast. The numbers stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.rewriting import activations, attention, norms
from edgewright.compression.rewriting.editor import Editor, live_graph
from edgewright.compression.rewriting.facts import Facts, observe_shapes
from edgewright.compression.rewriting.folding import fold_affine
from edgewright.compression.rewriting.linear import straighten
from edgewright.compression.rewriting.pooling import shorten
from edgewright.compression.rewriting.shapes import fold_shapes
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, open_graph
from edgewright.graphs.opsets import at_least, opset

_Rewriting = Callable[[Editor, Facts], int]
_ROUNDS = 6


@dataclass(frozen=True)
class Fuse(Pass):
    """Exact rewritings until none applies.

    Shape arithmetic becomes constants; BatchNormalization, scales and shifts go into the weights before them; written
    out LayerNormalization, RMSNormalization, Gelu and HardSwish become one operator each; attention becomes one
    operator with one product for queries, keys and values. ``contrib`` writes it as com.microsoft.MultiHeadAttention,
    which older runtimes know, instead of the standard operator (ONNX Runtime 1.23, OpenVINO 2026). Without
    ``attention`` it stays spelled out: OpenVINO has a pattern of its own for that, with fewer transpositions than it
    makes of the operator. The operator set is raised only where a rewriting needs it.
    """

    name: ClassVar[str] = "fuse"

    contrib: bool = False
    attention: bool = True

    def rewrite(self, model: Model, context: Context) -> PassResult | None:
        """The fused model, or None when nothing was left to fuse."""
        fused: dict[str, int] = {}
        current, facts = model, observe_shapes(model)
        for _ in range(_ROUNDS):
            before = sum(fused.values())
            for label, needed, rewriting in self._rewritings():
                context.checkpoint()
                rewritten = _apply(current, facts, needed, rewriting, self)
                if rewritten is not None:
                    current, count = rewritten
                    facts = observe_shapes(current)
                    fused[label] = fused.get(label, 0) + count
            if sum(fused.values()) == before:
                break
        if not fused:
            return None
        whole = close_graph(open_graph(current), model, self.name, self.options())
        return PassResult("applied", whole, facts={"fused": fused})

    def _rewritings(self) -> list[tuple[str, int, _Rewriting]]:
        """(label, operator set it needs, rewriting)"""
        attend = partial(attention.fuse_attention, contrib=self.contrib)
        attended = ("attention", 0 if self.contrib else attention.OPSET, attend)
        return [
            ("shapes", 0, fold_shapes),
            ("scales", 0, fold_affine),
            ("layer_norm", norms.LAYER_OPSET, norms.fuse_layer_norms),
            ("rms_norm", norms.RMS_OPSET, norms.fuse_rms_norms),
            ("gelu", activations.GELU_OPSET, activations.fuse_gelu),
            ("hard_swish", activations.HARD_SWISH_OPSET, activations.fuse_hard_swish),
            *([attended] if self.attention else []),
            ("shortened", 0, shorten),
            ("straightened", 0, straighten),
        ]


def _apply(model: Model, facts: Facts, needed: int, rewriting: _Rewriting, fuse: Fuse) -> tuple[Model, int] | None:
    """``model`` rewritten and how often, its operator set raised where that is needed; None where it cannot be."""
    graph = live_graph(model)
    count = rewriting(Editor(graph, "ew.f"), facts)
    if count and opset(model) < needed:
        try:
            raised = at_least(model, needed)
        except Refused:
            return None
        graph = live_graph(raised)
        count = rewriting(Editor(graph, "ew.f"), observe_shapes(raised))
    return (close_graph(graph, model, fuse.name), count) if count else None
