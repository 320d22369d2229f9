"""Fuzz targets: what reads bytes from outside, each as a function that must take any bytes.

They return what was read, or the error that was raised on purpose; anything else that is raised is a finding. The
suite runs them on drawn bytes (``tests/runtime/test_hostile.py``), ``tests/fuzz/run.py`` for as long as one likes.
"""

from __future__ import annotations

import contextlib
import socket
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.errors import InputError
from edgewright.runtime.aside import drained
from edgewright.runtime.config import parse_config
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.chunks import BadChunk, Chunks
from edgewright.runtime.lanes.frames import ATTACH, HEADER, INFER, MAGIC, FrameConnection, frame_head
from edgewright.runtime.lanes.http import Answer, BadHead, Connection, Head, Heads, read_head
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import SMALL, Body, Stream
from edgewright.runtime.oip import long
from edgewright.runtime.oip.encodings import inflate
from edgewright.runtime.oip.messages import plan, planning

LIMITS = Limits(head_bytes=512, body_bytes=2048, buffered_bytes=1 << 20)
MOST_HELD = 3 * SMALL + LIMITS.head_bytes + LIMITS.body_bytes
"""Bytes for one client: a request, those behind it (what was there, and one more piece), and replies."""


def head(data: bytes) -> Any:
    """A request's head."""
    try:
        found = read_head(data + b"\r\n\r\n", LIMITS)
    except BadHead as error:
        return error.status
    assert found.method and 0 <= found.length <= LIMITS.body_bytes
    return found


def chunks(data: bytes) -> Any:
    """A body in chunks: it must not matter in which pieces it comes."""
    whole, single = _chunked([data]), _chunked([data[i : i + 1] for i in range(len(data))])
    assert whole == single, (whole, single)
    return whole


def _chunked(pieces: Sequence[bytes]) -> Any:
    reader, buffer = Chunks(LIMITS.body_bytes, LIMITS.head_bytes), bytearray()
    found: list[Any] = []
    try:
        for piece in pieces:
            buffer += piece
            while (body := reader.take(buffer)) is not None:
                assert len(body) <= LIMITS.body_bytes
                found.append(body)
    except BadChunk as error:
        found.append(error.status)
    return found


def request(data: bytes) -> Any:
    """An inference request: JSON up to the first zero byte, tensors behind it."""
    told, _, binary = data.partition(b"\0")
    try:
        return plan(told).inputs(binary, 0)
    except BadRequest as error:
        return str(error)


def pieces(data: bytes) -> Any:
    """The same request, its JSON read whole and in pieces of a few bytes: what the latter takes is what the former
    reads, and nothing is taken that the former refuses."""
    whole = request(data)
    told, _, binary = data.partition(b"\0")
    with _small_pieces():
        try:
            found = drained(planning(told)).inputs(binary, 0)
        except BadRequest as error:
            return str(error)
    assert isinstance(whole, dict) and whole.keys() == found.keys(), (whole, found)
    for name, array in found.items():
        other = whole[name]
        assert array.dtype == other.dtype and array.shape == other.shape, name
        assert np.array_equal(array, other, equal_nan=array.dtype.kind == "f"), name
    return found


@contextlib.contextmanager
def _small_pieces() -> Iterator[None]:
    before = long._LOOK, long._PIECE, long._SHORT
    long._LOOK, long._PIECE, long._SHORT = 11, 7, 16
    try:
        yield
    finally:
        long._LOOK, long._PIECE, long._SHORT = before


def packed(data: bytes) -> Any:
    """A body that says it is compressed."""
    for encoding in ("gzip", "deflate"):
        with contextlib.suppress(BadRequest):
            return inflate(data, encoding, 1 << 16)
    return None


def configuration(data: bytes) -> Any:
    """A ``runtime.toml``."""
    try:
        return parse_config(tomllib.loads(data.decode("utf-8")), Path("fuzzed/runtime.toml"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, InputError) as error:
        return str(error)


def connection(data: bytes, sizes: Sequence[int] = (1 << 16,)) -> bytes:
    """What a client gets that sends ``data`` in pieces of ``sizes`` (the last one again and again) to a server that
    answers every request with its body."""
    return _spoken(data, sizes, lambda *rest: Connection(rest[0], rest[1], _echo, Heads(LIMITS), LIMITS, *rest[2:]))


def frames(data: bytes, sizes: Sequence[int] = (1 << 16,)) -> bytes:
    """The same of a client that speaks frames."""
    return _spoken(data, sizes, lambda *rest: FrameConnection(rest[0], rest[1], _echo_frame, LIMITS, *rest[2:]))


def _spoken(data: bytes, sizes: Sequence[int], make: Callable[..., Stream]) -> bytes:
    ours, theirs = socket.socketpair()
    loop, budget, gone = Loop(), Budget(LIMITS), list[Any]()
    made = make(theirs, loop, budget, gone.append)
    ours.setblocking(False)
    got, place, turn = b"", 0, 0
    try:
        while place < len(data) and not gone:
            size = max(sizes[min(turn, len(sizes) - 1)], 1)
            with contextlib.suppress(BlockingIOError):  # it is not listening, and read first
                place, turn = place + ours.send(data[place : place + size]), turn + 1
            while _turn(loop):
                got += _drained(ours)
            assert 0 <= budget.held_bytes <= MOST_HELD
        made.close()
        assert budget.held_bytes == 0 and gone == [made]
        return got + _drained(ours)
    finally:
        made.close()
        ours.close()
        theirs.close()
        loop.close()


def _turn(loop: Loop) -> bool:
    """One round of the loop; whether anything was to be done."""
    found = loop._epoll.poll(0.0)
    for fd, events in found:
        if fd in loop._ends:
            loop._ends[fd].ready(events)
    calls = len(loop._calls)
    for _ in range(calls):
        loop._calls.popleft()()
    return bool(found or calls)


def _drained(sock: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while piece := sock.recv(1 << 16):
            found += piece
    return found


def _echo(head: Head, body: Body, answer: Answer) -> None:
    answer((200, b"", bytes(body)))


def _echo_frame(
    body: Body, start: int, end: int, priority: int, timeout_s: float | None, regions: Any, answer: Answer
) -> None:
    answer(frame_head(200, end - start, len(body) - start) + body[start:])


TARGETS: Mapping[str, Callable[[bytes], Any]] = {
    "head": head, "chunks": chunks, "request": request, "pieces": pieces, "packed": packed,
    "configuration": configuration, "connection": connection, "frames": frames,
}  # fmt: skip

_INFER = (
    b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},'
    b'{"name":"y","datatype":"BYTES","shape":[2],"data":["a","b"]}],"parameters":{"timeout":5,"priority":1},'
    b'"outputs":[{"name":"z","parameters":{"binary_data":true}}],"id":"7"}'
)
_ROWS = (
    b'{"inputs":[{"name":"x","datatype":"INT64","shape":[2,3,4],"data":[[[1,2,3,4],[5,6,7,8],[9,10,11,12]],'
    b'[[-1,2,3,4],[5,6,7,8],[9,10,11,12]]]},{"name":"y","datatype":"BYTES","shape":[4],'
    b'"data":["a[1,2]","\\\\\\"]","{\xc3\xa9","\\u0041,"]},{"name":"z","datatype":"FP64","shape":[3],'
    b'"data":["NaN",1e5,-0.25]}]}'
)
SEEDS: Mapping[str, Sequence[bytes]] = {
    "head": (b"POST /v2/models/m/infer HTTP/1.1\r\nHost: localhost:8000\r\nContent-Length: 12\r\nConnection: close",),
    "chunks": (b"5\r\nhello\r\n0\r\n\r\n", b"3;a=b\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"),
    "request": (_INFER + b"\0" + bytes(8),),
    "pieces": (_INFER + b"\0" + bytes(8), _ROWS, _ROWS.replace(b",", b" , "), _ROWS.replace(b"[2,3,4]", b"[24]")),
    "packed": (bytes.fromhex("789c030000000001"), bytes.fromhex("1f8b08000000000000ff0300000000000000")),
    "configuration": (b'[server]\nhttp=":0"\n[limits]\nidle_s=1\n[models."m"]\nmax_batch=2\npreferred_batch=[1]\n',),
    "connection": (
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 2,
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "frames": (
        HEADER.pack(MAGIC, INFER, 0, 0, 0, 2, 4) + b"{}ab" + HEADER.pack(MAGIC, ATTACH, 0, 0, 0, 2, 2) + b"{}",
        HEADER.pack(MAGIC, 7, 0, 0, 0, 0, 0) * 2,
    ),
}
