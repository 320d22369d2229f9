"""Apart: an ONNX file's weights in a file of their own, beside its graph.

By protobuf's wire format alone: the device install has nothing else that reads ONNX, and ONNX Runtime, which can do it
by opening the model and writing it again, takes ten times as long and three times the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

_GRAPH, _INITIALIZER = 7, 5
_RAW, _EXTERNAL, _LOCATION = 9, 13, 14
"""Fields of ModelProto, GraphProto and TensorProto (onnx.proto)."""
_SMALL = 1024
_ALIGNED = 64
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def take_apart(model: memoryview, weights: BinaryIO, name: str) -> bytes:
    """``model`` without its initializers' raw data of 1 kB and more, which are written to ``weights``, a file that will
    lie beside it as ``name``. Raises ValueError for what is no protobuf."""
    tensor = partial(_tensor, weights=weights, name=name)
    return _rewritten(model, _GRAPH, lambda graph: _rewritten(graph, _INITIALIZER, tensor))


def _rewritten(message: memoryview, number: int, change: Callable[[memoryview], bytes | memoryview]) -> bytes:
    """The message with the fields of that number changed, all others as they are."""
    parts: list[bytes | memoryview] = []
    for found, whole, payload in _fields(message):
        if found != number or payload is None:
            parts.append(whole)
            continue
        made = change(payload)
        parts += [whole] if made is payload else [_head(number, len(made)), made]
    return b"".join(parts)


def _tensor(tensor: memoryview, weights: BinaryIO, name: str) -> bytes | memoryview:
    fields = list(_fields(tensor))
    raw = [payload for number, _, payload in fields if number == _RAW]
    far = any(number in (_EXTERNAL, _LOCATION) for number, _, _ in fields)
    if far or len(raw) != 1 or raw[0] is None or len(raw[0]) < _SMALL:
        return tensor
    weights.write(bytes(-weights.tell() % _ALIGNED))
    told = {"location": name, "offset": str(weights.tell()), "length": str(len(raw[0]))}
    weights.write(raw[0])
    parts = [whole for number, whole, _ in fields if number != _RAW]
    for key, value in told.items():
        entry = b"".join(_head(place, len(text)) + text.encode() for place, text in ((1, key), (2, value)))
        parts.append(memoryview(_head(_EXTERNAL, len(entry)) + entry))
    return b"".join([*parts, _varint(_LOCATION << 3), b"\x01"])  # DataLocation.EXTERNAL


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview | None]]:
    """Each field's number, all of its bytes, and what it holds where that has a length."""
    place, end = 0, len(message)
    while place < end:
        begin = place
        tag, place = _read(message, place)
        payload, wire = None, tag & 7
        if wire == _VARINT:
            _, place = _read(message, place)
        elif wire == _BYTES:
            size, place = _read(message, place)
            payload = message[place : place + size]
            place += size
        elif wire in (_EIGHT, _FOUR):
            place += 8 if wire == _EIGHT else 4
        else:
            raise ValueError(f"no protobuf: wire type {wire}")
        if tag < 8:
            raise ValueError("no protobuf: a field without a number")
        if place > end:
            raise ValueError("no protobuf: it ends within a field")
        yield tag >> 3, message[begin:place], payload


def _read(message: memoryview, place: int) -> tuple[int, int]:
    """A number in base 128, and where it ends."""
    value = shift = 0
    for byte in message[place : place + 10]:
        value |= (byte & 0x7F) << shift
        shift += 7
        place += 1
        if byte < 0x80:
            return value, place
    raise ValueError("no protobuf: a number does not end")


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _head(number: int, size: int) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(size)
