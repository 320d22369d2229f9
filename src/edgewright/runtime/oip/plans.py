"""Plans that are remembered: by the very bytes of a request's JSON, or by all of it but its numbers and its timeout."""

from __future__ import annotations

import re

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
_TIMEOUT = b'"timeout"'
_TIME = re.compile(rb'"timeout"[ \t\r\n]*:[ \t\r\n]*([1-9][0-9]{0,14})(?=[ \t\r\n]*[,}])')
_STANDS_IN = 1
"""For the timeout, in us: who keeps deadlines names another one with each request."""
_OTHERS = (b'"', b"[", b"{", b"t", b"f", b"n")
"""What begins a value that is no number."""


def find_plan(
    raw: bytes, regions: Regions | None, known: dict[bytes, Plan], inline: bool
) -> tuple[Plan, bytes, float | None] | None:
    """What the JSON ``raw`` says, the numbers in it that the plan is without (none of them if empty), and its timeout
    in s, which the plan may be without as well; None where that takes long to read.

    ``known``: what is remembered, the oldest forgotten first. ``inline``: whether tensors are to be expected in the
    JSON. Raises BadRequest.
    """
    apart = take_numbers(raw) if inline else None
    if apart is not None:
        skeleton, numbers = apart
        if len(raw) > LONG and (len(skeleton) > LONG or numbers.count(b",") >= _FEW):
            return None
        found, timeout_s = _timed(skeleton, regions, known, lists=True)
        if found.inline:
            return found, numbers, timeout_s
    if len(raw) > LONG:
        return None
    found, timeout_s = _timed(raw, regions, known, lists=False)
    return found, b"", timeout_s


def _timed(raw: bytes, regions: Regions | None, known: dict[bytes, Plan], lists: bool) -> tuple[Plan, float | None]:
    """The plan, and the timeout. ``lists``: whether one with tensors in the JSON is to be kept."""
    apart = _TIME.search(raw) if raw.count(_TIMEOUT) == 1 else None
    if apart is not None:
        start, end = apart.span(1)
        found = _planned(b"%s%d%s" % (raw[:start], _STANDS_IN, raw[end:]), regions, known, lists)
        if found.request.timeout_s == _STANDS_IN / 1e6:  # else it is some other timeout, or stands in a string
            return found, int(apart[1]) / 1e6
    found = _planned(raw, regions, known, lists)
    return found, found.request.timeout_s


def _planned(raw: bytes, regions: Regions | None, known: dict[bytes, Plan], lists: bool) -> Plan:
    found = (known.get(raw) if len(raw) <= _MEMO_BYTES else None) or plan(raw, regions)
    if found.inline is lists:  # else the next has other numbers
        _keep(known, raw, found)
    return found


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
