"""Models and their versions: names, stages, comparisons, lineage; what people see and change."""

import pytest

from edgewright.core.errors import InputError
from edgewright.hub import models
from edgewright.hub.errors import Conflict
from edgewright.hub.models.comparing import compared
from edgewright.hub.models.rules import STAGES, check_file, check_stage, stage_after


def test_a_model_with_its_versions(uploads, make, hub):
    first = uploads.version(make.onnx(0))
    model = hub.north.get("/api/edge/models")["items"][0]
    assert (model["name"], model["versions"], model["newest"]["id"]) == ("digits", 1, first["id"])
    data = make.onnx(1).SerializeToString()
    second = uploads.upload(data, filename="b.onnx", model=model["id"], parent=first["id"], note="more data")
    assert (second["number"], second["note"], second["parent"]) == (2, "more data", first["id"])
    assert hub.north.get(f"/api/edge/models/{model['id']}")["newest"]["id"] == second["id"]
    numbers = [one["number"] for one in hub.north.get(f"/api/edge/models/{model['id']}/versions")["items"]]
    assert numbers == [2, 1]
    hub.north.ask("DELETE", f"/api/edge/versions/{second['id']}", 204)
    found = hub.north.get(f"/api/edge/models/{model['id']}")
    assert (found["versions"], found["newest"]["id"]) == (1, first["id"])
    third = uploads.upload(data, filename="b.onnx", model=model["id"])
    assert third["number"] == 3, "a number is given once"
    hub.north.ask("DELETE", f"/api/edge/models/{model['id']}", 204)
    hub.north.ask("GET", f"/api/edge/versions/{first['id']}", 404)
    assert hub.north.get("/api/edge/models")["items"] == []


def test_names_are_there_once_and_found_by_a_part(uploads, hub):
    for name in ("meters", "Gas meters", "100%"):
        uploads.model(name)
    refused = hub.north.ask("POST", "/api/edge/models", 409, json={"name": "meters"}).json()
    assert "is there already" in refused["detail"]

    def found(search):
        return {one["name"] for one in hub.north.get("/api/edge/models", params={"search": search})["items"]}

    assert found("METERS") == {"meters", "Gas meters"} and found("%") == {"100%"} and found("_") == set()
    (other,) = [m for m in hub.north.get("/api/edge/models")["items"] if m["name"] == "100%"]
    path = f"/api/edge/models/{other['id']}"
    hub.north.ask("PATCH", path, 409, json={"name": "meters"})
    changed = hub.north.ask("PATCH", path, 200, json={"name": "100%", "description": "all of it"}).json()
    assert changed["description"] == "all of it"


def test_a_list_goes_on_behind_its_cursor(uploads, hub):
    for i in range(5):
        uploads.model(f"model {i}")
    first = hub.north.get("/api/edge/models?limit=3")
    rest = hub.north.get(f"/api/edge/models?limit=3&cursor={first['next']}")
    assert [one["name"] for one in (*first["items"], *rest["items"])] == [f"model {i}" for i in reversed(range(5))]
    assert rest["next"] is None


def test_versions_side_by_side(uploads, make, hub):
    one = uploads.version(make.onnx(width=4), "a")
    two = uploads.version(make.onnx(width=8), "b")
    told = hub.north.get("/api/edge/versions/compare", params={"of": [one["id"], two["id"]]})
    assert [v["id"] for v in told["versions"]] == [one["id"], two["id"]]
    rows = {row["what"]: row for row in told["rows"]}
    assert rows["facts.macs"]["values"] == [12, 24] and not rows["facts.macs"]["same"]
    assert rows["facts.operators.MatMul"]["same"]
    assert [row["same"] for row in told["rows"]] == sorted(row["same"] for row in told["rows"])
    hub.north.ask("GET", "/api/edge/versions/compare", 422, params={"of": [one["id"]]})
    hub.south.ask("GET", "/api/edge/versions/compare", 404, params={"of": [one["id"], two["id"]]})


def test_a_comparison_tells_what_only_one_has():
    assert compared([{"a": 1, "b": {"c": 2}}, {"a": 1, "d": []}]) == [
        ("b.c", [2, None], False), ("d", [None, []], False), ("a", [1, 1], True),
    ]  # fmt: skip


def test_where_a_version_comes_from(uploads, make, hub):
    made, model = [], uploads.model()
    for seed in range(3):
        about = {"parent": made[-1]["id"]} if made else {}
        data = make.onnx(seed).SerializeToString()
        made.append(uploads.upload(data, filename="a.onnx", model=model, **about))
    told = hub.north.get(f"/api/edge/versions/{made[1]['id']}/lineage")
    assert [v["number"] for v in told["before"]] == [1] and [v["number"] for v in told["after"]] == [3]
    hub.north.ask("DELETE", f"/api/edge/versions/{made[0]['id']}", 204)
    assert hub.north.get(f"/api/edge/versions/{made[2]['id']}/lineage")["before"][-1]["number"] == 2


def test_life_goes_on_in_one_direction(uploads, make, hub):
    found = uploads.version(make.onnx())
    path = f"/api/edge/versions/{found['id']}"

    def stage(wanted, status=200):
        return hub.north.ask("PATCH", path, status, json={"stage": wanted}).json()

    assert stage("deployed")["stage"] == "deployed"
    assert "is deployed already" in stage("optimized", 409)["detail"]
    assert stage("retired")["stage"] == "retired"
    with hub.state.database.write(hub.tenants["north"]) as session:
        models.advance(session, found["id"], "monitored")
    assert hub.north.get(path)["stage"] == "retired"
    assert stage("validated")["stage"] == "validated", "a person may bring it back"
    stage("beloved", 422)
    refused = uploads.upload(b"nothing", filename="a.onnx", model=uploads.model("other"))
    told = hub.north.ask("PATCH", f"/api/edge/versions/{refused['id']}", 409, json={"stage": "deployed"}).json()
    assert "the version is refused" in told["detail"]


def test_the_rules_of_stages():
    assert stage_after("registered", "monitored") == "monitored" and stage_after("retired", "deployed") == "retired"
    for stage in STAGES:
        assert check_stage(stage, "retired", "refused") == "retired" and check_stage(stage, stage, "ready") == stage
    with pytest.raises(Conflict):
        check_stage("monitored", "registered", "ready")
    with pytest.raises(InputError):
        check_stage("monitored", "beloved", "ready")
    with pytest.raises(InputError, match="nothing that is uploaded"):
        check_file("tune", "a.mid", 10)


def test_a_version_that_is_checked_is_told_as_such(uploads, make, hub):
    refused = uploads.upload(b"nothing", filename="a.onnx", model=uploads.model())
    for path in (f"/api/edge/versions/{refused['id']}/graph", f"/api/edge/versions/{refused['id']}/download"):
        assert "refused" in hub.north.ask("GET", path, 409).json()["detail"]


def test_data_sets_are_named_anew_and_removed(uploads, make, hub):
    found = uploads.upload(make.npz(), filename="dïgits.npz", dataset="digits")
    path = f"/api/edge/datasets/{found['id']}"
    assert hub.north.ask("PATCH", path, 200, json={"name": "digits, March"}).json()["name"] == "digits, March"
    sent = hub.north.ask("GET", f"{path}/download", 200)
    assert sent.content == make.npz() and "d%C3%AFgits.npz" in sent.headers["Content-Disposition"]
    assert [one["id"] for one in hub.north.get("/api/edge/datasets")["items"]] == [found["id"]]
    hub.south.ask("GET", f"{path}/download", 404)
    hub.north.ask("DELETE", path, 204)
    hub.north.ask("GET", path, 404)


def test_what_people_did_is_in_the_audit_log(uploads, make, hub):
    found = uploads.version(make.onnx())
    hub.north.ask("DELETE", f"/api/edge/versions/{found['id']}", 204)
    told = [one["action"] for one in hub.north.get("/api/edge/audit")["items"]]
    assert {"model.made", "model.uploaded", "version.removed"} <= set(told)


def test_an_engineer_may_and_a_viewer_looks_on(uploads, make, hub):
    engineer, viewer = hub.user("engineer", "engineer"), hub.user("viewer", "viewer")
    model = uploads.model(who=engineer)
    data = make.onnx().SerializeToString()
    found = uploads.upload(data, who=engineer, filename="a.onnx", model=model)
    assert viewer.get(f"/api/edge/versions/{found['id']}")["state"] == "ready"
    uploads.begin(data, 403, who=viewer, filename="a.onnx", model=model)
