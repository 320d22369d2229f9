"""Give the outputs of an exported graph the names its users know them by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx


def name_outputs(proto: onnx.ModelProto, names: Sequence[str]) -> None:
    """Rename the outputs to ``names``, in order; whatever else bears one of these names steps aside.

    An output that is an input, an initialiser, or the same value as another output gets an Identity of its own.
    """
    graph = proto.graph
    taken = _value_names(graph)
    makers = {name for node in graph.node for name in node.output}
    renamed: dict[str, str] = {}
    for value, name in zip(graph.output, names, strict=True):
        old = value.name
        if old not in makers or old in renamed:
            value.name = _free(f"{old}_out", taken)
            graph.node.add(op_type="Identity", input=[old], output=[value.name])
            makers.add(value.name)
            old = value.name
        renamed[old] = name
    for name in names:
        if name in taken and name not in renamed:
            renamed[name] = _free(f"{name}_inner", taken | set(names))
    _rename(graph, {old: new for old, new in renamed.items() if old != new})


def _free(name: str, taken: set[str]) -> str:
    chosen, count = name, 1
    while chosen in taken:
        count += 1
        chosen = f"{name}_{count}"
    taken.add(chosen)
    return chosen


def _value_names(graph: Any) -> set[str]:
    found = {value.name for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    for node in graph.node:
        found.update((*node.input, *node.output))
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                found |= _value_names(inner)
    return found


def _rename(graph: Any, names: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _rename(inner, names)


def number_values(proto: onnx.ModelProto) -> None:
    """Number every inner value in the order it appears, and drop nodes' names: no trace of counters or addresses."""
    kept = {value.name for value in (*proto.graph.input, *proto.graph.output)} | {""}
    numbers: dict[str, str] = {}

    def visit(graph: Any) -> None:
        own = [value.name for value in (*graph.input, *graph.output, *graph.initializer)]
        for node in graph.node:
            node.ClearField("name")
            own.extend((*node.input, *node.output))
            for attribute in node.attribute:
                for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                    visit(inner)
        for name in own:
            if name not in kept:
                numbers.setdefault(name, f"v{len(numbers)}")

    visit(proto.graph)
    proto.graph.ClearField("value_info")
    _rename(proto.graph, {old: _apart(new, kept) for old, new in numbers.items()})


def _apart(name: str, kept: set[str]) -> str:
    return f"{name}_" if name in kept else name
