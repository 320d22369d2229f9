"""Frames: records in a file, each told whole from torn. Used by the journal and by the store of reports.

A frame is two bytes of mark, the payload's length and a CRC-32C over length and payload (both four bytes, little
endian), and the payload: canonical JSON. CRC-32C (Castagnoli; RFC 3720, appendix B.4) finds every burst of up to 32
bits, which is how a torn sector and a flipped bit look like.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.core.strict import parse_json

MOST_BYTES = 64 * 1024
"""Of one record's JSON."""
_MARK = b"\xedJ"
_HEAD = struct.Struct("<2sII")


def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return tuple(found)


_TABLE = _table()


def crc32c(data: bytes, value: int = 0) -> int:
    """CRC-32C of ``data``, going on from ``value``."""
    value ^= 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def frame(value: Mapping[str, Any]) -> bytes:
    """One record as it lies in the file. Raises InputError for one that is too large."""
    payload = canonical_json(value)
    if len(payload) > MOST_BYTES:
        raise InputError(f"a record of {len(payload):,} bytes is larger than the {MOST_BYTES:,} allowed; tell less")
    size = struct.pack("<I", len(payload))
    return _HEAD.pack(_MARK, len(payload), crc32c(size + payload)) + payload


@dataclass(frozen=True)
class Found:
    """One whole record and where it ends."""

    value: dict[str, Any]
    end: int


@dataclass(frozen=True)
class Scan:
    """What a file holds. ``end``: of the last whole record; ``torn``: bytes behind it that are no record, zeros that a
    file system may leave there not counted; ``gaps``: (begin, end) of what lies unreadable between whole records."""

    records: tuple[Found, ...]
    end: int
    torn: int
    gaps: tuple[tuple[int, int], ...]


def scan(data: bytes) -> Scan:
    """All whole records in ``data``. A record that does not hold is torn when no whole one follows it, else a gap."""
    records, gaps, place = list[Found](), list[tuple[int, int]](), 0
    while place < len(data):
        found = _read(data, place)
        if found is None:
            after = _next(data, place + 1)
            if after is None:
                break
            gaps.append((place, after))
            place = after
            continue
        records.append(found)
        place = found.end
    end = records[-1].end if records else 0
    return Scan(tuple(records), end, len(data[end:].rstrip(b"\0")), tuple(gaps))


def _read(data: bytes, place: int) -> Found | None:
    if len(data) - place < _HEAD.size:
        return None
    mark, size, check = _HEAD.unpack_from(data, place)
    begin = place + _HEAD.size
    if mark != _MARK or size > MOST_BYTES or begin + size > len(data):
        return None
    payload = data[begin : begin + size]
    if crc32c(struct.pack("<I", size) + payload) != check:
        return None
    try:
        value = parse_json(payload, MOST_BYTES)
    except ValueError:
        return None
    return Found(value, begin + size) if isinstance(value, dict) else None


def _next(data: bytes, place: int) -> int | None:
    """Where the next whole record begins."""
    while (place := data.find(_MARK, place)) >= 0:
        if _read(data, place) is not None:
            return place
        place += 1
    return None
