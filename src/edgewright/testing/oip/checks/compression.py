"""Packed bodies, where the server takes and gives them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.contract import Failed, Skipped, check, expect
from edgewright.testing.oip.wire import Reply

_PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
_UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


def _unpacked(reply: Reply) -> Reply:
    encoding = reply.headers.get("content-encoding", "identity")
    if encoding == "identity":
        return reply
    expect(encoding in _UNPACK, f"Content-Encoding {encoding!r} was not asked for")
    try:
        return Reply(reply.status, reply.headers, _UNPACK[encoding](reply.body))
    except (OSError, EOFError, zlib.error) as error:
        raise Failed(f"the body is no {encoding}: {error}") from error


def _requests(encoding: str) -> None:
    def run(case: Case) -> None:
        body, headers = case.request().wire()
        packed = _PACK[encoding](body)
        reply = case.ask("POST", f"{case.path}/infer", packed, headers | {"Content-Encoding": encoding})
        if reply.status in (400, 415, 422, 501):
            raise Skipped(f"the server takes no {encoding}: status {reply.status}")
        expect(case.agrees(case.read(reply)[1]), "another answer than the reference")
        # Half of it: a reader need not look at the checksum at the end (RFC 1952, 2.3.1.2).
        cut = packed[: len(packed) // 2]
        case.refused(case.ask("POST", f"{case.path}/infer", cut, headers | {"Content-Encoding": encoding}))
        case.alive()

    run.__doc__ = f"A request in {encoding} is read; one that is cut short is refused."
    check(f"compression.{encoding}-request", "compression", "RFC 9110, 8.4.1")(run)


def _replies(encoding: str) -> None:
    def run(case: Case) -> None:
        body, headers = case.request(parameters={"binary_data_output": True}).wire()
        reply = case.ask("POST", f"{case.path}/infer", body, headers | {"Accept-Encoding": encoding})
        expect(case.agrees(case.read(_unpacked(reply))[1]), "another answer than the reference")

    run.__doc__ = f"A client that accepts {encoding} can read the reply, packed or not."
    check(f"compression.{encoding}-reply", "compression", "RFC 9110, 12.5.3")(run)


for _encoding in _PACK:
    _requests(_encoding)
    _replies(_encoding)


@check("compression.not-wanted", "protocol", "RFC 9110, 12.5.3")
def not_wanted(case: Case) -> None:
    """A client that accepts no encoding gets none."""
    body, headers = case.request().wire()
    reply = case.ask("POST", f"{case.path}/infer", body, headers | {"Accept-Encoding": "identity"})
    expect(reply.headers.get("content-encoding", "identity") == "identity", "the reply is packed")
    case.read(reply)


@check("compression.unknown", "faults", "RFC 9110, 15.5.16")
def unknown(case: Case) -> None:
    """A request in an encoding that nobody has is refused.

    A server may (no more) refuse by the header alone: what it cannot read as it stands, it must.
    """
    body, headers = case.request().wire()
    case.refused(case.ask("POST", f"{case.path}/infer", body[::-1], headers | {"Content-Encoding": "edgewright"}))
