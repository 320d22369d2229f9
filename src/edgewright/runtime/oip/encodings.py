"""Bodies packed and unpacked: gzip and deflate, as RFC 9110 has them (section 8.4.1)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import partial

from edgewright.runtime.aside import Aside, Steps, drained
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.basin import Basin
from edgewright.runtime.lanes.http import Answer, Reply, fault_reply
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.stream import Body

_WINDOW = {"gzip": 31, "deflate": 15}
"""What zlib calls them: deflate is zlib's own frame."""
_WORTHWHILE = 1024
_ASIDE = 65536
"""Bodies from here on are packed beside the loop: a millisecond's work would keep everybody else waiting."""
_STEP, _PIECE = 2**20, 65536
"""Bytes that come out, and that go in, at a time."""


class TooLong(BadRequest):
    """What is packed is more than may be."""


def inflate(body: Body, encoding: str, most: int) -> bytes:
    """``body`` unpacked; ``encoding`` is gzip or deflate. Raises BadRequest; TooLong beyond ``most`` bytes."""
    return bytes(drained(inflating(body, encoding, most)))


def inflating(body: Body, encoding: str, most: int) -> Steps[memoryview]:
    """As ``inflate``, in steps."""
    if encoding not in _WINDOW:
        raise BadRequest(f"Content-Encoding {encoding[:20]!r} is not known; use gzip or deflate")
    reader, view, found = zlib.decompressobj(_WINDOW[encoding]), memoryview(body), Basin(most)
    for start in range(0, len(body) + 1, _PIECE):  # at the end with nothing: what zlib still holds
        piece: Buffer = view[start : start + _PIECE]
        made = b"..."
        while not reader.eof and (piece or made):
            try:
                made = reader.decompress(piece, min(_STEP, most + 1))
            except zlib.error as error:
                raise BadRequest(f"the body is no {encoding}: {error}") from error
            if found.size + len(made) > most:
                raise TooLong(f"the body holds more than {most:,} bytes, unpacked")
            found.add(made)
            piece = reader.unconsumed_tail
            yield
        if reader.eof:
            more = len(reader.unused_data) + max(len(body) - start - _PIECE, 0)
            if more:
                raise BadRequest(f"{more} bytes follow the end of the {encoding}")
            return found.body
    raise BadRequest("the body is cut short")


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


def packing(answer: Answer, encoding: str, aside: Aside) -> Answer:
    """``answer``, but with bodies packed where that is worth it: ``aside`` where they are long."""

    def packed(reply: Reply) -> None:
        status, more, parts = split(reply)
        size = sum(map(len, parts))
        more += b"Content-Encoding: %s\r\n" % encoding.encode()
        if status != 200 or size < _WORTHWHILE:
            answer(reply)
        elif size < _ASIDE:
            answer((status, more, b"".join(drained(deflating(parts, encoding)))))
        else:
            aside.run(size, deflating(parts, encoding), partial(tell, more))

    def tell(more: bytes, made: list[bytes] | None, error: Exception | None) -> None:
        if made is None:  # as little as happens to bytes that are only read: memory may be short
            answer(fault_reply(500, f"the reply could not be packed: {type(error).__name__}"))
            return
        head = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (more, sum(map(len, made)))
        answer([head, *made])

    return packed


def deflating(parts: Sequence[Buffer], encoding: str) -> Steps[list[bytes]]:
    """``parts`` packed as one, in pieces; quickly rather than well: numbers do not pack well anyway."""
    writer, made = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[encoding]), []
    for part in parts:
        for start in range(0, len(part), _PIECE):
            made.append(writer.compress(part[start : start + _PIECE]))
            yield
    return [*filter(None, made), writer.flush()]


def split(reply: Reply) -> tuple[int, bytes, list[Buffer]]:
    """A reply's status, further header lines and body, also of one that is spelled out already."""
    if isinstance(reply, tuple):
        return reply[0], reply[1], [reply[2]]
    first, *others = reply if isinstance(reply, list) else [reply]
    head, _, body = bytes(first).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")[1:]
    more = b"".join(b"%s\r\n" % line for line in lines if not line.startswith(b"Content-Length:"))
    return 200, more, [body, *others]
