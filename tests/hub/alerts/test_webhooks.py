"""Webhooks to a real HTTP server: what arrives, what is tried again, what is given up."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from alerts_receivers import NOT_TAKEN, Receiver, make, tried, verify
from sqlalchemy import select

from edgewright.hub.alerts import testing, webhooks
from edgewright.hub.alerts.outbox import PATIENCE, back_off
from edgewright.hub.ids import new_id
from edgewright.hub.outgoing.tables import Delivery, Webhook


def test_a_signature_is_the_standards():
    at = datetime.fromtimestamp(1614265330, UTC)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the vector that its libraries are tested with
    made = webhooks.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_alert_is_posted_signed_once_and_again_when_it_is_over(hub, clock, minute, receiver):
    hook = make(hub.north, receiver.url)
    make(hub.south, receiver.url + "/south")
    minute(minutes=3)
    ((path, headers, body),) = receiver.got
    assert path == "/hook" and headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert verify(hook["secret"], headers, body, clock())
    assert not verify(hook["secret"], headers, body + b" ", clock())
    assert not verify("whsec_" + base64.b64encode(b"x" * 24).decode(), headers, body, clock())
    with pytest.raises(AssertionError, match="replay"):
        verify(hook["secret"], headers, body, clock() + timedelta(minutes=10))
    told = json.loads(body)
    assert told["type"] == "alert.raised" and told["data"]["kind"] == "device.ill"
    assert told["data"]["tenant"] == hub.tenants["north"]
    minute(ill=False, minutes=8)
    assert [(one["type"], one["data"]["state"]) for one in receiver.bodies()] == [
        ("alert.raised", "open"), ("alert.resolved", "resolved")
    ]  # fmt: skip
    listed = hub.north.get(f"/api/edge/webhooks/{hook['id']}/deliveries")["items"]
    assert [(one["state"], one["told"], one["tries"]) for one in listed] == [("delivered", "status 200", 1)] * 2
    assert hub.north.get("/api/edge/alerts/deliveries")["items"] == listed
    assert hub.south.get("/api/edge/alerts/deliveries")["items"] == []


def test_the_secret_is_shown_once_and_lies_sealed(hub, receiver):
    hook = make(hub.north, receiver.url)
    assert "secret" not in hub.north.get("/api/edge/webhooks")["items"][0]
    assert hub.north.get("/api/edge/webhooks")["items"][0] == {k: v for k, v in hook.items() if k != "secret"}
    log = hub.north.ask("GET", "/api/edge/audit").text
    assert "webhook.made" in log and hook["secret"] not in log
    with hub.state.database.read(hub.tenants["north"]) as session:
        (row,) = session.scalars(select(Webhook)).all()
        assert hook["secret"] not in row.secret and hub.state.safe.open(row.secret, row.id) == hook["secret"]


def test_who_may_not_change_webhooks_is_told_their_hosts(hub, receiver):
    """With many services the address is the secret."""
    make(hub.north, f"{receiver.url}?key=s3cr3t")
    for query in ("", "?limit=2&limit=2"):
        (seen,) = hub.user("eve" + str(len(query)), "viewer").get(f"/api/edge/webhooks{query}")["items"]
        assert seen["url"] == f"http://127.0.0.1:{receiver.port}/…"
        (whole,) = hub.north.get(f"/api/edge/webhooks{query}")["items"]
        assert whole["url"].endswith("?key=s3cr3t")


def test_least_severity_is_heeded(hub, minute, receiver):
    make(hub.north, receiver.url, least="critical")
    minute(minutes=2)
    assert receiver.got == []


def test_a_server_that_fails_is_tried_again_later_and_later_under_the_same_id(hub, clock, minute, receiver):
    make(hub.north, receiver.url)
    receiver.status = 503
    minute(minutes=20)
    tries = len(receiver.got)
    assert 4 <= tries <= 6
    receiver.status = 204
    minute(minutes=30)
    ids = [headers["webhook-id"] for _, headers, _ in receiver.got]
    assert len(ids) == tries + 1 and len(set(ids)) == 1
    assert len({headers["webhook-timestamp"] for _, headers, _ in receiver.got}) == len(ids)


def test_order_is_kept_behind_one_that_fails(hub, minute, receiver):
    make(hub.north, receiver.url)
    receiver.status = 500
    minute(minutes=1)
    minute(ill=False, minutes=10)
    assert {one["type"] for one in receiver.bodies()} == {"alert.raised"}
    receiver.status = 200
    minute(ill=False, minutes=30)
    assert [one["type"] for one in receiver.bodies()][-2:] == ["alert.raised", "alert.resolved"]


def test_after_a_day_it_is_given_up_and_told(hub, clock, minute, receiver):
    hook = make(hub.north, receiver.url)
    receiver.status = 500
    minute()
    clock.go_on(hours=24)
    hub.north = hub.log_in_again("north")
    minute(minutes=2)
    (one,) = hub.north.get(f"/api/edge/webhooks/{hook['id']}/deliveries")["items"]
    assert (one["state"], one["told"], one["due"]) == ("given_up", NOT_TAKEN, None)
    told = {a["kind"]: a for a in hub.north.get("/api/edge/alerts?state=open")["items"]}
    assert told["delivery.failing"]["subject"] == f"webhook/{hook['id']}"
    before = len(receiver.got)
    minute(minutes=5)
    assert len(receiver.got) == before  # of its own failing a webhook is told nothing
    receiver.status = 200
    tried(hub, f"/api/edge/webhooks/{hook['id']}/test")
    minute(minutes=8)
    assert "delivery.failing" not in {a["kind"] for a in hub.north.get("/api/edge/alerts?state=open")["items"]}


def test_one_that_is_gone_for_good_is_given_up_at_once(hub, minute, receiver):
    make(hub.north, receiver.url)
    receiver.status = 410
    minute(minutes=5)
    assert len(receiver.got) == 1


def test_a_redirect_is_not_followed(hub, minute, receiver):
    with Receiver() as inner:
        make(hub.north, receiver.url)
        receiver.status, receiver.headers = 307, {"Location": inner.url}
        minute(minutes=2)
        assert len(receiver.got) >= 1 and inner.got == []
    (one,) = hub.north.get("/api/edge/alerts/deliveries")["items"]
    assert (one["state"], one["told"]) == ("waiting", NOT_TAKEN)


def test_a_test_is_posted_at_once_and_not_tried_again(hub, clock, minute, receiver):
    hook = make(hub.north, receiver.url)
    path = f"/api/edge/webhooks/{hook['id']}/test"
    told = tried(hub, path)
    assert (told["state"], told["event"], told["told"]) == ("delivered", "test", "status 200")
    receiver.status = 500
    key = {"Idempotency-Key": "the same test twice"}
    told = tried(hub, path, headers=key)
    assert (told["state"], told["told"]) == ("given_up", NOT_TAKEN)
    again = tried(hub, path, headers=key)
    assert again["id"] == told["id"]
    assert [one["type"] for one in receiver.bodies()] == ["test", "test"]
    minute(ill=False, minutes=5)
    assert len(receiver.got) == 2
    assert hub.north.get("/api/edge/alerts?state=open")["items"] == []
    hub.user("viewer", "viewer").ask("POST", path, 403)


def test_a_test_does_not_hold_who_asks_and_goes_one_at_a_time(hub, receiver):
    receiver.go.clear()
    hook = make(hub.north, receiver.url)
    path = f"/api/edge/webhooks/{hook['id']}/test"
    assert hub.north.post(path, None, 202)["state"] == "waiting"
    assert "on its way" in hub.north.ask("POST", path, 409).text
    receiver.go.set()
    testing.settle(hub.state)
    assert tried(hub, path)["state"] == "delivered" and len(receiver.got) == 2


def test_a_webhook_that_is_removed_hears_nothing_more(hub, minute, receiver):
    hook = make(hub.north, receiver.url)
    receiver.status = 500
    minute()
    hub.north.ask("DELETE", f"/api/edge/webhooks/{hook['id']}", 204)
    receiver.status = 200
    before = len(receiver.got)
    minute(minutes=30)
    assert len(receiver.got) == before and hub.north.get("/api/edge/webhooks")["items"] == []


def test_a_webhook_of_another_tenant_is_not_there(hub):
    hook = make(hub.south, "https://hooks.example.com/")
    for verb, rest in (("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        for id_ in (hook["id"], "whk_" + "0" * 26):
            answer = hub.north.ask(verb, f"/api/edge/webhooks/{id_}{rest}", 404)
            assert answer.json()["detail"] == f"there is no webhook {id_!r}"
    assert len(hub.south.get("/api/edge/webhooks")["items"]) == 1


def test_one_that_never_answers_does_not_hold_up_the_others(hub, minute, receiver, monkeypatch):
    import socket

    monkeypatch.setattr(webhooks, "TRY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        make(hub.north, f"http://127.0.0.1:{mute.getsockname()[1]}/")
        make(hub.north, receiver.url)
        minute()
    assert len(receiver.got) == 1
    told = {one["state"]: one["told"] for one in hub.north.get("/api/edge/alerts/deliveries")["items"]}
    assert told == {"delivered": "status 200", "waiting": NOT_TAKEN}


def test_back_off():
    waits = [back_off(n).total_seconds() / 60 for n in range(1, 12)]
    assert all(
        low <= wait <= low * 1.1 + 0.01 for wait, low in zip(waits, [1, 2, 4, 8, 16, 32, *[60] * 5], strict=True)
    )
    assert sum(waits) < PATIENCE.total_seconds() / 60


def test_old_messages_are_removed(hub, clock, minute, receiver):
    make(hub.north, receiver.url)
    minute()
    old = clock() - timedelta(days=8)
    with hub.state.database.write(hub.tenants["north"]) as session:
        for state in ("delivered", "waiting"):
            session.add(
                Delivery(id=new_id("dlv", int(old.timestamp() * 1000)), channel="whk_gone", alert="", event="test",
                         body="{}", state=state, tries=1, made=old, due=clock() + timedelta(days=1))
            )  # fmt: skip
    minute()
    states = sorted(one["state"] for one in hub.north.get("/api/edge/alerts/deliveries")["items"])
    assert states == ["delivered", "waiting"]
