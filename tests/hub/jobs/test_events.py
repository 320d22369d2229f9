"""Events, live: server-sent and over a websocket, by token and by cookie, after a pause, from any process."""

import json
import threading
import time
from contextlib import ExitStack, contextmanager

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from edgewright.hub.events import emit
from edgewright.hub.events.telling import KEPT
from edgewright.hub.serving import Address, bind

PATH = "/api/edge/events"
ONCE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


class Live:
    """The hub at a port of this machine."""

    def __init__(self, hub):
        self.hub, self.state = hub, hub.state
        self.listening = bind(Address("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def tell(self, kind="job.state", of="job_" + "1" * 26, tenant="north", **data):
        with self.state.database.write(self.hub.tenants[tenant]) as session:
            return emit(session, kind, of, data, self.state.clock())

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.hub.north.token}"}

    @contextmanager
    def stream(self, query="", headers=None, **more):
        given = {"Accept": "text/event-stream", **(headers or self.headers), **more}
        with (
            httpx2.Client(timeout=30) as client,
            client.stream("GET", f"http://127.0.0.1:{self.port}{PATH}{query}", headers=given) as answer,
        ):
            yield Lines(answer)

    def socket(self, query="", headers=None, **more):
        given = self.headers if headers is None else headers
        return connect(f"ws://127.0.0.1:{self.port}{PATH}/ws{query}", additional_headers=given | more, proxy=None)


class Lines:
    def __init__(self, answer):
        self.answer = answer
        self.rest = answer.iter_lines()

    def next(self):
        for line in self.rest:
            if line.startswith("data: "):
                return json.loads(line[6:])
        return None


@pytest.fixture
def live(hub):
    """Served on a thread of its own."""
    import uvicorn

    from edgewright.hub import events
    from edgewright.hub.web.connections import Connection, Socket

    made = Live(hub)
    settings = uvicorn.Config(
        hub.app, log_config=None, access_log=False, lifespan="off", ws=Socket, http=Connection,
        ws_max_size=4096, ws_per_message_deflate=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(settings)
    made.thread = threading.Thread(target=lambda: server.run(sockets=[made.listening]), daemon=True)
    made.thread.start()
    while not server.started:
        time.sleep(0.01)
    yield made
    server.should_exit = True
    events.close(hub.state)
    made.thread.join(20)
    assert not made.thread.is_alive()
    made.listening.close()


def test_a_stream_tells_what_happens_and_goes_on_after_a_pause(live):
    first = live.tell(state="queued")
    with live.stream(f"?after={first - 1}") as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        told = stream.next()
        assert told["seq"] == first and told["data"] == {"state": "queued"} and told["kind"] == "job.state"
        second = live.tell(state="running")
        assert stream.next()["seq"] == second
    missed = [live.tell(number=number) for number in range(3)]
    with live.stream(**{"Last-Event-ID": str(second)}) as stream:
        assert [stream.next()["seq"] for _ in missed] == missed


def test_a_websocket_tells_the_same(live):
    first = live.tell(state="queued")
    with live.socket(f"?after={first - 1}") as socket:
        assert json.loads(socket.recv(20))["seq"] == first
        second = live.tell(state="running")
        assert json.loads(socket.recv(20))["data"] == {"state": "running"}
    with live.socket(f"?after={second}") as socket:
        third = live.tell(state="done")
        assert json.loads(socket.recv(20))["seq"] == third


def test_without_a_number_it_begins_now(live):
    live.tell(state="old")
    with live.socket() as socket:
        live.tell(state="new")
        assert json.loads(socket.recv(20))["data"] == {"state": "new"}


def test_only_ones_own(live):
    """Another tenant's events, those of another job, and kinds that one may not see."""
    mine, other = "job_" + "1" * 26, "job_" + "2" * 26
    with live.socket(f"?after=0&of={mine}") as socket:
        live.tell(tenant="south", state="theirs")
        live.tell(of=other, state="of another")
        live.tell(of=mine, state="mine")
        assert json.loads(socket.recv(20))["data"] == {"state": "mine"}
    token = live.hub.north.post("/api/edge/tokens", {"name": "t", "scopes": ["jobs.read"]})["token"]
    live.tell("alert.opened", state="an alert")
    live.tell(of=mine, state="again")
    got = [one["data"]["state"] for one in live.hub.north.get(f"{PATH}?after=0")["items"]]
    assert got == ["of another", "mine", "an alert", "again"]
    with live.socket("?after=0", {"Authorization": f"Bearer {token}"}) as socket:
        assert [json.loads(socket.recv(20))["data"]["state"] for _ in range(3)] == ["of another", "mine", "again"]


@ONCE
def test_a_cookie_opens_both_and_for_pages_of_ours_alone(live):
    cookie = {"Cookie": f"edgewright_session={live.hub.north.token}"}
    host = f"127.0.0.1:{live.port}"
    with live.socket("?after=0", cookie, Origin=f"http://{host}") as socket:
        live.tell(state="seen")
        assert json.loads(socket.recv(20))["data"] == {"state": "seen"}
    with live.stream("?after=0", cookie) as stream:
        assert stream.next()["data"] == {"state": "seen"}
    for site in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(InvalidStatus) as refused, live.socket("?after=0", cookie, **site):
            pass
        assert refused.value.response.status_code == 403


@ONCE
@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 401), ("", {"Authorization": "Bearer nonsense"}, 401), ("?after=x", None, 422),
        ("?after=-1", None, 422), ("?of=nonsense", None, 422),
    ],
)  # fmt: skip
def test_who_may_not_watch_is_told_so(live, caplog, query, headers, status):
    with pytest.raises(InvalidStatus) as refused, live.socket(query, headers):
        pass
    assert refused.value.response.status_code == status
    told = json.loads(refused.value.response.body)
    assert told["status"] == status and told["instance"].startswith("urn:edgewright:request:req_")
    with httpx2.Client() as client:
        given = {"Accept": "text/event-stream", **(live.headers if headers is None else headers)}
        answer = client.get(f"http://127.0.0.1:{live.port}{PATH}{query}", headers=given)
        assert answer.status_code == status
    assert not caplog.records


@ONCE
def test_a_message_that_is_too_long_ends_the_connection(live):
    with live.socket() as socket, pytest.raises(ConnectionClosed):
        socket.send("x" * 10_000)
        socket.recv(20)
    with live.socket() as socket:
        socket.send("who listens?")
        live.tell(state="on")
        assert json.loads(socket.recv(20))["data"] == {"state": "on"}


def test_what_is_forgotten_is_told_as_a_gap(live, monkeypatch):
    monkeypatch.setattr("edgewright.hub.events.telling.KEPT", 5)
    monkeypatch.setattr("edgewright.hub.events.telling._EVERY", 1)
    assert KEPT > 5
    numbers = [live.tell(number=number) for number in range(12)]
    with live.stream(f"?after={numbers[0]}") as stream:
        cut = stream.next()
        assert cut["kind"] == "events.cut"
        assert stream.next()["seq"] == cut["seq"] + 1
    with live.stream(f"?after={numbers[-1] + 100}") as stream:
        assert stream.next() == {"seq": numbers[-1], "at": stream_at(live), "kind": "events.cut", "of": "", "data": {}}


def stream_at(live):
    from edgewright.hub.web.bodies import spelled

    return spelled(live.state.clock())


@ONCE
def test_a_credential_that_ends_ends_its_watching(live, monkeypatch):
    monkeypatch.setattr("edgewright.hub.events.viewing._CHECK_S", 0.1)
    monkeypatch.setattr("edgewright.hub.events.viewing.BEAT_S", 0.2)
    made = live.hub.north.post("/api/edge/tokens", {"name": "t"})
    with live.stream("?after=0", {"Authorization": f"Bearer {made['token']}"}) as stream:
        live.tell(state="seen")
        assert stream.next()["data"] == {"state": "seen"}
        live.hub.north.ask("DELETE", f"/api/edge/tokens/{made['id']}", 204)
        assert stream.next() is None


@ONCE
def test_many_watch_by_one_reader(live, monkeypatch):
    """Sixteen viewers cost no more reading than one; and there is an end to their number."""
    from edgewright.hub.events import following

    monkeypatch.setattr(following, "MOST_OF_TENANT", 16)
    with ExitStack() as stack:
        sockets = [stack.enter_context(live.socket("?after=0")) for _ in range(16)]
        with pytest.raises(InvalidStatus) as refused, live.socket("?after=0"):
            pass
        assert refused.value.response.status_code == 429
        live.tell(state="first")
        for socket in sockets:
            assert json.loads(socket.recv(20))["data"] == {"state": "first"}
        reads = []
        whole = following.read
        monkeypatch.setattr(following, "read", lambda *given: reads.append(1) or whole(*given))
        monkeypatch.setattr("edgewright.hub.events.viewing.read", following.read)
        live.tell(state="second")
        for socket in sockets:
            assert json.loads(socket.recv(20))["data"] == {"state": "second"}
        assert len(reads) == 1
    while follower_of(live)._reels:
        time.sleep(0.01)
    with live.socket("?after=0") as socket:
        assert json.loads(socket.recv(20))["data"] == {"state": "first"}


@ONCE
def test_whoever_comes_as_the_last_place_is_taken_is_refused(live, monkeypatch):
    """In words, and not by a stream that ends at once."""
    from edgewright.hub.events import following
    from edgewright.hub.events.viewing import Viewer

    look = Viewer._head

    def taken_meanwhile(viewer):
        monkeypatch.setattr(following, "MOST_OF_TENANT", 0)
        return look(viewer)

    monkeypatch.setattr(Viewer, "_head", taken_meanwhile)
    live.hub.north.ask("GET", "/api/edge/events", 429, headers={"Accept": "text/event-stream"})
    monkeypatch.setattr(following, "MOST_OF_TENANT", 16)
    with pytest.raises(InvalidStatus) as refused, live.socket("?after=0"):
        pass
    assert refused.value.response.status_code == 429


def follower_of(live):
    from edgewright.hub.events.following import follower

    return follower(live.state)


def test_numbers_have_no_gaps_however_many_tell_at_once(live):
    def tell():
        for _ in range(10):
            live.tell(state="x")

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    with live.stream("?after=0") as stream:
        seen = [stream.next()["seq"] for _ in range(40)]
    for thread in threads:
        thread.join()
    assert seen == list(range(1, 41))


@ONCE
def test_a_kind_that_nobody_may_see_is_a_fault(live):
    with pytest.raises(ValueError, match="nobody may see"):
        live.tell("nonsense.happened")
