"""Plans: what a tenant may have, what it is told when that is reached, and that no other tenant's counts."""

from datetime import timedelta

import pytest

from edgewright.core.errors import InputError
from edgewright.hub import plans
from edgewright.hub.errors import TooMany
from edgewright.hub.plans import rules


def give(hub, text, tenant="north"):
    return plans.set_plan(hub.state, tenant, text)


def told(who):
    return {one["what"]: (one["used"], one["limit"]) for one in who.get("/api/edge/plan")["limits"]}


def test_without_a_plan_there_are_no_limits(hub, uploads):
    for i in range(7):
        uploads.model(f"m{i}")
    assert hub.north.get("/api/edge/plan")["name"] == "unlimited"
    assert told(hub.north)["models"] == (7, None) and told(hub.south)["models"] == (0, None)


def test_the_model_after_the_last_one_is_told_why(hub, uploads):
    assert give(hub, "models=2") == "tenant north: plan own: 2 models"
    first = uploads.model("a")
    uploads.model("b")
    refused = hub.north.ask("POST", "/api/edge/models", 402, json={"name": "c"}).json()
    assert refused["type"] == "urn:edgewright:problem:limit-reached"
    assert "allows 2 models, and there are 2; remove some" in refused["detail"]
    uploads.model("c", who=hub.south)
    hub.north.ask("DELETE", f"/api/edge/models/{first}", 204)
    uploads.model("c")
    assert told(hub.north)["models"] == (2, 2)


def test_room_is_taken_when_an_upload_is_announced(hub, uploads, make):
    data = make.npz()
    give(hub, f"storage_bytes={len(data) + 100}")
    place = uploads.begin(data, filename="d.npz", dataset="d").headers["Location"]
    assert told(hub.north)["storage_bytes"] == (len(data), len(data) + 100)
    refused = uploads.begin(101, 402, filename="e.npz", dataset="e").json()
    assert "bytes of models, data, bundles and artifacts" in refused["detail"]
    uploads.send(place, data, 0)
    uploads.check()
    assert told(hub.north)["storage_bytes"][0] == len(data), "what came is counted once"
    hub.north.ask("DELETE", f"/api/edge/datasets/{uploads.result(place)['id']}", 204)
    uploads.begin(101, filename="e.npz", dataset="e")


def test_a_device_beyond_the_plan_is_not_let_in(fleet):
    plans.set_plan(fleet.state, "north", "devices=1")
    fleet.device("press-1")
    status, refused = fleet.stranger("press-2").enrol(fleet.token(device="press-2"))
    assert status == 402 and "allows 1 devices" in str(refused)
    fleet.north.ask("POST", "/api/edge/devices/press-1/revoke", 200)
    status, _ = fleet.stranger("press-3").enrol(fleet.token(device="press-3"))
    assert status == 200


def test_what_is_counted_by_the_day_helps_itself(hub, monkeypatch):
    monkeypatch.setattr(rules, "COUNTED", {})
    give(hub, "jobs_a_day=0")
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants["north"]) as session, pytest.raises(TooMany, match="tomorrow") as refused:
        plans.check(session, now, "jobs_a_day")
    assert timedelta(seconds=refused.value.retry_after_s) == timedelta(hours=14, minutes=30)


def test_plans_are_written_in_words():
    assert rules.read_plan("team")[1]["devices"] == 500 and rules.read_plan("unlimited") == ("unlimited", {})
    own = {"models": 50, "storage_bytes": 20 * 10**9, "devices": 3}
    assert rules.read_plan("models=50, storage_bytes=20GB,devices=3") == ("own", own)
    for text in ("", "gold", "models", "models=", "models=-1", "models=many", "colours=3"):
        with pytest.raises(InputError, match="no plan"):
            rules.read_plan(text)


def test_an_unknown_tenant_has_no_plan(hub):
    with pytest.raises(InputError, match="no tenant"):
        give(hub, "team", "west")
    assert give(hub, "unlimited").endswith("plan unlimited: no limits")
