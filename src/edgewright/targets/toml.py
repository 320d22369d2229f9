"""A target written as its TOML file. The standard library reads TOML but does not write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgewright.targets.description import Target
from edgewright.targets.schema import to_document


def dump(target: Target) -> str:
    """The file's text; ``schema.parse`` reads the same target back."""
    document = to_document(target)
    lines: list[str] = []
    tables: list[tuple[str, Any]] = []
    for key, value in document.items():
        if isinstance(value, dict) or key == "accelerators":
            tables.append((key, value))
        else:
            lines.append(f"{key} = {_value(value)}")
    for key, value in tables:
        for entry in value if isinstance(value, list) else [value]:
            lines += ["", f"[[{key}]]" if isinstance(value, list) else f"[{key}]"]
            nested = {name: item for name, item in entry.items() if name == "compute" and isinstance(value, list)}
            lines += [f"{name} = {_value(item)}" for name, item in entry.items() if name not in nested]
            for name, item in nested.items():
                if item:
                    lines += ["", f"[{key}.{name}]", *(f"{k} = {_value(v)}" for k, v in item.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        # A figure that is a whole number reads better as one.
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    # A JSON string is a TOML basic string: the same quotes, the same escapes.
    return json.dumps(value, ensure_ascii=False)
