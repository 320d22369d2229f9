"""Tensors in gRPC messages: requests to arrays, arrays to replies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from edgewright.runtime.failsafe import Safe
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.rpc.bulk import apart, varint
from edgewright.runtime.lanes.rpc.schema import MESSAGES
from edgewright.runtime.oip.classes import classified
from edgewright.runtime.oip.regions import PARAMETERS, Place, Regions, check_places, place
from edgewright.runtime.oip.types import (
    DATATYPES,
    MOST_STRINGS,
    NUMPY,
    datatype,
    narrow,
    read_bytes,
    widen,
    write_bytes,
)
from edgewright.runtime.served import Served

Arrays = Mapping[str, NDArray[Any]]
_Request = MESSAGES["ModelInferRequest"]
_MOST_TENSORS = 1024
_MOST_AXES = 32
_BULK = 2**20
"""Bytes of a message from which on it is looked at before it is parsed."""
_SMALL = 2**16
"""Bytes of a message that holds no tensors."""
_PIECE = 8192
"""Typed elements that are converted at a time: a millisecond's work, with the interpreter held."""
_MOST_ELEMENTS = 2**31
_LISTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""Where typed elements lie; FP16 and BF16 have no list and travel raw only."""
_CLASSES = "classification"
_FIRST = 8
"""Fields that are looked at for names: a message may begin with millions."""


@dataclass(frozen=True)
class Asked:
    """An inference request, understood. ``outputs`` empty means all; ``timeout_s``: None without a deadline;
    ``classes``: how many best classes of an output are asked for instead of its tensor; ``places``: where in shared
    memory an output is to be laid, and not sent."""

    model: str
    version: str
    id: str
    inputs: Arrays
    outputs: tuple[str, ...] = ()
    priority: int = 0
    timeout_s: float | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    key: str | int | None = None
    """Equal keys are answered by the same version, where versions share the requests."""
    places: Mapping[str, Place] = field(default_factory=dict)


def parse(kind: Any, raw: bytes) -> Any:
    """The message of that class in ``raw``. Raises BadRequest."""
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise BadRequest(
            f"these {len(raw)} bytes are no {kind.DESCRIPTOR.name}: cut short, or of another kind"
        ) from error


def parse_small(kind: Any, raw: bytes) -> Any:
    """As ``parse``, of a message that holds no tensors. Raises BadRequest."""
    if len(raw) > _SMALL:
        raise BadRequest(f"a {kind.DESCRIPTOR.name} may have {_SMALL:,} bytes, this one has {len(raw):,}")
    return parse(kind, raw)


def texts(raw: bytes, fields: tuple[int, int]) -> tuple[str, str]:
    """Two texts at the front of a message, where every serialiser puts fields of low numbers, without parsing the rest;
    "" for one that is not there."""
    found, place = dict.fromkeys(fields, ""), 0
    with suppress(BadRequest):
        for _ in range(_FIRST):
            tag, place = varint(raw, place)
            if tag & 7 != 2 or tag >> 3 > max(fields):
                break
            size, place = varint(raw, place)
            if tag >> 3 in found:
                found[tag >> 3] = raw[place : place + size].decode("utf-8", "replace")
            place += size
    return found[fields[0]], found[fields[1]]


def read(raw: bytes, regions: Regions | None = None) -> Asked:
    """The request in ``raw``; ``regions``: the shared memory it may name. Raises BadRequest, NotFound."""
    if len(raw) > _BULK:
        head, pieces = apart(raw)
        told = parse(_Request, head)
    else:
        told = parse(_Request, raw)
        pieces = told.raw_input_contents
    tensors = told.inputs
    if len(tensors) > _MOST_TENSORS or len(told.outputs) > _MOST_TENSORS:
        raise BadRequest(f"a request may name {_MOST_TENSORS:,} tensors")
    shared = [_place(tensor, regions) for tensor in tensors]
    check_places(shared, regions)
    if pieces and len(pieces) != shared.count(None):
        raise BadRequest(
            f"raw_input_contents holds {len(pieces)} tensors, {shared.count(None)} inputs are announced to lie there"
        )
    inputs: dict[str, NDArray[Any]] = {}
    rest = iter(pieces)
    for tensor, found in zip(tensors, shared, strict=True):
        name = tensor.name
        if name in inputs:
            raise BadRequest(f"input {name!r} is given twice")
        inputs[name] = _array(tensor, name, found or next(rest, None))
    outputs = tuple(dict.fromkeys(one.name for one in told.outputs))  # asked for twice: answered once
    classes = {one.name: _whole(one.parameters, _CLASSES) for one in told.outputs if _CLASSES in one.parameters}
    places = {one.name: found for one in told.outputs if (found := _place(one, regions)) is not None}
    if not told.parameters:
        return Asked(told.model_name, told.model_version, told.id, inputs, outputs, classes=classes, places=places)
    timeout = _whole(told.parameters, "timeout")
    return Asked(
        told.model_name, told.model_version, told.id, inputs, outputs, _whole(told.parameters, "priority"),
        timeout / 1e6 if timeout else None, classes, _value(told.parameters, "key"), places,
    )  # fmt: skip


def _value(parameters: Any, key: str) -> Any:
    """What the parameter says; None when it is not there. (Looking a key up in a protobuf map would create it.)"""
    told = parameters[key].WhichOneof("parameter_choice") if key in parameters else None
    return None if told is None else getattr(parameters[key], told)


def _place(told: Any, regions: Regions | None) -> Place | None:
    """Where in shared memory an input lies, or an output is to."""
    return place({key: _value(told.parameters, key) for key in PARAMETERS}, regions) if told.parameters else None


def _array(tensor: Any, name: str, raw: bytes | memoryview | Place | None) -> NDArray[Any]:
    kind, shape = tensor.datatype, tuple(tensor.shape)
    if kind not in NUMPY and kind not in ("BYTES", "BF16"):
        raise BadRequest(f"input {name!r} has no datatype of the protocol: {kind[:20]!r}")
    if len(shape) > _MOST_AXES or any(size < 0 for size in shape):
        raise BadRequest(f"input {name!r} has a negative size, or more than {_MOST_AXES} axes")
    count = math.prod(shape)
    if count > _MOST_ELEMENTS or any(size > _MOST_ELEMENTS for size in shape):
        raise BadRequest(f"input {name!r} has more than {_MOST_ELEMENTS:,} elements")
    if kind == "BYTES" and count > MOST_STRINGS:
        raise BadRequest(f"input {name!r} has more than {MOST_STRINGS:,} elements of BYTES; send several requests")
    if raw is None:
        return _typed(tensor.contents, name, kind, count).reshape(shape)
    if tensor.HasField("contents") and tensor.contents.ByteSize():
        raise BadRequest(f"input {name!r} has contents and lies elsewhere, too; send one or the other")
    each = 0 if kind == "BYTES" else 2 if kind == "BF16" else NUMPY[kind].itemsize
    size = raw.size if isinstance(raw, Place) else len(raw)
    if size != each * count if each else size < 4 * count:
        takes = f"{each * count} bytes" if each else f"{4 * count} bytes at least"
        raise BadRequest(f"input {name!r} of shape {list(shape)} and {kind} takes {takes}, {size} were sent")
    if isinstance(raw, Place):
        raw = raw.read()
    if kind == "BYTES":
        return read_bytes(raw, count).reshape(shape)
    if kind == "BF16":
        return widen(raw).reshape(shape)
    array = np.frombuffer(raw, NUMPY[kind]).reshape(shape)
    return array if array.flags.aligned else array.copy()


def _typed(contents: Any, name: str, kind: str, count: int) -> NDArray[Any]:
    filled = contents.ListFields()
    if len(filled) > 1:
        raise BadRequest(f"input {name!r} fills {len(filled)} lists of contents; fill the one of its datatype")
    place = _LISTS.get(kind)
    if place is None:
        raise BadRequest(f"input {name!r} is {kind}, which has no typed contents; use raw_input_contents")
    if filled and filled[0][0].name != place:
        raise BadRequest(f"input {name!r} is {kind}, whose elements belong in {place}, not {filled[0][0].name}")
    values = getattr(contents, place)
    if len(values) != count:
        raise BadRequest(f"input {name!r} has {len(values)} elements, its shape takes {count}")
    if kind == "BYTES":
        found = np.empty(count, object)
        found[:] = list(values)
        return found
    dtype = NUMPY[kind]
    array: NDArray[Any] = np.empty(count, {"int_contents": "<i4", "uint_contents": "<u4"}.get(place, dtype))
    for start in range(0, count, _PIECE):
        array[start : start + _PIECE] = values[start : start + _PIECE]
    if array.dtype.itemsize > dtype.itemsize:
        bounds = np.iinfo(dtype)
        if count and (array.min() < bounds.min or array.max() > bounds.max):
            raise BadRequest(f"input {name!r} holds a number that {kind} cannot")
        array = array.astype(dtype)
    return array


def _whole(parameters: Any, key: str) -> int:
    """The parameter, 0 when it is not there."""
    if key not in parameters:
        return 0
    told = parameters[key]
    which = told.WhichOneof("parameter_choice")
    value: int = getattr(told, which) if which in ("int64_param", "uint64_param") else -1
    if value < 0:
        raise BadRequest(f"the parameter {key!r} is no whole number in int64_param or uint64_param")
    return value


def fill(made: Any, served: Served, asked: Asked, outputs: Arrays) -> list[Buffer]:
    """Write a ModelInferResponse, tensors raw; of one that lies in shared memory the raw part is empty, as Triton's.
    Large ones are not written into it: those that are returned are to be ``joined`` to it.

    Raises BadRequest for an output that the model does not have, or that its place cannot hold, and NotFound.
    """
    made.model_name, made.model_version, made.id = served.source.name, served.source.version, asked.id
    if isinstance(outputs, Safe):
        made.parameters["fail_safe"].bool_param = True
    kinds, raws = {spec.name: spec.dtype for spec in served.session.signature.outputs}, list[Buffer]()
    for name in asked.outputs or outputs:
        if name not in outputs:
            raise BadRequest(f"the model has no output {name!r}; it has: {', '.join(outputs)}")
        array = outputs[name]
        kind = datatype(kinds[name]) if name in kinds else DATATYPES[array.dtype.name]  # else a pipeline added it
        if asked.classes.get(name):
            array, kind = classified(array, asked.classes[name], served.source.labels, name), "BYTES"
        told, raw = made.outputs.add(name=name, datatype=kind, shape=array.shape), _raw(array, kind)
        if name in asked.places:
            for key, value in asked.places[name].write(raw).items():
                setattr(told.parameters[key], "string_param" if isinstance(value, str) else "int64_param", value)
            raw = b""
        raws.append(raw)
    if sum(map(len, raws)) > _BULK:
        return raws
    made.raw_output_contents.extend(map(bytes, raws))
    return []


def _raw(array: NDArray[Any], kind: str) -> Buffer:
    if kind == "BYTES":
        return write_bytes(array)
    if kind == "BF16":
        return narrow(array)
    return array.tobytes() if array.nbytes <= _BULK else np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
