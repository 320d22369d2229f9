"""Strip: the smallest file that holds the same graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, open_graph

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Strip(Pass):
    """Short names for everything inside, no node names, no shapes of intermediates, no unread or repeated constants.

    In small INT8 files these are 12 to 60% of the bytes.
    """

    name: ClassVar[str] = "strip"

    def rewrite(self, model: Model, context: Context) -> PassResult | Model | None:
        """The stripped model, or None when it is already."""
        graph = open_graph(model)
        if any(
            a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
            for n in graph.graph
            for a in n.attributes.values()
        ):
            return PassResult("unchanged", model, "holds subgraphs, which read outer values by name")
        close_graph(graph, model, self.name)
        public = {v.name for v in (*graph.graph.inputs, *graph.graph.outputs)}
        names = (name for name in map(_short, range(2**31)) if name not in public)
        for node in graph.graph:
            node.name = ""  # None would be given a name again
            for value in node.outputs:
                if value.name and value.name not in public:
                    value.name = next(names)
        held = [value for value in graph.graph.initializers.values() if value.name not in public]
        for number, value in enumerate(held):
            value.name = f"ew.strip.{number}"  # out of the way: a name that is taken cannot be given
        for value in held:
            name = next(names)
            value.name = name
            if value.const_value is not None:
                value.const_value.name = name
        stripped = close_graph(graph, model, self.name)
        return None if stripped.digest == model.digest else stripped


def _short(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
        if not number:
            return text
