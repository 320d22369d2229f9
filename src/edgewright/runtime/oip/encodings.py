"""Bodies packed and unpacked: gzip and deflate, as RFC 9110 has them (section 8.4.1)."""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable

from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.http import Answer, Reply

_WINDOW = {"gzip": 31, "deflate": 15}
"""What zlib calls them: deflate is zlib's own frame."""
INFLATED = 256 * 2**20
_WORTHWHILE = 1024
_ASIDE = 65536
"""Bodies from here on are packed beside the loop: a millisecond's work would keep everybody else waiting."""


def inflate(body: bytes, encoding: str, most: int = INFLATED) -> bytes:
    """``body`` unpacked; ``encoding`` is gzip or deflate. Raises BadRequest, also beyond ``most`` bytes."""
    if encoding not in _WINDOW:
        raise BadRequest(f"Content-Encoding {encoding[:20]!r} is not known; use gzip or deflate")
    reader = zlib.decompressobj(_WINDOW[encoding])
    try:
        found = reader.decompress(body, most)
    except zlib.error as error:
        raise BadRequest(f"the body is no {encoding}: {error}") from error
    if reader.unconsumed_tail or not reader.eof:
        raise BadRequest(f"the body is cut short, or holds more than {most:,} bytes")
    if reader.unused_data:
        raise BadRequest(f"{len(reader.unused_data)} bytes follow the end of the {encoding}")
    return found


def chosen(accepted: str, near: bool = False) -> str:
    """The encoding that an Accept-Encoding header likes best, gzip before deflate; "" for none.

    ``near``: clients are on this machine, where packing takes longer than sending. Most HTTP libraries list all that
    they can read, unasked; only a client that names a single encoding wants it.
    """
    if near and "," in accepted:
        return ""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(",")[:32]:
        name, _, rest = part.partition(";")
        weight = re.fullmatch(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", rest)
        weights[name.strip()] = float(weight[1]) if weight else 0.0 if rest else 1.0
    best = max(_WINDOW, key=lambda name: weights.get(name, weights.get("*", 0.0)))
    return best if weights.get(best, weights.get("*", 0.0)) > 0 else ""


def packing(answer: Answer, encoding: str, later: Callable[[Callable[[], None]], None]) -> Answer:
    """``answer``, but with bodies packed where that is worth it; ``later`` leads back to the thread that answers."""

    def packed(reply: Reply) -> None:
        status, more, body = split(reply)
        if len(body) < _WORTHWHILE:
            answer(reply)
        elif len(body) < _ASIDE:
            answer((status, more + b"Content-Encoding: %s\r\n" % encoding.encode(), deflate(body, encoding)))
        else:
            threading.Thread(target=aside, args=(status, more, body), name="edgewright-pack", daemon=True).start()

    def aside(status: int, more: bytes, body: bytes) -> None:
        made = deflate(body, encoding)
        later(lambda: answer((status, more + b"Content-Encoding: %s\r\n" % encoding.encode(), made)))

    return packed


def deflate(body: bytes, encoding: str) -> bytes:
    """``body`` packed, quickly rather than well: numbers do not pack well anyway."""
    writer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[encoding])
    return writer.compress(body) + writer.flush()


def split(reply: Reply) -> tuple[int, bytes, bytes]:
    """A reply's status, further header lines and body, also of one that is spelled out already."""
    if not isinstance(reply, bytes):
        return reply
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")[1:]
    return 200, b"".join(b"%s\r\n" % line for line in lines if not line.startswith(b"Content-Length:")), body
