"""One client among many: its requests wait for their turn, and what it sends ahead is not read."""

import select
import socket
from contextlib import contextmanager

import pytest

from edgewright.runtime.addresses import Address
from edgewright.runtime.lanes import chunks, stream
from edgewright.runtime.lanes.chunks import BadChunk, Chunks
from edgewright.runtime.lanes.door import Door
from edgewright.runtime.lanes.frames import HEADER, INFER, MAGIC, FrameConnection, frame_head
from edgewright.runtime.lanes.http import Connection, Heads
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.testing.hostile import MOST_HELD, _turn

LIMITS = Limits()
GET = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
FRAME = HEADER.pack(MAGIC, INFER, 0, 0, 0, 2, 2) + b"{}"


class Spoken:
    """A connection, its client's socket, and what it was asked: bodies, and how each is answered."""

    def __init__(self, kind, limits=LIMITS):
        self.client, theirs = socket.socketpair()
        self.client.setblocking(False)
        self.loop, self.budget, self.gone = Loop(), Budget(limits), []
        self.bodies, self.answers, self.given_up = [], [], 0
        self.late = False
        handler = self._http if kind is Connection else self._frame
        more = (Heads(limits),) if kind is Connection else ()
        self.connection = kind(theirs, self.loop, handler, *more, limits, self.budget, self.gone.append)

    def _http(self, head, body, answer):
        return self._asked(body, lambda: answer((200, b"", b"fine")))

    def _frame(self, body, start, end, priority, timeout_s, regions, answer):
        return self._asked(body[start:], lambda: answer(frame_head(200, 2, 2) + b"{}"))

    def _asked(self, body, answer):
        self.bodies.append(body)
        if not self.late:
            answer()
            return None
        self.answers.append(answer)
        return self._give_up

    def _give_up(self):
        self.given_up += 1

    def send(self, data):
        """Send what is taken, the server reading as it likes; how much that was."""
        sent = 0
        while sent < len(data):
            try:
                sent += self.client.send(data[sent : sent + 65536])
            except BlockingIOError:
                if not self.turn():
                    break
        return sent

    def turn(self):
        return _turn(self.loop)

    def rest(self):
        """Turn until nothing is to be done; what the client got."""
        got = self.got()
        while self.turn():
            got += self.got()
        return got + self.got()

    def got(self):
        found = b""
        while select.select([self.client], [], [], 0)[0] and (piece := self.client.recv(65536)):
            found += piece
        return found


@contextmanager
def spoken(kind, limits=LIMITS):
    made = Spoken(kind, limits)
    try:
        yield made
    finally:
        made.connection.close()
        made.client.close()
        made.loop.close()


BOTH = pytest.mark.parametrize(("kind", "said"), [(Connection, GET), (FrameConnection, FRAME)], ids=["http", "frames"])


@BOTH
def test_a_thousand_requests_in_one_piece_are_not_answered_in_one_go(kind, said, monkeypatch):
    monkeypatch.setattr(stream, "_TURN_S", 0.0)
    with spoken(kind) as made:
        made.client.send(said * 100)
        for _ in range(3):
            made.turn()
        assert 1 <= len(made.bodies) <= 4, "the others have their turn between two of them"
        made.rest()
        assert len(made.bodies) == 100


@BOTH
def test_what_is_sent_ahead_of_an_answer_is_not_read(kind, said):
    with spoken(kind) as made:
        made.late = True
        sent = made.send(said * 100_000)
        assert sent < 2_000_000 and made.budget.held_bytes < MOST_HELD and not made.gone
        assert len(made.bodies) == 1
        made.late = False
        made.answers.pop()()
        got = made.rest()
        while sent < 100_000 * len(said):
            sent += made.send((said * 100_000)[sent:])
            got += made.rest()
        assert len(made.bodies) == 100_000 and not made.gone
        assert got.count(b"fine" if kind is Connection else b"{}") == 100_000


def test_a_large_request_behind_one_that_waits_is_read_once_it_is_answered():
    with spoken(Connection) as made:
        made.late = True
        body = bytes(range(256)) * 4096
        made.client.send(POST % 0)
        made.turn()
        sent = made.send(POST % len(body) + body)
        made.answers.pop()()
        made.send((POST % len(body) + body)[sent:])
        made.rest()
        assert [bytes(b) for b in made.bodies] == [b"", body]


@BOTH
def test_who_hangs_up_while_not_read_is_not_answered(kind, said):
    with spoken(kind) as made:
        made.late = True
        made.send(said * 100_000)
        made.client.close()
        made.turn()
        assert made.gone and made.given_up == 1 and not made.budget.held_bytes


@BOTH
def test_a_client_that_waited_for_us_is_not_stale(kind, said, monkeypatch):
    with spoken(kind) as made:
        made.late = True
        made.send(said)
        made.turn()
        now = made.connection.since + 1e6
        assert not made.connection.stale(now)
        made.answers.pop()()
        assert not made.connection.stale(now + 1)
        made.late = False
        monkeypatch.setattr(stream, "_TURN_S", 0.0)
        made.client.send(said * 3 + said[:5])
        made.turn()
        assert not made.connection.stale(made.connection.since + 1e6), "it waits for its turn"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_handed_over_and_not_copied(chunked):
    body = bytes(range(256)) * 8192
    head = POST % len(body)
    sent = head + body
    if chunked:
        pieces = [body[i : i + 40_000] for i in range(0, len(body), 40_000)]
        sent = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
        sent += b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with spoken(Connection) as made:
        assert made.send(sent + GET) == len(sent + GET)
        made.rest()
        assert [bytes(b) for b in made.bodies] == [body, b""] and type(made.bodies[0]) is memoryview


def test_what_a_request_held_is_forgotten_with_its_answer():
    with spoken(Connection) as made:
        made.late = True
        made.send(POST % 10_000_000 + bytes(10_000_000))
        made.rest()
        assert made.budget.held_bytes == 10_000_000
        made.answers.pop()()
        assert made.budget.held_bytes == 0
        made.send(GET)
        made.turn()
        made.send(GET[:10])
        made.turn()
        assert made.budget.held_bytes == 10, "the second request is waited for, and the first one's size is not its own"


def test_a_long_reply_is_sent_a_piece_at_a_time(monkeypatch):
    monkeypatch.setattr(stream, "_TURN", 1000)
    with spoken(Connection) as made:
        parts = [b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", b"", b"a" * 2500, memoryview(b"b" * 1500)]
        made.late = True
        made.connection._handler = lambda head, body, answer: answer(parts)
        made.send(GET)
        sizes = []
        while made.turn():
            sizes.append(len(made.got()))
        assert max(sizes) == 1000 and sum(sizes) == sum(map(len, parts))


def test_a_long_reply_is_the_last_where_that_is_wished():
    with spoken(Connection) as made:
        parts = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"ab", b"cd"]
        made.connection._handler = lambda head, body, answer: answer(parts)
        made.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert made.rest() == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd" and made.gone


def test_chunks_are_taken_some_at_a_time():
    reader, buffer, body = Chunks(10**6, 1000), bytearray(b"1\r\na\r\n" * 5000 + b"0\r\n\r\n"), None
    turns = 0
    while body is None:
        before, body = len(buffer), reader.take(buffer)
        assert before - len(buffer) <= chunks._TURN * 6
        assert body is not None or reader.paused
        turns += 1
    assert turns > 5 and bytes(body) == b"a" * 5000 and not reader.paused


@pytest.mark.parametrize("trailer", [b"X: a\nY: b", b"X: a\rY: b", b"\nGET / HTTP/1.1"])
def test_what_another_reader_takes_for_two_trailers_is_refused(trailer):
    with pytest.raises(BadChunk, match="no header"):
        Chunks(100, 100).take(bytearray(b"0\r\n" + trailer + b"\r\n\r\n"))


def test_a_crowd_at_the_door_is_let_in_some_at_a_time():
    loop, door, inside = Loop(), Door(Address(port=0)), []
    door.open(loop, lambda sock, peer: inside.append(sock))
    crowd = [socket.create_connection((door.address.host, door.address.port)) for _ in range(150)]
    _turn(loop)
    assert len(inside) == 64
    door.shut(loop)
    assert len(inside) == 150, "who knocked before it was shut is let in"
    for sock in (*crowd, *inside):
        sock.close()
    door.close()
    loop.close()
