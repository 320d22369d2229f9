"""Where in an ONNX file its tensors lie: protobuf's wire format walked over, nothing decoded that is not needed.

The library reads messages but does not tell where it found them. Field numbers: onnx.proto; wire format:
protobuf.dev, "Encoding". Works without the onnx library, on bytes or a memory map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

Buffer = bytes | memoryview | mmap

_MOST_FIELDS, _DEEPEST = 4_000_000, 24
# Message and field number -> message within.
_INNER = {
    ("Model", 7): "Graph", ("Model", 25): "Function", ("Graph", 1): "Node", ("Graph", 5): "Tensor",
    ("Graph", 15): "Sparse", ("Function", 7): "Node", ("Node", 5): "Attribute", ("Attribute", 5): "Tensor",
    ("Attribute", 6): "Graph", ("Attribute", 10): "Tensor", ("Attribute", 11): "Graph", ("Attribute", 22): "Sparse",
    ("Sparse", 1): "Tensor", ("Sparse", 2): "Tensor",
}  # fmt: skip
_WIDTHS = {1: 4, 4: 2, 5: 2, 6: 4, 7: 8, 10: 2, 11: 8, 12: 4, 13: 8, 14: 4, 15: 8, 16: 2}
"""Bytes of a number by TensorProto.DataType; 1 for the others (8 bits, packed 4 bits, strings)."""
_FLOATS, _RAW, _DOUBLES = 4, 9, 10


@dataclass(frozen=True)
class Stored:
    """A tensor's bytes: ``length`` of them from ``start``, in the file itself or in the one at ``location`` beside it.

    ``kind`` names its type and shape. ``width``: bytes per number."""

    name: str
    kind: str
    width: int
    start: int
    length: int
    location: str = ""


def stored_tensors(data: Buffer) -> Iterator[Stored]:
    """Every tensor with numbers of a fixed width, in the file's order. ValueError for what is no protobuf message."""
    left = [_MOST_FIELDS]
    yield from _walk(data, "Model", 0, len(data), left, 0)


def _walk(data: Buffer, message: str, at: int, end: int, left: list[int], depth: int) -> Iterator[Stored]:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if message == "Tensor":
        yield from _tensor(data, at, end, left)
        return
    for number, kind, value, start in _fields(data, at, end, left):
        inner = _INNER.get((message, number))
        if inner and kind == 2:
            yield from _walk(data, inner, start, start + value, left, depth + 1)


def _tensor(data: Buffer, at: int, end: int, left: list[int]) -> Iterator[Stored]:
    dims: list[int] = []
    name, data_type, place, outside = "", 0, None, {}
    for number, kind, value, start in _fields(data, at, end, left):
        if number == 1 and kind == 0:
            dims.append(value)
        elif number == 1 and kind == 2:  # packed
            place_in = start
            while place_in < start + value:
                size, place_in = _varint(data, place_in, start + value)
                dims.append(size)
        elif number == 2 and kind == 0:
            data_type = value
        elif number == 8 and kind == 2:
            name = _text(data, start, value)
        elif number in (_FLOATS, _RAW, _DOUBLES) and kind == 2:
            place = (start, value)
        elif number == 13 and kind == 2:
            entry = {n: _text(data, s, v) for n, k, v, s in _fields(data, start, start + value, left) if k == 2}
            outside[entry.get(1, "")] = entry.get(2, "")
    what, width = f"{data_type}:{','.join(map(str, dims))}", _WIDTHS.get(data_type, 1)
    if outside.get("location"):
        offset, length = outside.get("offset", "0"), outside.get("length", "")
        if offset.isdecimal() and length.isdecimal():
            yield Stored(name, what, width, int(offset), int(length), outside["location"])
    elif place is not None:
        yield Stored(name, what, width, *place)


def _fields(data: Buffer, at: int, end: int, left: list[int]) -> Iterator[tuple[int, int, int, int]]:
    """(field number, wire type, the number or the length, where the content begins) of one message's fields."""
    while at < end:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("more fields than a model has")
        tag, at = _varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        value = 0
        start = at
        if kind == 0:
            value, at = _varint(data, at, end)
        elif kind == 2:
            value, start = _varint(data, at, end)
            at = start + value
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("not a protobuf message")
        if at > end:
            raise ValueError("a protobuf message that is cut off")
        yield number, kind, value, start


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = int(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a protobuf message that is cut off")


def _text(data: Buffer, start: int, length: int) -> str:
    return bytes(data[start : start + min(length, 4096)]).decode("utf-8", "replace")
