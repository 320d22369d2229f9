"""Replies to inference requests, in JSON with or without binary tensors behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from edgewright.runtime.aside import Steps, drained
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.oip.classes import classified
from edgewright.runtime.oip.messages import Wanted
from edgewright.runtime.oip.types import narrow, writing_bytes
from edgewright.runtime.oip.values import to_json

_MOST_REPLY = 256 * 2**20
_BULKY, _BULKY_JSON, _BULKY_BYTES = 2**20, 16_384, 2048


def reply(*told: Any) -> tuple[bytes, list[Buffer]]:
    """A reply's JSON and the binary tensors behind it: as ``replying``, at once."""
    head, tensors = drained(replying(*told))
    return b"".join(head), tensors


def replying(
    model: str, version: str, identity: str, outputs: Mapping[str, NDArray[Any]], kinds: Mapping[str, str],
    wanted: Sequence[Wanted], labels: Sequence[str] = (), safe: bool = False, most: int = _MOST_REPLY,
) -> Steps[tuple[list[bytes], list[Buffer]]]:  # fmt: skip
    """A reply's JSON and the binary tensors behind it, in pieces. ``kinds``: datatypes by output name; ``labels``: of
    classes; ``safe``: the outputs were declared for a missed deadline, not computed; ``most``: bytes of an output in
    JSON. Raises BadRequest."""
    told, tensors = list[bytes](), list[Buffer]()
    for one in wanted:
        array, kind = outputs[one.name], kinds[one.name]
        if one.classes:
            array, kind = classified(array, one.classes, labels, one.name), "BYTES"
        entry: dict[str, Any] = {"name": one.name, "datatype": kind, "shape": list(array.shape)}
        told.append(b"," if told else b"")
        if one.place is None and not one.binary:
            data = yield from to_json(one.name, array, kind, most)
            told += [orjson.dumps(entry)[:-1], b',"data":', *data, b"}"]
            continue
        raw = yield from _binary(array, kind)
        if one.place is not None:
            entry["parameters"] = one.place.write(raw[0] if len(raw) == 1 else b"".join(raw))
        else:
            entry["parameters"] = {"binary_data_size": sum(map(len, raw))}
            tensors += raw
        told.append(orjson.dumps(entry))
    rest: dict[str, Any] = {"parameters": {"fail_safe": True}} if safe else {}
    if identity:
        rest["id"] = identity
    begin = orjson.dumps({"model_name": model, "model_version": version})[:-1]
    end = b"," + orjson.dumps(rest)[1:] if rest else b"}"
    return [begin, b',"outputs":[', *told, b"]", end], tensors


def bulky(array: NDArray[Any], kind: str, one: Wanted) -> bool:
    """Whether writing that output takes more than a millisecond."""
    if one.classes or (kind != "BYTES" and not one.binary and one.place is None):
        return array.size > _BULKY_JSON
    if kind == "BYTES":
        return array.size > _BULKY_BYTES or sum([len(value) for value in array.ravel().tolist()]) > _BULKY
    return array.nbytes > _BULKY


def _binary(array: NDArray[Any], kind: str) -> Steps[list[Buffer]]:
    if kind == "BYTES":
        return [*(yield from writing_bytes(array))]
    if kind == "BF16":
        return [narrow(array)]
    if array.nbytes <= _BULKY:
        return [array.tobytes()]
    return [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data]  # not copied
