"""What people can do with rollouts, who may, and what is told of it."""

import pytest
from rollouts_fleet import NEW, NEWER, Fleet

WISH = {"name": "faults-1.1", "bundles": [NEW], "waves": "2d,50,100"}


@pytest.fixture
def north(hub, clock):
    """The fleet of the tenant north; its people come by ``hub``."""
    fleet = Fleet(hub.state, hub.tenants["north"], clock)
    fleet.add(10)
    return fleet


def path(made, *more):
    return "/".join(["/api/edge/rollouts", made["id"], *more])


def test_a_rollout_is_made_shown_and_listed(hub, north):
    made = hub.north.post("/api/edge/rollouts", WISH | {"window": "02:00-04:00", "guardrails": {"errors": 0.05}})
    assert (made["state"], made["devices"], made["waves"]) == ("awaiting_signature", 10, ["2d", "50%", "100%"])
    assert made["counts"] == [{"waiting": 2}, {"waiting": 3}, {"waiting": 5}]
    assert made["bundles"] == {NEW: {"name": "faults", "version": "1.1", "hardware": []}}
    assert made["author"] == hub.north.id
    assert made["look"] is None
    north.round(seconds=1)
    shown = hub.north.get(path(made))
    assert (shown["state"], shown["phase"], shown["signed"]) == ("wave", "offer", True)
    assert shown["counts"][0] == {"offered": 2}
    other = hub.north.post("/api/edge/rollouts", WISH | {"group": "", "name": "again"})
    listed = hub.north.get("/api/edge/rollouts?limit=1")
    assert [one["id"] for one in listed["items"]] == [other["id"]]
    rest = hub.north.get(f"/api/edge/rollouts?limit=1&cursor={listed['next']}")
    assert [(one["id"], one["devices"]) for one in rest["items"]] == [(made["id"], 10)]
    assert hub.north.get("/api/edge/rollouts?group=line-3")["items"] == []
    assert len(hub.north.get("/api/edge/rollouts?state=wave")["items"]) == 1


def test_members_are_told_by_page_state_and_wave(hub, north):
    made = hub.north.post("/api/edge/rollouts", WISH)
    north.round(seconds=1)
    offered = hub.north.get(path(made, "members?state=offered"))["items"]
    assert len(offered) == 2
    assert offered[0]["lease_until"] is not None
    assert len(hub.north.get(path(made, "members?wave=2"))["items"]) == 5
    first = hub.north.get(path(made, "members?limit=6"))
    rest = hub.north.get(path(made, f"members?limit=6&cursor={first['next']}"))
    assert len({one["device"] for one in first["items"] + rest["items"]}) == 10


def test_orders_are_carried_out_at_once_and_told_in_the_log(hub, north, clock):
    made = hub.north.post("/api/edge/rollouts", WISH)
    north.round(seconds=1)
    assert hub.north.post(path(made, "pause"), None, 200)["state"] == "paused"
    clock.go_on(seconds=1)
    assert hub.north.post(path(made, "resume"), None, 200)["state"] == "wave"
    clock.go_on(seconds=1)
    late = hub.north.post(path(made, "advance?wave=1"), None, 409)
    assert "gone on to wave 1" in late["detail"], "whoever saw another wave meant that one"
    assert hub.north.post(path(made, "advance?wave=0"), None, 200)["wave"] == 1
    clock.go_on(seconds=1)
    told = hub.north.post(path(made, "abort"), {"mode": "hold"}, 200)
    assert told["state"] == "halted"
    kinds = [one["kind"] for one in hub.north.get(path(made, "decisions"))["items"]]
    assert kinds == ["halt", "advance", "resume", "pause"]
    everything = hub.north.get("/api/edge/decisions?limit=2")
    assert [one["kind"] for one in everything["items"]] == ["halt", "advance"]
    assert everything["items"][0]["sentence"].endswith("owner said so.")
    lines = [one for one in hub.north.get("/api/edge/audit?limit=100")["items"] if one["subject"] == made["id"]]
    by = {one["action"]: one["actor"]["kind"] for one in lines}
    assert by == {
        "rollout.made": "user", "rollout.started": "hub", "rollout.pause": "user", "rollout.resume": "user",
        "rollout.advance": "user", "rollout.halt": "user",
    }  # fmt: skip


def test_an_order_that_the_state_does_not_allow_is_a_conflict(hub, north):
    made = hub.north.post("/api/edge/rollouts", WISH)
    for kind in ("pause", "resume", "advance", "approve"):
        answer = hub.north.ask("POST", path(made, kind), 409)
        assert "awaiting signature" in answer.json()["detail"]
    assert hub.north.post(path(made, "cancel"), None, 200)["state"] == "cancelled"
    answer = hub.north.ask("POST", path(made, "abort"), 409, json={"mode": "hold"})
    assert "nothing more" in answer.json()["detail"]
    assert north.states(made["id"]) == {"released": 10}


def test_somebody_else_than_the_author_approves(hub, north):
    made = hub.north.post("/api/edge/rollouts", WISH | {"approvals": 2})
    assert made["state"] == "approval"
    answer = hub.north.ask("POST", path(made, "approve"), 403)
    assert "somebody else" in answer.json()["detail"]
    token = hub.north.post("/api/edge/tokens", {"name": "mine"})["token"]
    hub.north.ask("POST", path(made, "approve"), 403, headers={"Authorization": f"Bearer {token}"})
    ann, ben = hub.user("ann", "releaser"), hub.user("ben", "releaser")
    assert ann.post(path(made, "approve"), None, 200)["approvals"] == [ann.id]
    again = ann.post(path(made, "approve"), None, 200)
    assert (again["state"], again["approvals"]) == ("approval", [ann.id])
    north.round(seconds=1)
    assert north.states(made["id"]) == {"waiting": 10}
    told = ben.post(path(made, "approve"), None, 200)
    assert told["state"] == "awaiting_signature"
    hub.user("cyd", "operator").ask("POST", path(made, "approve"), 403)


def test_one_that_was_superseded_takes_no_orders(hub, north):
    first = hub.north.post("/api/edge/rollouts", WISH)
    north.round(seconds=1)
    second = hub.north.post("/api/edge/rollouts", WISH | {"name": "newer", "bundles": [NEWER]})
    north.round(times=3, seconds=3)
    told = hub.north.get(path(first))
    assert (told["state"], told["superseded_by"]) == ("superseded", second["id"])
    answer = hub.north.ask("POST", path(first, "abort"), 409, json={"mode": "hold"})
    assert second["id"] in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"bundles": ["0" * 64]}, 404), ({"bundles": []}, 422), ({"waves": "50,10,100"}, 422), ({"waves": "50"}, 422),
        ({"window": "25:00-26:00"}, 422), ({"soak_s": -1.0}, 422), ({"name": "two words"}, 422),
        ({"max_failure": 1.0}, 422), ({"group": "nobody"}, 422), ({"on_halt": "panic"}, 422), ({"lease_s": 0.0}, 422),
        ({"guardrails": {"errors": "x"}}, 422), ({"guardrails": {"latency_ms": 1e308}}, 422),
        ({"guardrails": {"x" * 65: 1.0}}, 422), ({"strange": 1}, 422), ({"bundles": [NEW, NEWER]}, 422),
    ],
)  # fmt: skip
def test_what_does_not_fit_makes_nothing(hub, north, change, status):
    hub.north.ask("POST", "/api/edge/rollouts", status, json=WISH | change)
    assert hub.north.get("/api/edge/rollouts")["items"] == []


def test_the_same_request_twice_makes_one_rollout(hub, north):
    key = {"Idempotency-Key": "a key of the client's"}
    first = hub.north.post("/api/edge/rollouts", WISH, headers=key)
    assert hub.north.post("/api/edge/rollouts", WISH, headers=key) == first
    assert len(hub.north.get("/api/edge/rollouts")["items"]) == 1


def test_another_tenants_devices_and_rollouts_are_not_touched(hub, north, clock):
    south = Fleet(hub.state, hub.tenants["south"], clock)
    south.around = north.around
    south.add(3)
    made = hub.south.post("/api/edge/rollouts", WISH | {"waves": "100"})
    assert made["devices"] == 3
    north.round(seconds=1)
    assert south.states(made["id"]) == {"offered": 3}
    assert north.desired("dev-00000") is None
    hub.north.ask("GET", path(made), 404)
    hub.north.ask("POST", path(made, "pause"), 404)
