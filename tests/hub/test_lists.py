"""Lists: the short way tells the same as the long one, refuses the same, and sees its tenant alone."""

import json
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import literal_column, select, true

from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.accounts.tables import User
from edgewright.hub.alerts.tables import Alert
from edgewright.hub.app import ROUTERS
from edgewright.hub.database import EVERY, bound
from edgewright.hub.database.looks import Embedded, Look
from edgewright.hub.database.served import Served
from edgewright.hub.errors import Unscoped
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.models.tables import Dataset, Model, Upload, Version
from edgewright.hub.web.bodies import spelled, spelled_ms
from edgewright.hub.web.paging import Page, answered, write_cursor
from edgewright.hub.web.rates import Rates
from edgewright.hub.web.reading import Ready
from edgewright.hub.web.short import plain, short_way

LISTS = {
    route.path: route for router in ROUTERS for route in router.routes
    if isinstance(route, APIRoute) and isinstance(route.response_model, type) and issubclass(route.response_model, Page)
    and "{" not in route.path
}  # fmt: skip
NOT_BY_ROW = {"/api/edge/groups", "/api/edge/telemetry"}


def fill(hub, tenant):
    """Rows with something in every kind of column."""
    now, own = hub.state.clock(), hub.tenants[tenant]
    told = {"facts": {}, "config": {}, "collect": {}}
    with hub.state.database.write(own) as session:
        for n in range(3):
            status = {"state": "idle", "good": "ab" * 32, "target": "", "reason": "ö"}
            session.add(
                Device(name=f"{tenant}-{n}", revision=n, made=now, changed=now, labels={"hall": "2"}, status=status,
                       seen=now - timedelta(seconds=60 * n) if n else None, offset_s=0.1,
                       release={"bundle": "cd" * 32} if n else None, revoked=now if n == 2 else None, **told)
            )  # fmt: skip
            model, version = new_id("mod"), new_id("ver")
            session.add(Model(id=model, name=f"{tenant} {n}", count=n, newest=version if n else "", by="usr", made=now))
            more = {"upload": "", "by": "usr", "made": now, "until": now, "length": 2**40, "filename": "m.onnx"}
            session.add(
                Version(id=version, model=model, number=1, state="ready", facts={"n": 1.5}, job="job" * n, **more)
            )
            session.add(Dataset(name=f"{tenant} {n}", state="ready", facts={"samples": 2}, **more))
            session.add(Upload(kind="model", filename=f"{tenant}.onnx", length=2, by="usr", made=now, until=now))
            session.add(
                Alert(id=new_id("alr"), kind="device.silent", subject=f"device/{tenant}-{n}", severity="warning",
                      since=now, told="it is silent", ended=now if n else None, open=None if n else f"silent {tenant}")
            )  # fmt: skip


@pytest.mark.parametrize("path", sorted(set(LISTS) - NOT_BY_ROW))
def test_every_list_tells_the_same_by_both_ways_as_its_model_does(hub, path):
    fill(hub, "north")
    fill(hub, "south")
    long = hub.north.ask("GET", f"{path}?limit=2&limit=2", 200).content  # said twice: not plain
    short = hub.north.ask("GET", f"{path}?limit=2", 200).content
    assert short == long and b"south" not in short
    model = LISTS[path].response_model
    assert json.loads(model.model_validate_json(short).model_dump_json()) == json.loads(short)
    assert list(json.loads(short)) == list(model.model_fields)
    for one in json.loads(short)["items"]:
        assert list(one) == list(model.model_fields["items"].annotation.__args__[0].model_fields)


def test_every_list_has_a_short_way():
    lacking = {path for path, route in LISTS.items() if short_way(route.endpoint) is None}
    assert lacking == NOT_BY_ROW


def test_a_token_that_was_revoked_is_refused_at_once(hub):
    made = hub.north.post("/api/edge/tokens", {"name": "short"})
    asks = {"headers": {"Authorization": f"Bearer {made['token']}"}}
    for _ in range(3):
        hub.nobody.get("/api/edge/users", **asks)
    hub.north.ask("DELETE", f"/api/edge/tokens/{made['id']}")
    hub.nobody.ask("GET", "/api/edge/users", 401, **asks)


def test_a_token_ends_by_the_hubs_clock(hub, clock):
    made = hub.north.post("/api/edge/tokens", {"name": "short", "days": 1})
    asks = {"headers": {"Authorization": f"Bearer {made['token']}"}}
    for _ in range(2):
        hub.nobody.get("/api/edge/users", **asks)
    clock.go_on(days=1)
    hub.nobody.ask("GET", "/api/edge/users", 401, **asks)


def test_who_may_not_is_refused_by_the_short_way_too(hub):
    viewer = hub.user("eve", "viewer")
    viewer.get("/api/edge/devices")
    for _ in range(2):
        assert viewer.ask("GET", "/api/edge/audit", 403).json()["type"] == "urn:edgewright:problem:forbidden"


def test_a_one_time_password_has_to_be_replaced_before_anything_is_listed(hub):
    made = hub.north.post("/api/edge/users", {"name": "new", "roles": ["viewer"]})
    body = {"tenant": "north", "name": "new", "password": made["password"]}
    session = hub.nobody.post("/api/edge/login", body)["session"]
    for _ in range(2):
        told = hub.nobody.ask("GET", "/api/edge/devices", 403, headers={"Authorization": f"Bearer {session}"}).json()
        assert told["type"] == "urn:edgewright:problem:password-change-needed"


def test_each_request_counts_once(hub):
    object.__setattr__(hub.state, "rates", Rates(1e-6, 5.0))
    for _ in range(5):
        hub.north.get("/api/edge/devices?limit=1")
    for _ in range(2):
        assert int(hub.north.ask("GET", "/api/edge/devices?limit=1", 429).headers["Retry-After"]) > 1000


def test_what_the_short_way_refuses_counts_once(hub):
    viewer, other = hub.user("eve", "viewer"), write_cursor(7)
    viewer.get("/api/edge/devices")
    object.__setattr__(hub.state, "rates", Rates(1e-6, 6.0))
    for _ in range(3):
        viewer.ask("GET", "/api/edge/audit", 403)
        viewer.ask("GET", f"/api/edge/devices?cursor={other}", 422)
    viewer.ask("GET", "/api/edge/devices", 429)


@pytest.mark.parametrize(
    "query", [b"limit=1&limit=1", b"cursor=%41", b"q=x", b"cursor=", b"limit", b"\xff", b"limit=+1"]
)
def test_what_is_not_plain_goes_the_long_way(query):
    assert plain(query) is None


def test_plain_queries_are_read():
    assert plain(b"") == {} and plain(b"limit=7&cursor=aB-_9") == {"limit": "7", "cursor": "aB-_9"}


def test_a_bound_statement_sees_its_tenant_alone(hub):
    one = bound(select(User.name))
    fill(hub, "north")
    for name, tenant in hub.tenants.items():
        getattr(hub, name).post("/api/edge/users", {"name": f"of {name}", "roles": ["viewer"]})
        look = hub.state.database.look(tenant)
        with hub.state.database.read(tenant) as session:
            for source in (session, look):
                assert f"of {name}" in {row[0] for row in source.rows(one, {})}
                assert len(source.rows(one, {})) == len(source.rows(one, {}, true())) == 2
    with hub.state.database.read(EVERY) as session:
        for source in (session, hub.state.database.look(EVERY)):
            with pytest.raises(Unscoped):
                source.rows(one, {})
    with pytest.raises(Unscoped):
        hub.state.database.look("")


@pytest.fixture
def names(state):
    """A database with a tenant, the statement that lists its users, and what is kept for looks."""
    tenant, _ = make_tenant(state, "plant", "anna")
    database, one = state.database, bound(select(User.name).limit(5))
    with (Embedded if database.embedded else Served)(database.engine) as kept:
        look = Look(kept, tenant, lambda: database.read(tenant))
        yield SimpleNamespace(
            state=state, tenant=tenant, one=one, kept=kept, all=lambda: [row[0] for row in look.rows(one, {})]
        )


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_look_waits_for_nobody_and_changes_nothing(names):
    """Somebody else's look that goes on, and a fault of its connection, send it into a session."""
    kept = names.kept
    assert names.all() == ["anna"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        kept._connection.execute("DELETE FROM users")
    with kept._lock:
        assert kept.run(names.one, names.tenant, {}) is None
        assert names.all() == ["anna"]
    kept._connection.close()
    assert kept.run(names.one, names.tenant, {}) is None
    assert names.all() == ["anna"]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_look_at_a_server_is_its_tenants_and_changes_nothing(names):
    """The policies of its tables hold, as they do in a session: the statement need not be right."""
    other, _ = make_tenant(names.state, "other", "berta")
    kept, everybody = names.kept, "SELECT name FROM users"
    for _ in range(2):
        assert names.all() == ["anna"]
        assert kept.run(names.one, other, {}) == [("berta",)]
    ((held, connection),) = kept._free
    assert held == other and connection.execute(everybody).fetchall() == [("berta",)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("DELETE FROM users")
    with pytest.raises(Unscoped):
        kept.run(names.one, "x'; SELECT '", {})


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_look_whose_connection_broke_goes_into_a_session_and_the_next_has_a_new_one(names):
    assert names.all() == ["anna"]
    names.kept._free[0][1].pgconn.finish()
    assert names.all() == ["anna"] and names.kept._free == []
    assert names.kept.run(names.one, names.tenant, {}) == [("anna",)]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_many_look_at_a_server_at_once(names):
    found, threads = [], []
    for _ in range(12):
        threads.append(threading.Thread(target=lambda: found.extend(names.all() for _ in range(20))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert found == [["anna"]] * 240 and 1 <= len(names.kept._free) <= 4
    names.kept.close()
    assert names.all() == ["anna"] and names.kept._free == []


@pytest.mark.parametrize("shape", [select(literal_column("1")), select(User.__table__.c.name)])
def test_a_statement_that_names_no_mapped_class_is_not_bound(shape):
    with pytest.raises(Unscoped):
        bound(shape)


@pytest.mark.parametrize(
    ("columns", "has"), [((User.name, User.id), True), ((User.name, User.roles), False), ((User.made,), False)]
)
def test_values_that_the_driver_has_as_they_are_are_taken_from_it(hub, columns, has):
    """And only those: the rows are the same."""
    one = bound(select(*columns).order_by(User.name).limit(5))
    assert (one.plain is not None) is has is (one.named is not None)
    with hub.state.database.read(hub.tenants["north"]) as session:
        assert [tuple(row) for row in session.rows(one, {})] == [tuple(row) for row in session.rows(one, {}, true())]


@given(st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1)))
def test_moments_are_spelled_alike(at):
    moment = at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
    assert spelled_ms((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)) == spelled(moment)


def test_a_number_of_any_length_is_told():
    """Also beside what is JSON already."""
    assert json.loads(answered([{"n": 2**70}], None).body) == {"items": [{"n": 2**70}], "next": None}
    for number in (1, 2**70):
        told = json.loads(answered([{"n": number}], None, more=Ready('[{"a": 1}]')).body)
        assert told == {"items": [{"n": number}], "next": None, "more": [{"a": 1}]}


def test_a_cursor_that_cannot_be_read_is_told_to_nobody_who_may_not_ask(hub):
    refused = hub.nobody.ask("GET", "/api/edge/users?cursor=AAAA", 401)
    assert refused.headers["WWW-Authenticate"]
    hub.north.ask("GET", "/api/edge/users?cursor=AAAA", 422)
    hub.north.ask("GET", "/api/edge/users?cursor=AAAA", 422)
