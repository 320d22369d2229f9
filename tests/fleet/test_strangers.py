"""Devices that are shut out, copied, or another tenant's; reports that come twice; what is no request at all."""

import contextlib
import json
import random
import shutil

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlalchemy import select

from edgewright.core.messages import LIMITS, Event, Report, Sync, render
from edgewright.hub import library
from edgewright.hub.fleet.packing import unpack
from edgewright.hub.fleet.tables import Happening, Period
from edgewright.hub.library.files import File
from edgewright.monitoring.rollup import Rollup
from edgewright.testing.fleet.behaviour import Behaviour


def test_a_device_that_is_revoked_in_the_middle_of_a_download_gets_no_more(plant, made, monkeypatch):
    for bundle in (made.a, made.large):
        plant.upload(bundle)
    one = plant.agent("press-1")
    plant.completed(made.a)
    monkeypatch.setattr("edgewright.hub.listener.fetches.PART_BYTES", 2**14)
    real, pieces = File.read, []

    def read(self, start, length):
        pieces.append(start)
        if len(pieces) == 3:
            plant.north.post("/api/edge/devices/press-1/revoke", None, 200)
            plant.settle()
        return real(self, start, length)

    monkeypatch.setattr(File, "read", read)
    plant.release(made.large, name="m-2")
    plant.go(lambda: len(pieces) >= 3)
    for _ in range(5):
        one.turn()
    assert pieces == [0, 2**14, 2**15], "the piece that was being read was the last"
    assert one.line.held_s > 3000 and "revoked" in one.line.trouble
    assert one.slots.current == one.machine.now.good == made.a.digest, "it serves on"


def test_a_cloned_device(plant, made):
    """Two agents, one identity: the first renewal tells them apart, and both serve on."""
    plant.upload(made.a)
    one = plant.agent("press-1")
    plant.completed(made.a)
    shutil.copytree(one.state, one.state.with_name("copy"), symlinks=True)
    plant.clock.go_on(days=22)
    plant.north = plant.hub.log_in_again("north")
    plant.keep()
    one.turn()
    assert not one.line.trouble
    copy = plant.agent("copy")
    for _ in range(3):
        copy.turn()
    plant.settle()
    assert copy.line.held_s > 3000 and "409" in copy.line.trouble
    assert copy.slots.current == one.slots.current == made.a.digest
    plant.fleet.north = plant.north
    assert [told["subject"] for told in plant.fleet.audit("device.cloned")] == ["press-1"]
    one.turn()
    assert not one.line.trouble


def test_two_agents_with_one_identity_are_told_of_before_either_renews(plant, made):
    plant.upload(made.a)
    one = plant.agent("press-1")
    plant.completed(made.a)
    shutil.copytree(one.state, one.state.with_name("copy"), symlinks=True)

    def told():
        plant.settle()
        return [entry["subject"] for entry in plant.fleet.audit("device.cloned")]

    for _ in range(5):  # started anew, again and again: one agent
        one = plant.agent("press-1")
        one.turn()
    assert told() == []
    copy = plant.agent("copy")
    for _ in range(4):
        for agent in (copy, one):
            agent.turn()
            told()
    assert told() == ["press-1"], "once"


def test_another_tenants_device_gets_nothing_of_this_tenants(plant, made):
    """Of each call that names something: the same answer as for what never was."""
    for bundle in (made.large, made.larger):
        plant.upload(bundle)
    plant.agent("press-1")
    plant.completed(made.large)
    state, tenant = plant.fleet.state, plant.fleet.tenant
    library.delta(state, tenant, made.larger.digest, made.large.digest)
    plant.made_deltas()
    recipe = library.delta(state, tenant, made.larger.digest, made.large.digest)
    asked = plant.north.post("/api/edge/devices/press-1/collect", {"kind": "log"})["number"]
    with state.database.read(tenant) as session:
        files = list(session.scalars(select(library.tables.Piece.digest)))
    assert recipe and files
    stranger = plant.fleet.device("press-1", by=plant.hub.south)  # of the same name, too
    absent = "ab" * 32
    pairs = [(f"bundles/{absent}", f"bundles/{one}") for one in files]
    pairs += [(f"files/{absent}", f"files/{one}") for one in files]
    pairs += [(f"deltas/{absent}/{absent}", f"deltas/{made.larger.digest}/{made.large.digest}")]
    pairs += [(f"updates/7.{role}.json", f"updates/{name}") for role, name in
              (("targets", "2.targets.json"), ("root", "1.root.json"), ("snapshot", "2.snapshot.json"))]  # fmt: skip
    for never, theirs in pairs:
        told = [stranger.ask("GET", path) for path in (never, theirs)]
        assert [answer.status for answer, _ in told] == [404, 404], theirs
        details = [json.loads(body)["detail"] for _, body in told]
        for number, path in enumerate((never, theirs)):
            for part in path.split("/")[1:]:
                details[number] = details[number].replace(part, "")
        assert details[0] == details[1]
    for kind, number in (("log", asked), ("log", 99), ("diagnostics", 1)):
        assert stranger.status("PUT", f"uploads/{kind}/{number}", b"mine") == 404
        stranger.close()
    assert plant.north.get("/api/edge/devices/press-1/uploads")["items"] == []
    status, told = stranger.sync()
    assert status == 200 and told["release"] is None and told["collect"]["log"] == 0
    before = plant.told("press-1")
    assert stranger.status("POST", "reports", render(Report("boot-1", 1, events=(Event(0.0, "booted"),)))) == 200
    assert plant.told("press-1") == before


def test_reports_that_come_twice_and_in_any_order_count_once(plant, made):
    plant.upload(made.a)
    one = plant.agent("press-1")
    plant.completed(made.a)
    now, nature = plant.clock().timestamp(), Behaviour().device("x")
    told = [nature.observe(Behaviour(), "m", made.a.digest, now - 60, 60.0) for _ in range(8)]
    reports = [Report(boot, n, (seen,), (Event(now, f"e{n}"),)) for n, seen in enumerate(told) for boot in ("b1", "b2")]
    sent = reports * 2
    random.Random(1).shuffle(sent)
    for report in sent:
        receipt = one.report(report)
        assert (receipt.boot, receipt.sequence) == (report.boot, report.sequence)
    assert plant.told("press-1").count == len(reports)
    with plant.fleet.state.database.read(plant.fleet.tenant) as session:
        rows = session.scalars(select(Period).where(Period.device == "press-1")).all()
        kinds = session.scalars(select(Happening.kind).where(Happening.kind.startswith("e"))).all()
    counted = [Rollup.from_json(unpack(row.told)).told.counters["requests"] for row in rows]
    assert sum(counted) == 2 * sum(seen.counters["requests"] for seen in told)
    assert sorted(kinds) == sorted(f"e{n}" for n in range(8) for _ in range(2))


ROUTES = {
    "sync": "POST", "reports": "POST", "renew": "POST", "enrol": "POST", "anchors": "GET",
    "updates/timestamp.json": "GET",
    "uploads/log/1": "PUT", "deltas/" + "ab" * 32 + "/" + "cd" * 32: "GET", "files/" + "ab" * 32: "GET",
    "bundles/" + "ab" * 32: "GET",
}  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
    st.tuples(st.sampled_from([b"[", b'{"a":', b'"', b"9"]), st.integers(1, 40_000)).map(lambda two: two[0] * two[1]),
)


@pytest.fixture
def valid():
    """Messages that are right, as JSON values."""
    observation = Behaviour().device("x").observe(Behaviour(), "m", "ab" * 32, 0.0, 900.0)
    report = Report("b", 1, (observation,), (Event(0.0, "k"),))
    return {"sync": Sync(0, "b").to_json(), "reports": report.to_json()}


def spoilt(draw, value):
    """The value with one place of it replaced."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: spoilt(draw, value[name])}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        return [spoilt(draw, value[0]), *value[1:]]
    odd = [None, True, -1, 2**63, 1e308, float("nan"), float("inf"), "", "\0", "x" * 5000, [], {}, [[]], "\ud800"]
    return draw(st.sampled_from(odd))


def test_whatever_is_sent_is_answered_and_no_more(plant, valid):
    """No 500, nothing of the hub's inside, and the connection goes on or is closed as it was said."""
    plant.fleet.state.tries._burst = plant.fleet.state.tries._per_s = 1e6
    device = plant.fleet.device("press-1")
    seen = set()

    @hypothesis.given(data=st.data())
    @hypothesis.settings(max_examples=150, suppress_health_check=list(hypothesis.HealthCheck))
    def ask(data):
        path = data.draw(st.sampled_from(sorted(ROUTES)))
        method = data.draw(st.sampled_from([ROUTES[path]] * 4 + ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]))
        if path in valid and data.draw(st.booleans()):
            body = json.dumps(spoilt(data.draw, valid[path])).encode()
        else:
            body = data.draw(BODIES)
        query = data.draw(st.sampled_from(["", "?wait=0", "?wait=nan", "?wait=-1", "?wait=%00", "?" + "a" * 5000]))
        query = "?wait=0" if path == "sync" and query == "" else query
        try:
            answer, told = device.ask(method, path + query, body)
        except (ConnectionError, OSError):
            device.close()  # a body that is too long to be heard out
            answer, told = device.ask(method, path + query, body)
        seen.add(answer.status)
        assert answer.status < 500 or answer.status == 503, (method, path, body[:100], told)
        assert b"Traceback" not in told and str(plant.fleet.folder.parent).encode() not in told
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json" or method == "OPTIONS"
            assert "instance" in json.loads(told) or json.loads(told)["status"] == answer.status
        if answer.headers.get("Connection") == "close":
            device.close()

    ask()
    assert {200, 404, 405, 422} <= seen, seen
    device.revision = 0
    assert device.sync()[0] == 200, "and who behaves is served"


@pytest.mark.parametrize(
    ("path", "limit"), [("sync", "Sync"), ("reports", "Report"), ("renew", "Renew"), ("enrol", "Enrol")]
)
def test_bodies_that_are_too_long(plant, path, limit):
    """A little is heard out; far too much ends the connection. Nothing of it is kept in memory."""
    device = plant.fleet.device("press-1")
    answer, told = device.ask("POST", path, b" " * (LIMITS[limit] + 1))
    assert answer.status == 413 and json.loads(told)["status"] == 413
    assert device.sync()[0] == 200, "on the same connection"
    with contextlib.suppress(OSError):
        answer, _ = device.ask("POST", path, b" " * (LIMITS[limit] + 2**22))
        assert answer.status == 413
    device.close()
    assert device.sync()[0] in (200, 204)
