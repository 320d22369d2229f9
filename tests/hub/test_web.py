"""What every route has from the base: requests that come twice, pages, rates, limits, strict bodies, problems."""

import json
import threading

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hub.errors import TooMany
from edgewright.hub.ids import is_id, new_id
from edgewright.hub.web.paging import read_cursor, write_cursor
from edgewright.hub.web.problems import Problem
from edgewright.hub.web.rates import Rates, network

KEY = {"Idempotency-Key": "6f1d5b8e-7c53-4c38-9b60-3f0a6de1c2aa"}


def test_a_request_that_comes_twice_is_carried_out_once(hub):
    first = hub.north.ask("POST", "/api/edge/tokens", 201, json={"name": "t"}, headers=KEY)
    again = hub.north.ask("POST", "/api/edge/tokens", 201, json={"name": "t"}, headers=KEY)
    assert again.content == first.content and again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(hub.north.get("/api/edge/tokens")["items"]) == 1


def test_a_key_is_of_one_request_and_one_caller(hub, clock):
    hub.north.post("/api/edge/tokens", {"name": "t"}, headers=KEY)
    hub.north.ask("POST", "/api/edge/tokens", 422, json={"name": "u"}, headers=KEY)
    hub.north.ask("POST", "/api/edge/users", 422, json={"name": "u", "roles": ["viewer"]}, headers=KEY)
    other = hub.user("ada", "owner")
    other.post("/api/edge/tokens", {"name": "t"}, headers=KEY)
    clock.go_on(hours=11)
    hub.north.ask("POST", "/api/edge/tokens", 201, json={"name": "t"}, headers=KEY)


def test_a_key_ends(hub, clock):
    token = hub.north.post("/api/edge/tokens", {"name": "t"})["token"]
    headers = KEY | {"Authorization": f"Bearer {token}"}
    first = hub.nobody.post("/api/edge/tokens", {"name": "t"}, headers=headers)
    clock.go_on(hours=25)
    assert hub.nobody.post("/api/edge/tokens", {"name": "t"}, headers=headers)["id"] != first["id"]


def test_what_failed_is_not_kept(hub):
    body = {"name": "ada", "roles": ["no such role"]}
    hub.north.ask("POST", "/api/edge/users", 422, json=body, headers=KEY)
    hub.north.ask("POST", "/api/edge/users", 201, json=body | {"roles": ["viewer"]}, headers=KEY)


@pytest.mark.parametrize("key", ["short", "x" * 201, "with\ttab here"])
def test_odd_keys_are_refused(hub, key):
    hub.north.ask("POST", "/api/edge/tokens", 400, json={"name": "t"}, headers={"Idempotency-Key": key})


def test_the_same_request_at_once_is_carried_out_once(hub):
    gate, answers = threading.Barrier(4), []

    def ask():
        gate.wait()
        answers.append(hub.north.ask("POST", "/api/edge/tokens", json={"name": "t"}, headers=KEY))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(hub.north.get("/api/edge/tokens")["items"]) == 1


def test_pages_hold_every_row_once_while_rows_come(hub):
    for number in range(7):
        hub.north.post("/api/edge/users", {"name": f"user {number}", "roles": ["viewer"]})
    seen, cursor = [], ""
    while cursor is not None:
        page = hub.north.get(f"/api/edge/users?limit=3{cursor and '&cursor=' + cursor}")
        seen += [user["id"] for user in page["items"]]
        cursor = page["next"]
        if len(seen) == 3:
            hub.north.post("/api/edge/users", {"name": "late", "roles": ["viewer"]})
    assert len(seen) == len(set(seen)) == 9 and seen == sorted(seen)


def test_the_log_is_read_from_its_end(hub):
    first = hub.north.get("/api/edge/audit?limit=2")
    second = hub.north.get(f"/api/edge/audit?limit=2&cursor={first['next']}")
    assert [line["number"] for line in first["items"] + second["items"]] == [4, 3, 2, 1] and second["next"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=WzFd", "cursor=%00", "cursor="]
)
def test_odd_pages_are_refused(hub, query):
    told = hub.north.ask("GET", f"/api/edge/users?{query}", 422).json()
    assert told["type"] == "urn:edgewright:problem:unfit"


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), max_size=40)))
def test_a_cursor_says_where_it_was(value):
    if "\0" not in str(value):
        assert read_cursor(write_cursor(value)) == value


@given(st.text(max_size=60))
def test_whatever_is_no_cursor_is_a_problem(text):
    try:
        assert write_cursor(read_cursor(text)) == text
    except Problem as problem:
        assert problem.status_code == 422


def test_a_bucket_is_emptied_and_fills():
    now = [0.0]
    rates = Rates(2, 3, lambda: now[0])
    for _ in range(3):
        rates.take("ada")
    with pytest.raises(TooMany) as error:
        rates.take("ada")
    assert error.value.retry_after_s == pytest.approx(0.5)
    rates.take("bob")
    now[0] = 0.5
    rates.take("ada")
    with pytest.raises(TooMany):
        rates.take("ada")


@pytest.mark.parametrize(
    "host, counted",
    [
        ("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"), ("", "local"), ("testclient", "local"),
    ],
)  # fmt: skip
def test_a_network_counts_as_one(host, counted):
    assert network(host) == counted


@pytest.mark.parametrize(
    "body, status",
    [
        (b'{"name": "t", "name": "u"}', 400), (b'{"name": NaN}', 400), (b"{", 400), (b"\xff", 400), (b"[" * 5000, 400),
        (b'{"name": "\\ud800"}', 400), (b'{"name": 1}', 422), (b'{"name": "a\\u0000b"}', 422),
        (b'{"name": "t", "more": 1}', 422), (b'{"name": "t", "days": "3"}', 422), (b'{"name": "  "}', 422),
        (b'{"name": "\\u001b[2J"}', 422), (b"[]", 422), (b'{"name": "t", "days": 100000000000000000000}', 400),
    ],
)  # fmt: skip
def test_bodies_are_read_strictly(hub, body, status):
    headers = {"Content-Type": "application/json"}
    told = hub.north.ask("POST", "/api/edge/tokens", status, content=body, headers=headers).json()
    assert told["status"] == status and told["detail"] and told["instance"].startswith("urn:edgewright:request:req_")


def test_a_body_that_is_too_long_is_not_read(hub):
    big = b'{"name": "' + b"x" * (1 << 20) + b'"}'
    told = hub.north.ask("POST", "/api/edge/tokens", 413, content=big).json()
    assert told["type"].endswith("too-large")
    parts = (b"x" * 100_000 for _ in range(20))  # without a length
    hub.north.ask("POST", "/api/edge/tokens", 413, content=parts)


def test_every_answer_has_its_id_and_tells_browsers_nothing(hub):
    for method, path in (
        ("GET", "/openapi.json"),
        ("GET", "/api/edge/users"),
        ("GET", "/nowhere"),
        ("PUT", "/openapi.json"),
    ):
        answer = hub.nobody.ask(method, path)
        assert is_id(answer.headers["X-Request-Id"], "req")
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
        assert "server" not in answer.headers
        if answer.status_code != 200:
            assert answer.json()["instance"].endswith(answer.headers["X-Request-Id"])


def test_what_fails_says_an_id_and_nothing_else(hub, state, caplog):
    from starlette.testclient import TestClient

    from edgewright.hub.web.shell import Shell

    async def broken(scope, receive, send):
        raise RuntimeError("the secret is 1234")

    answer = TestClient(Shell(broken)).get("/")
    assert answer.status_code == 500 and "1234" not in answer.text
    assert answer.headers["X-Request-Id"] in caplog.text and "1234" in caplog.text


def test_a_route_that_fails_answers_with_a_problem_and_is_logged_once(hub, monkeypatch, caplog):
    from edgewright.hub.accounts import routes_users

    def broken(*_):
        raise RuntimeError("the secret is 1234")

    monkeypatch.setattr(routes_users.UserTold, "of", broken)
    answer = hub.north.ask("GET", f"/api/edge/users/{hub.north.id}", 500)
    assert answer.headers["Content-Type"] == "application/problem+json" and "1234" not in answer.text
    assert answer.json()["instance"].endswith(answer.headers["X-Request-Id"])
    assert caplog.text.count("Traceback") == 1


def test_too_many_requests_of_one_do_not_keep_others_out(hub, state):
    from dataclasses import replace

    from edgewright.hub.app import make_app

    hub.north.client.app = hub.south.client.app = make_app(replace(state, rates=Rates(0.001, 2)))
    for who in (hub.north, hub.south):
        client = type(who.client)(make_app(replace(state, rates=Rates(0.001, 2))), headers=dict(who.client.headers))
        assert [client.get("/api/edge/account").status_code for _ in range(3)] == [200, 200, 429]


def test_ids_sort_by_time_and_are_told_apart():
    made = [new_id("dev", at_ms) for at_ms in (0, 1, 2**40, 2**48 - 1)]
    assert made == sorted(made) and all(is_id(one, "dev") for one in made)
    assert not is_id(made[0], "usr") and not is_id("dev_1", "dev") and not is_id(made[0] + "\n", "dev")


def test_the_document_is_json(hub):
    assert json.dumps(hub.nobody.get("/openapi.json"))


class Endless:
    """A body without an end; how much of it was read."""

    def __init__(self):
        self.read = 0

    async def __call__(self):
        self.read += 2**16
        return {"type": "http.request", "body": b"[" * 2**16, "more_body": True}


def ask(hub, method, path, headers, body):
    """The status of an ASGI request whose body is as ``body`` gives it."""
    told = []

    async def send(message):
        told.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"host": "hub", **headers}.items()],
        "client": ("127.0.0.1", 1), "server": ("hub", 80), "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    anyio.run(hub.app, scope, body, send)
    return next(one["status"] for one in told if one["type"] == "http.response.start")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/edge/uploads/upl_" + "1" * 26), ("PUT", "/api/edge/updates/targets"), ("POST", "/api/edge/users"),
     ("POST", "/api/edge/bundles"), ("PATCH", "/api/edge/uploads/upl_" + "1" * 26)],
)  # fmt: skip
def test_nothing_is_read_of_whoever_is_not_let_in(hub, method, path):
    body = Endless()
    assert ask(hub, method, path, KEY, body) == 401 and body.read == 0
    body, viewer = Endless(), hub.user("looks", "viewer").token
    assert ask(hub, method, path, {"Authorization": f"Bearer {viewer}"}, body) == 403 and body.read == 0


def test_a_body_without_an_end_is_bounded_where_a_route_reads_none(hub):
    body = Endless()
    headers = KEY | {"Authorization": f"Bearer {hub.north.token}"}
    assert ask(hub, "DELETE", "/api/edge/uploads/upl_" + "1" * 26, headers, body) == 413 and body.read < 2**21
    body = Endless()
    assert ask(hub, "POST", "/api/edge/login", {"Content-Type": "application/json"}, body) == 413
    assert body.read <= 2**17, "nobody is known there yet"
