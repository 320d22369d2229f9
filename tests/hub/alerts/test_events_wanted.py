"""Webhooks that want events: signed, once, in their order, whoever is killed in between."""

import asyncio
import contextlib
import json
import signal
import threading
import time
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from alerts_receivers import make, verify

from edgewright.hub.alerts import delivering, webhooks
from edgewright.hub.alerts.sending import Sender
from edgewright.hub.events import emit
from edgewright.hub.jobs.queue import add, move
from edgewright.hub.outgoing import KINDS
from edgewright.hub.outgoing.entering import waiting
from edgewright.hub.state import open_state

PATH = "/api/edge/webhooks"


@pytest.fixture
def send(hub):
    with contextlib.closing(Sender(hub.state)) as sender:
        yield sender.round


def job(state, tenant, end="done", now=None):
    """A job that is queued, and ends: its id."""
    now = now or state.clock()
    with state.database.write(tenant) as session:
        row = add(session, "optimization", {"budget_s": 1}, {}, "ab" * 32, "usr_" + "0" * 26, now)
        move(session, row, end, now, "said by a test")
    return row.id


def end_job(hub, who="north", now=None):
    return job(hub.state, hub.tenants[who], now=now)


def deliveries(who, hook):
    return who.get(f"{PATH}/{hook['id']}/deliveries")["items"]


def test_a_jobs_end_is_told_signed_to_who_wants_it_and_nobody_else(hub, clock, send, receiver):
    hook = make(hub.north, receiver.url, least=None, events=["job.state"])
    for who, body in ((hub.north, {}), (hub.north, {"events": ["model.state"]}), (hub.south, {"events": [*KINDS]})):
        make(who, receiver.url + "/others", **body)
    name = end_job(hub)
    with hub.state.database.write(hub.tenants["north"]) as session:
        emit(session, "job.progress", name, {"stage": "search"}, clock())
    send()
    (queued, done) = receiver.got
    for path, headers, body in (queued, done):
        assert path == "/hook" and verify(hook["secret"], headers, body, clock())
    told = json.loads(done[2])
    events = [one for one in hub.north.get("/api/edge/events")["items"] if one["kind"] == "job.state"]
    number = events[-1]["seq"]
    assert told["type"] == "job.state" and told["timestamp"] == events[-1]["at"]
    assert told["data"] == {**events[-1]["data"], "of": name, "number": number, "tenant": hub.tenants["north"]}
    assert told["data"]["state"] == "done" and told["data"]["reason"] == "said by a test"
    assert [json.loads(body)["data"]["number"] for _, _, body in receiver.got] == [number - 1, number]
    listed = deliveries(hub.north, hook)
    assert [(one["event"], one["alert"], one["state"], one["tries"]) for one in listed] == [
        ("job.state", "", "delivered", 1)
    ] * 2
    send()
    assert len(receiver.got) == 2
    end_job(hub, "south")
    send()
    assert {path for path, _, _ in receiver.got[2:]} == {"/hook/others"}
    assert deliveries(hub.north, hook) == listed


def test_no_severity_is_no_alert_and_old_wishes_stay(hub, minute, receiver):
    make(hub.north, receiver.url, least=None, events=["rollout.state"])
    make(hub.north, receiver.url + "/old")
    minute(minutes=3)
    end_job(hub)
    minute()
    assert [(path, json.loads(body)["type"]) for path, _, body in receiver.got] == [("/hook/old", "alert.raised")]


def test_one_that_fails_gets_the_same_id_again_and_what_waits_keeps_its_place(hub, clock, send, receiver):
    hook = make(hub.north, receiver.url, events=["job.state"])
    receiver.status = 503
    end_job(hub)
    send()
    assert len(receiver.got) == 1
    end_job(hub)
    send()
    assert len(receiver.got) == 1  # the later ones wait behind it
    clock.go_on(minutes=3)
    receiver.status = 200
    send()
    numbers = [json.loads(body)["data"]["number"] for _, _, body in receiver.got]
    ids = [headers["webhook-id"] for _, headers, _ in receiver.got]
    assert numbers == [1, 1, 2, 3, 4] and ids[0] == ids[1] and len(set(ids)) == 4
    assert all(verify(hook["secret"], headers, body, clock()) for _, headers, body in receiver.got[1:])
    assert {one["id"] for one in deliveries(hub.north, hook)} == set(ids)


def test_they_come_in_the_order_of_their_numbers_whatever_clocks_say(hub, clock, send, receiver):
    make(hub.north, receiver.url, events=["job.state"])
    for seconds in (0, -30, 20, -40):
        end_job(hub, now=clock() + timedelta(seconds=seconds))
    send()
    clock.go_on(seconds=30)
    send()
    assert [one["data"]["number"] for one in receiver.bodies()] == list(range(1, 9))


def test_an_event_that_is_taken_back_is_told_to_nobody(hub, send, receiver):
    hook = make(hub.north, receiver.url, events=["job.state"])
    with pytest.raises(RuntimeError), hub.state.database.write(hub.tenants["north"]) as session:
        emit(session, "job.state", "job_" + "0" * 26, {"state": "done"}, hub.state.clock())
        raise RuntimeError
    send()
    assert receiver.got == [] and deliveries(hub.north, hook) == []


def test_a_message_that_was_made_while_its_webhook_was_removed_troubles_nobody(hub, minute, receiver):
    hook = make(hub.north, receiver.url, events=["job.state"])
    hub.north.ask("DELETE", f"{PATH}/{hook['id']}", 204)
    with hub.state.database.write(hub.tenants["north"]) as session:
        session.add(waiting(hub.tenants["north"], hook["id"], "", "job.state", "{}", hub.state.clock()))
    minute(ill=False, minutes=3)
    (one,) = hub.north.get("/api/edge/alerts/deliveries")["items"]
    assert (one["state"], one["told"]) == ("given_up", "the webhook was removed") and receiver.got == []
    assert hub.north.get("/api/edge/alerts?state=open")["items"] == []


def test_a_hub_that_ends_before_it_sent_loses_nothing_and_doubles_nothing(hub, receiver):
    hook = make(hub.north, receiver.url, events=["job.state"])
    end_job(hub)
    with contextlib.closing(Sender(replace(hub.state, _parts={}))) as another:
        another.round()
        another.round()
    assert [one["data"]["number"] for one in receiver.bodies()] == [1, 2]
    assert [one["tries"] for one in deliveries(hub.north, hook)] == [1, 1]


def test_a_hub_that_ends_between_sending_and_writing_sends_the_same_id_again(hub, clock, receiver, monkeypatch):
    hook = make(hub.north, receiver.url, events=["job.state"])
    end_job(hub)
    post = webhooks.post

    async def ends(*given):
        await post(*given)
        raise SystemError("it was killed")

    monkeypatch.setattr(webhooks, "post", ends)
    with pytest.raises(SystemError):
        delivering.deliver(hub.state, hub.tenants["north"])
    monkeypatch.undo()
    assert len(receiver.got) == 1
    with contextlib.closing(Sender(replace(hub.state, _parts={}))) as another:
        another.round()
        assert len(receiver.got) == 1  # it may be about to write
        clock.go_on(seconds=delivering.LEASE.total_seconds() + 1)
        another.round()
    ids = [headers["webhook-id"] for _, headers, _ in receiver.got]
    assert len(ids) == 3 and ids[0] == ids[1] != ids[2]
    assert [one["state"] for one in deliveries(hub.north, hook)] == ["delivered"] * 2


def test_several_workers_send_each_message_once(hub, receiver):
    make(hub.north, receiver.url, events=["job.state"])
    failed, gate = [], threading.Barrier(3)

    def work():
        with contextlib.closing(Sender(replace(hub.state, _parts={}))) as own:
            gate.wait()
            for _ in range(4):
                try:
                    own.round()
                except Exception as error:  # noqa: BLE001 - told by the assertion below
                    failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        end_job(hub)
    for thread in threads:
        thread.join()
    with contextlib.closing(Sender(hub.state)) as last:
        last.round()
    assert failed == []
    assert [one["data"]["number"] for one in receiver.bodies()] == list(range(1, 13))


def test_what_one_call_has_no_time_for_the_next_one_sends(hub, send, receiver, monkeypatch):
    hook = make(hub.north, receiver.url, events=["job.state"])
    end_job(hub)
    monkeypatch.setattr(delivering, "BEGIN_S", -1.0)
    send()
    assert receiver.got == [] and {one["tries"] for one in deliveries(hub.north, hook)} == {0}
    monkeypatch.undo()
    send()
    assert [one["data"]["number"] for one in receiver.bodies()] == [1, 2]


@pytest.mark.parametrize("slow", ["north", "south"])
def test_a_slow_tenant_holds_up_no_other(hub, send, receiver, monkeypatch, slow):
    post, arrived = webhooks.post, threading.Event()

    async def held(asking, hook, *rest):
        if hook.url.endswith(slow):
            assert await asyncio.to_thread(arrived.wait, 60), "the other one waited for this one"
        outcome = await post(asking, hook, *rest)
        if len(receiver.got) == 2:
            arrived.set()
        return outcome

    monkeypatch.setattr(webhooks, "post", held)
    for who in ("north", "south"):
        make(getattr(hub, who), f"{receiver.url}/{who}", events=["job.state"])
        end_job(hub, who)
    send()
    assert [path.endswith(slow) for path, _, _ in receiver.got] == [False, False, True, True]


def until(seen, what, seconds=90.0):
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_what_it_wants_can_be_changed(hub, send, receiver):
    hook = make(hub.north, receiver.url)
    assert (hook["least"], hook["events"]) == ("warning", [])
    path = f"{PATH}/{hook['id']}"

    def change(body, status=200):
        return hub.north.ask("PATCH", path, status, json=body).json()

    told = change({"events": ["model.state", "job.state", "job.state"]})
    assert (told["least"], told["events"]) == ("warning", ["job.state", "model.state"]) and "secret" not in told
    assert change({"least": None})["least"] is None
    assert change({})["events"] == ["job.state", "model.state"]
    assert hub.north.get(PATH)["items"] == [told | {"least": None}]
    end_job(hub)
    change({"least": "critical", "events": []})
    end_job(hub)
    send()
    assert [one["data"]["number"] for one in receiver.bodies()] == [1, 2]
    assert "would be told nothing" in change({"least": None}, 422)["detail"]
    log = hub.north.get("/api/edge/audit?limit=200")["items"]
    changed = [one["detail"] for one in log if one["action"] == "webhook.changed"]
    assert {"least": "critical", "events": []} in changed and len(changed) == 4
    hub.south.ask("PATCH", path, 404, json={"events": []})
    hub.user("viewer", "viewer").ask("PATCH", path, 403, json={"events": []})


@pytest.mark.parametrize(
    "events", [["job.progress"], ["alert.raised"], ["nothing"], [1], "job.state", ["job.state"] * 9]
)
def test_kinds_that_cannot_be_wanted_are_refused_and_those_that_can_named(hub, events):
    hook = make(hub.north, "https://hooks.example.com/")
    url = {"url": "https://hooks.example.com/"}
    for verb, path, more in (("POST", PATH, url), ("PATCH", f"{PATH}/{hook['id']}", {})):
        told = hub.north.ask(verb, path, 422, json={"events": events} | more).text
        if isinstance(events, list) and len(events) == 1:
            assert all(kind in told for kind in KINDS), told
    told = hub.north.ask("POST", PATH, 422, json=url | {"least": None}).json()["detail"]
    assert all(kind in told for kind in KINDS)


def test_events_that_one_may_not_see_cannot_be_sent_elsewhere(hub):
    body = {"name": "ci", "scopes": ["alerts.read", "alerts.write", "models.read"]}
    token = hub.north.post("/api/edge/tokens", body)["token"]
    hub.nobody.client.headers["Authorization"] = f"Bearer {token}"
    url = {"url": "https://hooks.example.com/"}
    told = hub.nobody.ask("POST", PATH, 403, json=url | {"events": ["job.state"]}).json()["detail"]
    assert told.endswith("that takes jobs.read")
    hook = hub.nobody.post(PATH, url | {"events": ["model.state"]})
    hub.nobody.ask("PATCH", f"{PATH}/{hook['id']}", 403, json={"events": ["rollout.state"]})
    hub.north.ask("PATCH", f"{PATH}/{hook['id']}", 200, json={"events": ["rollout.state"]})
    hub.nobody.ask("PATCH", f"{PATH}/{hook['id']}", 200, json={"least": "info"})  # what it had it keeps


def test_a_hub_is_killed_an_event_comes_and_the_next_one_tells_it_once(start, tmp_path, receiver):
    first = start("--private-webhooks", "--jobs", "0")
    password = first.lines[0].split()[-1]
    with httpx2.Client(base_url=first.url) as client:
        session = client.post("/api/edge/login", json={"name": "owner", "password": password}).json()
        client.headers["Authorization"] = f"Bearer {session['session']}"
        body = {"now": password, "new": "four unrelated words here"}
        assert client.put("/api/edge/account/password", json=body).status_code == 204
        hook = client.post(PATH, json={"url": receiver.url, "private": True, "events": ["job.state"]}).json()
        tenant = client.get("/api/edge/account").json()["tenant"]["id"]
    with open_state(tmp_path / "hub") as state:  # as a worker beside the hub has it
        first.end(signal.SIGKILL)
        name = job(state, tenant, "done")
        assert receiver.got == []
        second = start("--private-webhooks", "--jobs", "0")
        until(lambda: len(receiver.got) == 2, "what was told while no hub ran")
        job(state, tenant, "failed")
        until(lambda: len(receiver.got) == 4, "what is told while one runs")
        assert {one["data"]["of"] for one in receiver.bodies()[:2]} == {name}
        assert verify(hook["secret"], *receiver.got[-1][1:], state.clock())
    status, told = second.end()  # what is on its way is finished before
    assert status == 0, told
    assert [one["data"]["number"] for one in receiver.bodies()] == [1, 2, 3, 4]
