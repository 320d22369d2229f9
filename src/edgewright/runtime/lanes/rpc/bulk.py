"""Bulk: what a large message holds, looked at before protobuf parses it, which holds the interpreter for as long.

A message object costs up to 80 bytes, and two bytes make one: measured with upb, up to 43 times the message's size in
empty inputs, and 565 ms for 13 MiB of parameters. Raw tensors need no parsing at all: they are where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.outbox import Buffer

_MOST_FIELDS = 2**16 + 2**12
_MOST_BESIDE, _MOST_FLOATS = 4 * 2**20, 16 * 2**20
_RAW, _INPUTS, _CONTENTS, _FLOATS = 7, 5, 5, (6, 7)
"""Numbers of ModelInferRequest's raw_input_contents and inputs, of an input's contents, and of the lists of floats in
there, whose packed elements are parsed by copying them."""
_PARTS: Mapping[int, Any] = {_INPUTS: {_CONTENTS: dict.fromkeys(_FLOATS)}}
_PACKED = 2
_RAW_OUT, _RESPONSE = 6, 2
"""Numbers of ModelInferResponse's raw_output_contents, and of that message in a stream's."""


def apart(raw: bytes) -> tuple[bytes, list[memoryview]]:
    """A ModelInferRequest without its raw tensors, and these. Raises BadRequest for more than is worth parsing."""
    kept, tensors, left = [], [], 0
    count = _Count()
    for number, wire, begin, start, end in _fields(raw, 0, len(raw)):
        if number != _RAW or wire != _PACKED:
            count.add(raw, (number, wire, begin, start, end), _PARTS)
            continue
        count.fields += 1
        count.check()
        kept.append(raw[left:begin])
        tensors.append(memoryview(raw)[start:end])
        left = end
    return b"".join((*kept, raw[left:])), tensors


def joined(head: bytes, tensors: Sequence[Buffer], streamed: bool) -> bytes:
    """A ModelInferResponse, or the ModelStreamInferResponse that holds one, with these as its raw tensors: they are
    copied once, where protobuf would do so three times. (Of a message that comes twice in another, what lies in the
    second is added to the first.)"""
    if not tensors:
        return head
    parts: list[Buffer] = []
    for tensor in tensors:
        parts += [_begun(_RAW_OUT, len(tensor)), tensor]
    within = [_begun(_RESPONSE, sum(map(len, parts)))] if streamed else []
    return b"".join((head, *within, *parts))


def _begun(number: int, size: int) -> bytes:
    made = bytearray([number << 3 | _PACKED])
    while size > 127:
        made.append(size & 127 | 128)
        size >>= 7
    made.append(size)
    return bytes(made)


class _Count:
    def __init__(self) -> None:
        self.fields = self.beside = self.floats = 0

    def add(self, raw: bytes, field: tuple[int, int, int, int, int], parts: Mapping[int, Any]) -> None:
        """Count a field, and what lies in it."""
        number, wire, begin, start, end = field
        self.fields += 1
        if number in parts and wire == _PACKED and parts[number] is None:
            self.floats += end - begin
        elif number in parts and wire == _PACKED:
            self.beside += start - begin
            for inner in _fields(raw, start, end):
                self.add(raw, inner, parts[number])
        else:
            self.beside += end - begin
        self.check()

    def check(self) -> None:
        """Raise BadRequest when it is too much."""
        if self.fields > _MOST_FIELDS or self.beside > _MOST_BESIDE or self.floats > _MOST_FLOATS:
            raise BadRequest(
                f"a request may have {_MOST_FIELDS:,} fields, {_MOST_FLOATS:,} bytes in fp32_contents and "
                f"fp64_contents, and {_MOST_BESIDE:,} elsewhere outside raw_input_contents; send large tensors there"
            )


def _fields(raw: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Fields in a part of a message: number, wire type, where it begins, where its value does, and where it ends."""
    while place < end:
        begin = place
        tag, place = varint(raw, place)
        wire, start = tag & 7, place
        if wire == _PACKED:
            size, start = varint(raw, place)
            place = start + size
        elif wire == 0:
            _, place = varint(raw, place)
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        else:
            raise BadRequest("the message holds a group, which the protocol has none of")
        if place > end:
            raise BadRequest("the message is cut short, or a number in it is")
        yield tag >> 3, wire, begin, start, place


def varint(raw: bytes, place: int) -> tuple[int, int]:
    """The number at ``place`` and where it ends. Raises BadRequest."""
    value = shift = 0
    for byte in raw[place : place + 10]:
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise BadRequest("the message is cut short, or a number in it is")
