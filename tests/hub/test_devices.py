"""Devices and the hub over real TLS: coming in, being told, being shut out."""

import http.client
import json
import shutil
import socket
import ssl
import time
from dataclasses import replace

import pytest

from edgewright.core.messages import Enrol, Facts, Release, Renew, Status, Sync, render
from edgewright.hub.fleet.ca import authority, renew_ca
from edgewright.hub.fleet.tables import Certificate
from edgewright.hub.listener import server
from edgewright.hub.web import connections
from edgewright.trust.authority import begin_request, load_identity, pending_digest

BUNDLE = "ab" * 32
RELEASE = Release("r1", BUNDLE)


def test_a_device_comes_in_by_its_token_and_is_told_what_it_should_be(fleet):
    device = fleet.device("press-1", group="line-3", labels={"hall": "2"})
    assert device.enrolled.device == "press-1" and device.enrolled.tenant == fleet.tenant
    status, told = device.sync()
    assert status == 200 and told["release"] is None and "BEGIN CERTIFICATE" in told["anchors"][0]
    assert device.sync() == (204, None)
    assert fleet.row("press-1").group == "line-3" and fleet.row("press-1").labels == {"hall": "2"}
    assert [one["subject"] for one in fleet.audit("device.enrolled")] == ["press-1"]


def test_a_parked_poll_is_answered_when_another_process_writes(fleet):
    device = fleet.device("a")
    device.sync()
    device.send_sync(60)
    fleet.assign(RELEASE, "a")  # nobody rings a bell: the watcher finds it
    status, told = device.synced()
    assert status == 200 and told["release"]["bundle"] == BUNDLE
    assert device.sync() == (204, None)


def test_a_poll_without_news_ends_after_its_wait(fleet):
    device = fleet.device("a")
    device.sync()
    assert device.sync(wait=0.2) == (204, None)


def test_a_device_ahead_of_a_restored_hub_gets_its_state_at_once(fleet):
    device = fleet.device("a")
    device.revision = 900
    status, told = device.sync(wait=60)
    assert status == 200 and told["revision"] == 1


def test_what_a_device_says_is_kept_when_it_says_something_new(fleet, clock):
    device = fleet.device("a")
    now = clock().timestamp()
    said = Status("idle", current=BUNDLE, good=BUNDLE, clock_s=now + 3600, free_bytes=5, reason="a\0b")
    device.sync(status=said, facts=Facts(target="pi", machine="m\x1b"))
    wait_for(lambda: fleet.row("a").current == BUNDLE)
    row = fleet.row("a")
    assert (row.target, row.offset_s, row.boot, row.status["reason"]) == ("pi", 3600.0, "b1", "a b")
    assert row.facts["machine"] == "m "
    changed = row.changed
    clock.go_on(seconds=1)
    device.close()
    device.sync(status=replace(said, free_bytes=6, clock_s=now + 3601))
    device.sync(status=replace(said, state="trial", clock_s=now + 3601))
    wait_for(lambda: fleet.row("a").status["state"] == "trial")
    assert fleet.row("a").changed > changed
    shown = fleet.north.get("/api/edge/devices/a")
    assert shown["online"] and shown["state"] == "trial" and shown["current"] == BUNDLE


def test_silence_is_told_after_ninety_seconds(fleet, clock):
    fleet.device("a").sync()
    wait_for(lambda: fleet.row("a").seen is not None)
    assert [one["name"] for one in fleet.north.get("/api/edge/devices?state=online")["items"]] == ["a"]
    clock.go_on(seconds=91)
    assert fleet.north.get("/api/edge/devices?state=online")["items"] == []
    assert [one["name"] for one in fleet.north.get("/api/edge/devices?state=offline")["items"]] == ["a"]


@pytest.mark.parametrize("parked", [True, False])
def test_a_revoked_device_is_shut_out_at_once(fleet, parked):
    device = fleet.device("a")
    device.sync()
    if parked:
        device.send_sync(60)
    fleet.north.post("/api/edge/devices/a/revoke", None, 200)
    began = time.monotonic()
    status, told = device.synced() if parked else device.sync(wait=60)
    assert status == 403 and told["type"] == "urn:edgewright:problem:forbidden" and time.monotonic() - began < 30
    device.close()
    assert device.sync()[0] == 403 and device.renew() == 403
    again = fleet.north.post("/api/edge/enrolments", {"device": "a"}, 409)
    assert "revoked" in again["detail"]


def test_a_certificate_of_another_hub_or_none_is_not_let_in(fleet, tmp_path):
    stranger = fleet.stranger("s")
    stranger.trust(fleet.token())
    for path, method in (("sync", "POST"), ("reports", "POST"), ("renew", "POST"), ("files/" + BUNDLE, "GET")):
        assert stranger.status(method, path) == 401, path
    # One that the hub's CA signed and the hub does not know: its issuing key was stolen.
    device = fleet.device("a")
    with fleet.state.database.write(fleet.tenant) as session:
        session.delete(session.find(Certificate, load_identity(device.folder).peer.serial))
    assert device.sync()[0] == 401


def test_tokens_work_once_and_say_nothing_to_those_who_guess(fleet, clock):
    token = fleet.token(device="a")
    first, second = fleet.stranger("a"), fleet.stranger("a")
    assert first.enrol(token)[0] == 200
    assert first.enrol(token)[0] == 401  # install() made the pending key the device's own: this is another key
    assert second.enrol(token)[0] == 401
    status, told = second.enrol(token[:-3] + "abc")
    assert status == 401 and "mistyped" in json.loads(told)["detail"]
    late = fleet.token(device="b", hours=1)
    clock.go_on(hours=2)
    assert fleet.stranger("b").enrol(late)[0] == 401
    gone = fleet.north.post("/api/edge/enrolments", {})
    fleet.north.ask("DELETE", f"/api/edge/enrolments/{gone['id']}", 200)
    assert fleet.stranger("c").enrol(gone["token"])[0] == 401


def test_a_lost_answer_to_an_enrolment_is_given_again(fleet):
    device = fleet.stranger("a")
    token = fleet.token()
    device.trust(token)
    message = render(Enrol(begin_request(device.folder).decode(), token, "a"))
    assert device.status("POST", "enrol", message) == 200  # the device does not hear it
    assert device.enrol(token, "a")[0] == 200
    assert device.enrolled.device == "a" and device.sync()[0] == 200


def test_a_key_is_let_in_when_it_is_authorised(fleet):
    device = fleet.stranger("a")
    device.trust(fleet.token())
    message = render(Enrol(begin_request(device.folder).decode(), "", "a"))
    answer, _ = device.ask("POST", "enrol", message)
    assert answer.status == 202 and int(answer.headers["Retry-After"]) > 0
    body = {"device": "a", "key": pending_digest(device.folder)}
    assert fleet.north.post("/api/edge/enrolments", body)["token"] == ""
    fleet.north.post("/api/edge/enrolments", body, 409)
    assert device.enrol("", "a")[0] == 200 and device.sync()[0] == 200


def test_a_taken_name_is_not_given_twice_but_its_machine_may_be_replaced(fleet):
    fleet.device("a")
    other = fleet.stranger("b")
    other.enrol(fleet.token(), "a")
    assert other.enrolled.device.startswith("a-")
    replaced = fleet.device("a")  # a token for this very name
    assert replaced.sync()[0] == 200
    assert fleet.devices[0].sync()[0] == 409


def test_certificates_are_renewed_also_when_they_ended(fleet, clock):
    device = fleet.device("a")
    device.sync()
    first = load_identity(device.folder).peer.serial
    clock.go_on(days=31)
    assert device.sync()[0] == 401
    assert device.renew() == 200 and load_identity(device.folder).peer.serial != first
    assert device.sync()[0] in (200, 204)
    clock.go_on(days=30 + 366)
    assert device.renew() == 401


def test_an_older_certificate_after_a_newer_one_is_a_clone_and_is_told_once(fleet):
    device = fleet.device("a")
    device.sync()
    clone = fleet.stranger("clone")
    shutil.copytree(device.folder, clone.folder)
    assert clone.sync()[0] in (200, 204)
    assert device.renew() == 200 and clone.sync()[0] in (200, 204)  # not used yet: the answer may have been lost
    device.sync()
    for _ in range(3):
        status, told = clone.sync()
        assert status == 409 and "newer certificate" in told["detail"]
    assert clone.status("POST", "renew", render(Renew(begin_request(clone.folder).decode()))) == 409
    wait_for(lambda: fleet.audit("device.cloned"))
    assert len(fleet.audit("device.cloned")) == 1


def test_of_two_tenants_who_authorised_a_key_the_first_has_the_device_while_that_holds(fleet, clock, monkeypatch):
    device = fleet.stranger("a")
    device.trust(fleet.token())
    digest = (begin_request(device.folder), pending_digest(device.folder))[1]
    monkeypatch.setattr("edgewright.hub.fleet.routes_enrolments.is_authorised", lambda *_: False)  # at the same moment
    for who, hours in ((fleet.hub.north, 1), (fleet.hub.south, 9)):
        who.post("/api/edge/enrolments", {"key": digest, "hours": hours})
        clock.go_on(minutes=1)
    assert device.enrol("")[0] == 200 and device.enrolled.tenant == fleet.tenant
    other = fleet.stranger("b")
    other.trust(fleet.token())
    digest = (begin_request(other.folder), pending_digest(other.folder))[1]
    for who, hours in ((fleet.hub.north, 1), (fleet.hub.south, 9)):
        who.post("/api/edge/enrolments", {"key": digest, "hours": hours})
    clock.go_on(hours=2)
    assert other.enrol("")[0] == 200 and other.enrolled.tenant == fleet.hub.tenants["south"]


def test_other_tenants_tokens_and_keys_stay_theirs(fleet):
    device = fleet.stranger("a")
    device.trust(fleet.token())
    digest = (begin_request(device.folder), pending_digest(device.folder))[1]
    fleet.north.post("/api/edge/enrolments", {"key": digest, "hours": 1})
    told = fleet.hub.south.post("/api/edge/enrolments", {"key": digest}, 409)
    assert "north" not in told["detail"] and fleet.tenant not in told["detail"]
    assert device.enrol("")[0] == 200 and device.enrolled.tenant == fleet.tenant
    south = fleet.device("b", by=fleet.hub.south)
    assert south.enrolled.tenant == fleet.hub.tenants["south"]
    fleet.north.ask("GET", "/api/edge/devices/b", 404)


@pytest.mark.parametrize(
    "path, method, body, status",
    [
        ("sync", "POST", b"{", 422), ("sync", "POST", b"x" * 20_000, 413), ("sync", "GET", b"", 405),
        ("sync?wait=x", "POST", b"{}", 422), ("nothing", "GET", b"", 404), ("uploads/other/1", "PUT", b"", 404),
        ("bundles/zz", "GET", b"", 404), ("updates/..%2f..", "GET", b"", 404), ("reports", "POST", b"[]", 422),
        ("sync", "POST", render(Sync(0, "b")).replace(b'"b"', b'"\\u0000"'), 422),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(fleet, path, method, body, status):
    device = fleet.device("a")
    answer, told = device.ask(method, path, body)
    assert answer.status == status and answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(told)["status"] == status


def test_what_is_no_http_is_answered_and_a_head_without_end_is_not(fleet):
    device = fleet.device("a")
    with device.raw() as raw:
        raw.sendall(b"\x16\x03nonsense\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 400")
    with device.raw() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000)
        assert ended(raw)
    assert device.sync()[0] == 200


@pytest.mark.parametrize("rest", [b"X: a\r\n", b"x"])
def test_trailers_without_end_end_the_connection(fleet, rest):
    device = fleet.device("a")
    with device.raw() as raw:
        raw.sendall(b"POST /device/v1/enrol HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n")
        with pytest.raises(OSError):
            for _ in range(10_000):
                raw.sendall(rest * 4_000)


def ended(raw):
    try:
        return raw.recv(4096) == b""
    except OSError:
        return True


def test_clients_that_do_not_go_on_are_given_up(fleet, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(connections, "BODY_S", 0.5)
    device = fleet.device("a")
    device.sync()
    device.send_sync(60)  # waits for us, not we for it
    with device.raw() as silent, device.raw() as slow:
        slow.sendall(b"POST /device/v1/sync HTTP/1.1\r\nContent-Length: 10\r\n\r\n{")
        assert ended(silent) and ended(slow)
    fleet.assign(RELEASE, "a")
    assert device.synced()[0] == 200


def test_silent_handshakes_make_room_for_others(fleet, monkeypatch):
    monkeypatch.setattr(server, "_MOST_HANDSHAKES", 4)
    monkeypatch.setattr(server, "_SILENT_S", 0.0)
    device = fleet.device("a")
    silent = [socket.create_connection((device.host, device.port), 30) for _ in range(8)]
    assert device.sync()[0] == 200
    assert silent[0].recv(1) == b""
    for one in silent:
        one.close()


def test_the_listener_takes_another_certificate_while_it_runs(fleet, clock):
    device = fleet.device("a")
    device.sync()
    first = ssl.get_server_certificate((device.host, device.port))
    clock.go_on(days=61)
    fleet.listener.renew()
    assert ssl.get_server_certificate((device.host, device.port)) != first
    assert device.renew() == 200 and device.sync()[0] in (200, 204)


def test_the_ca_rotates_and_old_devices_stay(fleet, clock):
    device, other = fleet.device("a"), fleet.device("b")
    device.sync()
    clock.go_on(days=4 * 365)
    assert renew_ca(fleet.state) and not renew_ca(fleet.state)
    fleet.listener.renew()
    assert other.renew() == 401  # it was off for longer than a year
    fleet.north = fleet.hub.log_in_again("north")
    assert fleet.device("b").sync()[0] == 200
    assert len(authority(fleet.state).issuing) == 2


def test_configuration_and_requests_for_logs_reach_the_device(fleet):
    device = fleet.device("a")
    device.sync()
    device.send_sync(60)
    body = {"config": {"threads": 2}, "collect": {"period_s": 60.0}, "group": "line-4", "labels": {}}
    fleet.north.ask("PATCH", "/api/edge/devices/a", 200, json=body)
    status, told = device.synced()
    assert status == 200 and told["config"] == {"threads": 2} and told["collect"]["period_s"] == 60.0
    asked = fleet.north.post("/api/edge/devices/a/collect", {"kind": "log"})
    status, told = device.sync(wait=60)
    assert told["collect"]["log"] == asked["number"] == 1
    assert device.status("PUT", "uploads/log/1", b"a line") == 204
    assert device.status("PUT", "uploads/log/2", b"not asked for") == 404
    (upload,) = fleet.north.get("/api/edge/devices/a/uploads")["items"]
    assert upload["number"] == 1 and upload["size_bytes"] == 6
    assert fleet.north.ask("GET", "/api/edge/devices/a/uploads/log/1", 200).content == b"a line"
    assert fleet.north.get("/api/edge/groups")["items"] == [
        {"name": "line-4", "devices": 1, "online": 1, "changed": None}
    ]


def test_when_the_hub_ends_parked_polls_are_sent_elsewhere(fleet):
    device = fleet.device("a")
    device.sync()
    device.send_sync(60)
    wait_for(lambda: fleet.listener.app.polls.count == 1)
    fleet.listener.stop()
    answer = device.connection.getresponse()
    assert answer.status == 503 and 1 <= int(answer.headers["Retry-After"]) <= 10
    assert answer.headers["Connection"] == "close"
    with pytest.raises((OSError, http.client.HTTPException, ssl.SSLError)):
        device.close()
        device.sync()


def test_devices_that_are_answered_all_at_once_still_hear_how_many_they_are(fleet, monkeypatch):
    monkeypatch.setattr("edgewright.hub.listener.polls.RETURNS_PER_S", 0.1)
    device = fleet.device("a")
    device.sync()
    device.send_sync(60)
    wait_for(lambda: fleet.listener.app.polls.count == 1)
    fleet.assign(Release("r", "ab" * 32), "a")
    answer = device.connection.getresponse()
    assert (answer.status, answer.headers["Edgewright-Spread"]) == (200, "10"), "though nobody is parked now"


def wait_for(seen, seconds=20.0):
    """What another thread is about to write."""
    until = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def test_an_empty_line_ends_a_parked_poll(fleet):
    device = fleet.device("a")
    body = b'{"revision":%d,"boot":"b1"}' % device.sync(wait=0)[1].get("revision", 0)
    head = f"POST /device/v1/sync?wait=55 HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with device.raw() as raw:
        raw.settimeout(30)
        for sent in (
            [head + body, b"\r\n"],
            [head + body + b"\r\n"],
            [head, body + b"\r\n"],
            [head + body, head + body, b"\r\n"],
            [head + body + head + body + b"\r\n"],
        ):
            for part in sent:
                raw.sendall(part)
            answers, wanted = b"", b"".join(sent).count(head)
            while answers.count(b"HTTP/1.1 204") < wanted:
                answers += raw.recv(4096)  # long before the 55 s are over
