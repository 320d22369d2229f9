"""Answers to inference requests, as a client reads them: whatever a server sends is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.strict import parse_json
from edgewright.runtime.oip.types import NUMPY, read_bytes, widen

_MOST_JSON = 256 * 2**20


@dataclass(frozen=True)
class Answered:
    """Outputs by name, the version that answered, and the protocol's datatypes by name. ``safe``: they were declared
    for a missed deadline, not computed."""

    outputs: Mapping[str, NDArray[Any]]
    version: str = ""
    datatypes: Mapping[str, str] = field(default_factory=dict)
    safe: bool = False


def is_spec(entry: Any) -> bool:
    """Whether this is an object with a name, a datatype and a shape."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("datatype"), str)
        and isinstance(entry.get("shape", []), list)
    )


def read_answer(raw: bytes, length: int) -> Answered:
    """The answer in ``raw``, of which the first ``length`` bytes are JSON.

    Raises ValueError, TypeError, KeyError or BadRequest for what is none.
    """
    told = parse_json(raw[:length], _MOST_JSON)
    if not isinstance(told, dict) or not isinstance(told.get("outputs"), list):
        raise ValueError("it has no outputs")
    outputs: dict[str, NDArray[Any]] = {}
    datatypes: dict[str, str] = {}
    place = length
    for entry in told["outputs"]:
        if not is_spec(entry) or not all(type(n) is int and n >= 0 for n in entry["shape"]):
            raise ValueError("an output lacks its name, datatype or shape")
        name, kind, shape = entry["name"], entry["datatype"], tuple(entry["shape"])
        size = (entry.get("parameters") or {}).get("binary_data_size")
        if size is not None:
            if type(size) is not int or not 0 <= size <= len(raw) - place:
                raise ValueError(f"output {name!r} announces {size} bytes, {len(raw) - place} are left")
            flat = _read(memoryview(raw)[place : place + size], kind, math.prod(shape))
            place += size
        else:
            flat = np.asarray(_flat(entry["data"]), _dtype(kind))
        outputs[name], datatypes[name] = flat.reshape(shape), kind
    more = told.get("parameters")
    safe = isinstance(more, dict) and more.get("fail_safe") is True
    return Answered(outputs, str(told.get("model_version", "")), datatypes, safe)


def _read(part: memoryview, kind: str, count: int) -> NDArray[Any]:
    if kind == "BYTES":
        if count > len(part):
            raise ValueError("BYTES are fewer than announced")
        return read_bytes(part, count)
    return widen(part) if kind == "BF16" else np.frombuffer(part, _dtype(kind))


def _dtype(kind: str) -> Any:
    if kind in ("BYTES", "BF16"):
        return object if kind == "BYTES" else np.float32
    if kind not in NUMPY:
        raise ValueError(f"{kind[:20]!r} is no datatype")
    return NUMPY[kind]


def _flat(data: Any) -> list[Any]:
    while isinstance(data, list) and data and isinstance(data[0], list):
        data = [value for row in data for value in row]
    if not isinstance(data, list):
        raise ValueError("'data' is no list")
    return data
