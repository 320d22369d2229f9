"""Model-local functions of ONNX, spelled out where they are called: no pass, count or engine need know of them."""

from __future__ import annotations

import onnx
import onnx.inliner

from edgewright.core.errors import InputError
from edgewright.formats.onnxcheck import every_node

_MAX_EXPANDED = 1_000_000

Key = tuple[str, str, str]


def spell_out(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """``proto`` without calls of its own functions. Raises InputError for one that calls itself or grows without end.

    A few functions that call one another twice each stand for more nodes than any memory holds, so they are counted
    before they are expanded.
    """
    functions = {(f.domain, f.name, f.overload): f for f in proto.functions}
    if len(functions) < len(proto.functions):
        raise InputError(f"{name}: two functions have the same name and domain; export the model again")
    sizes: dict[Key, int] = {}
    stack: list[tuple[Key, bool]] = [(key, False) for key in functions]
    path: set[Key] = set()
    while stack:
        key, done = stack.pop()
        calls = [_key(node) for node in every_node(functions[key].node, name)]
        if done:
            path.discard(key)
            sizes[key] = sum(sizes.get(call, 1) for call in calls)
            if sizes[key] > _MAX_EXPANDED:
                raise InputError(f"{name}: function {key[1]!r} expands to more than {_MAX_EXPANDED:,} nodes")
        elif key not in sizes:
            if key in path:
                continue
            path.add(key)
            stack.append((key, True))
            for call in calls:
                if call in path:
                    raise InputError(f"{name}: function {call[1]!r} calls itself; export the model without recursion")
                if call in functions and call not in sizes:
                    stack.append((call, False))
    if sum(sizes.get(_key(node), 1) for node in every_node(proto.graph.node, name)) > _MAX_EXPANDED:
        raise InputError(f"{name}: its functions expand to more than {_MAX_EXPANDED:,} nodes; export it smaller")
    try:
        found = onnx.inliner.inline_local_functions(proto, convert_version=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        what = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"{name}: its functions cannot be spelled out ({what}); export it without") from error
    assert isinstance(found, onnx.ModelProto)  # noqa: S101 - narrowing for the type checker
    return found


def _key(node: onnx.NodeProto) -> Key:
    return node.domain, node.op_type, node.overload
