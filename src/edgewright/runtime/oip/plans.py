"""Plans that are remembered: by the very bytes of a request's JSON, or by all of it but its numbers."""

from __future__ import annotations

from edgewright.runtime.oip.messages import LONG, Plan, plan
from edgewright.runtime.oip.regions import Regions

_MEMO = 256
_MEMO_BYTES = 4096
FLAT = 2**20
"""Bytes of JSON up to which a flat list of numbers is looked for."""
_FEW = 100_000
"""Numbers that are read at once: 3 ms. (Of other values so many bytes would take 80 ms.)"""
_KEY = b'"data"'
_SPACE = b" \t\r\n"
_OTHERS = (b'"', b"[", b"{", b"t", b"f", b"n")
"""What begins a value that is no number."""


def find_plan(raw: bytes, regions: Regions | None, known: dict[bytes, Plan], inline: bool) -> tuple[Plan, bytes] | None:
    """What the JSON ``raw`` says, and the numbers in it that the plan is without (none of them if empty); None where
    that takes long to read.

    ``known``: what is remembered, the oldest forgotten first. ``inline``: whether tensors are to be expected in the
    JSON. Raises BadRequest.
    """
    apart = take_numbers(raw) if inline else None
    if apart is not None:
        skeleton, numbers = apart
        if len(raw) > LONG and (len(skeleton) > LONG or numbers.count(b",") >= _FEW):
            return None
        found = known.get(skeleton) or plan(skeleton, regions)
        if found.inline:
            _keep(known, skeleton, found)
            return found, numbers
    if len(raw) > LONG:
        return None
    found = (known.get(raw) if len(raw) <= _MEMO_BYTES else None) or plan(raw, regions)
    if not found.inline:  # else the next has other numbers
        _keep(known, raw, found)
    return found, b""


def take_numbers(raw: bytes) -> tuple[bytes, bytes] | None:
    """JSON without the one flat list of numbers that is its ``data``, and that list; None where it is of another kind.

    Both are to be read by a parser: if both are JSON, ``raw`` is, and means the one with the other in its place.
    """
    key = raw.find(_KEY)
    begin = raw.find(b"[", key + len(_KEY))
    end = raw.find(b"]", begin) + 1
    if key < 0 or begin < 0 or not end or raw[key + len(_KEY) : begin].strip(_SPACE) != b":":
        return None
    if raw.find(_KEY, end) >= 0 or any(raw.find(sign, begin + 1, end) >= 0 for sign in _OTHERS):
        return None
    return raw[: begin + 1] + raw[end - 1 :], raw[begin:end]


def _keep(known: dict[bytes, Plan], raw: bytes, found: Plan) -> None:
    if len(raw) <= _MEMO_BYTES and raw not in known:
        known[raw] = found
        if len(known) > _MEMO:
            del known[next(iter(known))]
