"""Passes: one rewriting a file; the table below is the whole registration."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from edgewright.compression.contract import Pass
from edgewright.core.errors import InputError
from edgewright.core.table import Table

PASSES = Table(
    "pass",
    "passes",
    {
        "simplify": "edgewright.compression.passes.simplify:Simplify",
        "fuse": "edgewright.compression.passes.fuse:Fuse",
        "int8_static": "edgewright.compression.passes.int8_static:Int8Static",
        "int8_dynamic": "edgewright.compression.passes.int8_dynamic:Int8Dynamic",
        "int4_weights": "edgewright.compression.passes.int4_weights:Int4Weights",
        "fp16": "edgewright.compression.passes.fp16:Fp16",
        "mixed_precision": "edgewright.compression.passes.mixed_precision:MixedPrecision",
        "qdq_repair": "edgewright.compression.passes.qdq_repair:QdqRepair",
        "prune_channels": "edgewright.compression.passes.prune_channels:PruneChannels",
        "strip": "edgewright.compression.passes.strip:Strip",
        "low_rank": "edgewright.compression.passes.low_rank:LowRank",
    },
)

_SCALARS: dict[Any, tuple[str, Any]] = {
    bool: ("true or false", lambda v: isinstance(v, bool)),
    int: ("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    float: ("a finite number", lambda v: isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)),
    str: ("a string", lambda v: isinstance(v, str)),
    type(None): ("null", lambda v: v is None),
}


def make_pass(step: Mapping[str, Any]) -> Pass:
    """The pass that ``{"pass": name, **options}`` names, its options checked against the dataclass's fields.

    Raises InputError for an unknown pass, an unknown or missing option, and a value of the wrong type.
    """
    if not isinstance(step, Mapping) or not isinstance(step.get("pass"), str):
        raise InputError('a step is an object like {"pass": "fuse"}; name the pass under the key "pass"')
    name = step["pass"]
    kind = PASSES[name]
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    options: dict[str, Any] = {}
    for key, value in step.items():
        if key == "pass":
            continue
        if key not in fields:
            there = ", ".join(sorted(fields)) or "none"
            raise InputError(f"pass {name!r} has no option {key!r}; its options: {there}")
        options[key] = _checked(value, hints[key], f"option {key!r} of pass {name!r}")
    for key, f in fields.items():
        if key not in options and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise InputError(f"pass {name!r} needs the option {key!r}")
    made: Pass = kind(**options)
    return made


def step_of(a_pass: Pass) -> dict[str, Any]:
    """The step that ``make_pass`` turns back into an equal pass. JSON values."""
    return {"pass": a_pass.name, **{key: _plain(value) for key, value in a_pass.options().items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_plain(inner) for inner in (sorted(value) if isinstance(value, frozenset) else value)]
    return value


def _checked(value: Any, hint: Any, what: str) -> Any:
    """``value`` as ``hint`` wants it (a JSON list becomes a tuple); InputError otherwise."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if hint in _SCALARS:
        wanted, fits = _SCALARS[hint]
        if not fits(value):
            raise InputError(f"{what} must be {wanted}, got {value!r}")
        return float(value) if hint is float else value
    if origin is Literal:
        if not any(value == a and type(value) is type(a) for a in arguments):
            raise InputError(f"{what} must be one of {', '.join(map(str, arguments))}, got {value!r}")
        return value
    if origin in (Union, types.UnionType):
        for one in arguments:
            try:
                return _checked(value, one, what)
            except InputError:
                continue
        raise InputError(f"{what} does not take {value!r}")
    if origin in (tuple, list, frozenset):
        return _checked_items(value, origin, arguments, what)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise InputError(f"{what} must be an object, got {value!r}")
        return {_checked(k, arguments[0], what): _checked(v, arguments[1], what) for k, v in value.items()}
    raise InputError(f"{what} cannot be given in a recipe")


def _checked_items(value: Any, origin: Any, arguments: tuple[Any, ...], what: str) -> Any:
    if not isinstance(value, list | tuple | frozenset):
        raise InputError(f"{what} must be a list, got {value!r}")
    if origin is tuple and Ellipsis not in arguments:
        if len(value) != len(arguments):
            raise InputError(f"{what} must have {len(arguments)} entries, got {len(value)}")
        return tuple(_checked(one, a, what) for one, a in zip(value, arguments, strict=True))
    return origin(_checked(one, arguments[0], what) for one in value)
