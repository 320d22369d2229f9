"""HTTP/1.1 itself: connections that stay, requests in pieces, and what is no request."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from itertools import pairwise

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.contract import Failed, check, expect
from edgewright.testing.oip.wire import Reply, Wire

_LIVE = "/v2/health/live"
_PAUSE_S = 0.01
"""Between pieces: what follows at once is read at once, and is in one piece."""
_SINGLE = 400
"""Bytes that are sent one by one: the head, mostly."""


def _infer(case: Case, wire: Wire, **headers: str) -> bytes:
    body, own = case.request().wire()
    return wire.request("POST", f"{case.path}/infer", body, own | headers)


def _good(case: Case, reply: Reply) -> None:
    expect(case.agrees(case.read(reply)[1]), "another answer than the reference")


@check("http.keep-alive", "http", "RFC 9112, 9.3")
def keep_alive(case: Case) -> None:
    """A connection stays open for the next request, also after a fault."""
    with case.wire() as wire:
        for data, status in ((_infer(case, wire), 200), (wire.request("GET", "/v2/nowhere"), 404)) * 2:
            wire.send(data)
            reply = wire.read()
            expect(reply.status == status, f"status {reply.status} where {status} is due")


@check("http.close", "http", "RFC 9112, 9.6")
def close(case: Case) -> None:
    """A connection is closed when the client asks for that."""
    with case.wire() as wire:
        wire.send(wire.request("GET", _LIVE, headers={"Connection": "close"}))
        expect(wire.read().status == 200, "no good reply")
        expect(not wire.rest(), "more than one reply came")


@check("http.pipelining", "http", "RFC 9112, 9.3.2 (must)")
def pipelining(case: Case) -> None:
    """Requests sent one behind the other are answered in their order, or the connection is closed.

    A server that does neither keeps a client waiting that does what the RFC lets it: safe requests first.
    """
    with case.wire() as wire:
        body, headers = case.request(id="third").wire()
        third = wire.request("POST", f"{case.path}/infer", body, headers)
        wire.send(wire.request("GET", "/v2") + wire.request("GET", case.path) + third)
        expect("extensions" in wire.read().json(), "the first reply is not the first request's")
        if wire.ended():
            return
        expect("inputs" in wire.read().json(), "the second reply is not the second request's")
        if wire.ended():
            return
        expect(case.read(wire.read())[0].get("id") == "third", "the third reply is not the third request's")


@check("http.pieces", "http", "RFC 9112, 2.2")
def pieces(case: Case) -> None:
    """A request may come in any pieces.

    What TCP delivers has no seams: a proxy, TLS or a full buffer cuts it anywhere, and seldom where one looks.
    """
    with case.wire() as wire:
        data = _infer(case, wire)
        head = data.index(b"\r\n\r\n")
        version, header = data.index(b" HTTP/"), data.index(b"Content-")
        # In the verb, twice in the path, in the version, a header, the empty line and the body.
        cuts = [2, 12, version - 2, version + 6, header + 3, head + 1, head + 3, (head + len(data)) // 2]
        for start, end in pairwise([0, *cuts, len(data)]):
            wire.send(data[start:end])
            time.sleep(_PAUSE_S)
        _good(case, wire.read())
    with case.wire() as wire:
        for place in range(_SINGLE):
            wire.send(data[place : place + 1])
        wire.send(data[_SINGLE:])
        _good(case, wire.read())


@check("http.head", "http", "RFC 9110, 9.3.2 (must)")
def head(case: Case) -> None:
    """What HEAD is told has no body, and is GET's head or that the server does not take it.

    RFC 9110, 9.1 wants HEAD of "general-purpose servers"; the protocol names GET alone. A body is never right: the next
    reply's reader would begin in it.
    """
    with case.wire() as wire:
        wire.send(wire.request("HEAD", _LIVE))
        status = wire.read("HEAD").status
        expect(status in (200, 405, 501), f"HEAD got status {status}")
        wire.send(wire.request("GET", _LIVE))
        expect(wire.read().status == 200, "the request behind it is not answered")


@check("http.1.0", "http", "RFC 9110, 6.2")
def old(case: Case) -> None:
    """A client of HTTP/1.0 gets its answer and the connection's end."""
    with case.wire() as wire:
        wire.send(wire.head("GET", _LIVE, {}, version="1.0"))
        expect(wire.read().status == 200, "no good reply")
        expect(not wire.rest(), "more came after the reply")


def _chunked(name: str, clause: str, title: str, spell: Callable[[bytes], bytes]) -> None:
    def run(case: Case) -> None:
        body, own = case.request().wire()
        with case.wire() as wire:
            wire.send(wire.head("POST", f"{case.path}/infer", own | {"Transfer-Encoding": "chunked"}) + spell(body))
            _good(case, wire.read())
            wire.send(wire.request("GET", _LIVE))
            expect(wire.read().status == 200, "the request behind it is not answered")

    run.__doc__ = title
    check(f"http.{name}", "http", clause)(run)


def _chunks(body: bytes, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    cuts = [0, 1, len(body) // 2, len(body)]
    parts = [body[a:b] for a, b in pairwise(cuts) if b > a]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in parts) + b"0\r\n" + trailer + b"\r\n"


_chunked("chunked", "RFC 9112, 7.1 (must)", "A body may come in chunks.", _chunks)
_chunked("chunk-extensions", "RFC 9112, 7.1.1 (must)", "What a chunk says beside its size is passed over.",
         lambda body: _chunks(body, b";a=b"))  # fmt: skip
_chunked("chunk-trailers", "RFC 9112, 7.1 (must)", "Trailers after the last chunk are passed over.",
         lambda body: _chunks(body, trailer=b"X-A: b\r\n"))  # fmt: skip


@check("http.expect", "http", "RFC 9110, 10.1.1")
def expects(case: Case) -> None:
    """A client that waits for 100 before it sends the body is told to go on (or is answered)."""
    body, own = case.request().wire()
    with case.wire() as wire:
        headers = own | {"Content-Length": str(len(body)), "Expect": "100-continue"}
        wire.send(wire.head("POST", f"{case.path}/infer", headers))
        first = wire.read(interim=True)
        if first.status == 100:
            wire.send(body)
            first = wire.read()
        _good(case, first)


@check("http.cut-off", "http", "RFC 9112, 8")
def cut_off(case: Case) -> None:
    """A body that ends before its Content-Length is not answered as if it were whole."""
    with case.wire() as wire:
        data = _infer(case, wire)
        wire.send(data[:-1])
        if case.target.tls:
            return
        wire.sock.shutdown(socket.SHUT_WR)
        try:
            reply = wire.read()
        except Failed:
            reply = None
        expect(reply is None or reply.status >= 400, "a request that was cut off was answered as if it were whole")
    case.alive()


def _nonsense(
    name: str, clause: str, title: str, data: bytes | Callable[[Case, Wire], bytes], ends: bool = False
) -> None:
    """What must be answered with 4xx or by closing the connection; ``ends``: nothing may be answered after it."""

    def run(case: Case) -> None:
        with case.wire() as wire:
            wire.send(data if isinstance(data, bytes) else data(case, wire))
            try:
                reply = wire.read()
            except Failed as error:
                if "in time" in str(error):
                    raise
                reply = None
            expect(reply is None or 400 <= reply.status < 600, f"it was answered with status {reply and reply.status}")
            expect(
                reply is None or reply.status < 500 or reply.status in (501, 505), f"status {reply and reply.status}"
            )
        case.alive()

    run.__doc__ = title
    check(f"http.{name}", "http", clause)(run)


def _post(**headers: str) -> Callable[[Case, Wire], bytes]:
    spelled = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda case, wire: wire.head("POST", f"{case.path}/infer", spelled)


def _twice(case: Case, wire: Wire) -> bytes:
    data = _infer(case, wire)
    return data.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n", 1)


def _both_lengths(case: Case, wire: Wire) -> bytes:
    data = _infer(case, wire)
    return data.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: gzip\r\n\r\n", 1)


_nonsense("nonsense", "RFC 9112, 3", "What is no request is refused.", b"nonsense\r\n\r\n")
_nonsense("no-host", "RFC 9112, 3.2 (must)", "A request of HTTP/1.1 without Host is refused.",
          b"GET /v2/health/live HTTP/1.1\r\nConnection: close\r\n\r\n")  # fmt: skip
_nonsense("length-text", "RFC 9112, 6.3", "A Content-Length that is no number is refused.", _post(Content_Length="abc"))
_nonsense("length-negative", "RFC 9112, 6.3", "A negative Content-Length is refused.", _post(Content_Length="-5"))
_nonsense("length-twice", "RFC 9112, 6.3", "Two different Content-Lengths are refused.", _twice)
_nonsense(
    "coding-unknown", "RFC 9112, 6.3 (must)", "A Transfer-Encoding that is not chunked is refused.", _both_lengths
)
_nonsense("chunk-size", "RFC 9112, 7.1", "A chunk whose size is no number is refused.",
          lambda case, wire: _post(Transfer_Encoding="chunked")(case, wire) + b"zz\r\n{}\r\n0\r\n\r\n")  # fmt: skip
_nonsense("space-in-name", "RFC 9112, 5.1 (must)", "A header whose name ends in a space is refused.",
          lambda case, wire: _infer(case, wire).replace(b"Content-Length:", b"Content-Length :"))  # fmt: skip


@check("http.length-short", "http", "RFC 9112, 6.3")
def short(case: Case) -> None:
    """A Content-Length below the body cuts it there; by what is left the server may know that the client is lost."""
    body, own = case.request().wire()
    with case.wire() as wire:
        wire.send(wire.head("POST", f"{case.path}/infer", own | {"Content-Length": str(len(body) - 1)}) + body)
        status = wire.read().status
        expect(400 <= status < 600, f"status {status} where a refusal is due")
    case.alive()


@check("http.large-head", "http", "RFC 9110, 5.4")
def large_head(case: Case) -> None:
    """A head of 4 MiB is refused or, by a server that wishes to read it, answered; and the server lives on."""
    with case.wire() as wire:
        wire.send(b"GET /v2 HTTP/1.1\r\nHost: x\r\n")
        line = b"X-" + b"a" * 65536 + b": b\r\n"
        for _ in range(64):
            wire.send(line)
        wire.send(b"\r\n")
        try:
            reply = wire.read()
        except Failed as error:
            expect("in time" not in str(error), "no reply came, and the connection stays")
        else:
            expect(reply.status == 200 or 400 <= reply.status < 500, f"status {reply.status}")
    case.alive()


@check("http.silent", "http", "RFC 9112, 9.5")
def silent(case: Case) -> None:
    """Clients that announce 1 TB, or stop in the middle of a head, keep nobody else waiting."""
    with case.wire() as announced, case.wire() as stopped:
        headers = {"Content-Length": str(10**12)}
        announced.send(announced.head("POST", f"{case.path}/infer", headers) + b"{")
        stopped.send(b"POST /v2 HTTP/1.1\r\nHost:")
        case.alive()
        _good(case, case.infer(case.request()))
