"""The whole API, endpoint by endpoint from its own document: credentials, permissions, tenants."""

import re
from datetime import timedelta

import pytest

from edgewright.hub.accounts.rules import PERMISSIONS, ROLES
from edgewright.hub.artifacts.tables import Artifact
from edgewright.hub.benchmarks.tables import Benchmark
from edgewright.hub.events import emit
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.jobs.tables import Job
from edgewright.hub.library.tables import Bundle
from edgewright.hub.models.tables import Dataset, Model, Upload, Version
from edgewright.hub.rollouts.tables import Rollout
from edgewright.targets import target

OPEN = {
    ("post", "/api/edge/login"), ("get", "/api/edge/login"), ("get", "/api/edge/login/provider"),
    ("get", "/api/edge/login/provider/callback"),
}  # fmt: skip
LINKED = {("get", "/api/edge/artifacts/{artifact}/download")}
"""A link does there as well as a credential; one of the two it takes."""
VERBS = ("get", "put", "post", "patch", "delete")


FIXED = {"kind": "log", "number": "1"}
"""Parts of paths that are no ids."""


def id_of(names):
    return [name for name in names if name not in FIXED][-1]


def add_device(hub, tenant, name):
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants[tenant]) as session:
        told = {"labels": {}, "facts": {}, "config": {}, "collect": {}, "status": {}}
        session.add(Device(name=name, revision=1, made=now, changed=now, **told))
    return name


def operations(document):
    return [(v, path, entry[v]) for path, entry in document["paths"].items() for v in VERBS if v in entry]


def body_of(document, operation):
    """The operation's own example."""
    if "requestBody" not in operation:
        return None
    (content,) = operation["requestBody"]["content"].values()
    schema = content["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema["examples"][0]


@pytest.fixture
def document(hub):
    return hub.nobody.get("/openapi.json")


def nowhere(path):
    return re.sub(r"\{(\w+)\}", lambda _: "usr_" + "0" * 26, path)


def test_all_but_the_document_and_logging_in_takes_a_credential(hub, document):
    for verb, path, operation in operations(document):
        answer = hub.nobody.ask(verb.upper(), nowhere(path), json=body_of(document, operation))
        if (verb, path) in OPEN:
            assert "security" not in operation
        else:
            assert answer.status_code == 401, (verb, path)
            either = [{}] if (verb, path) in LINKED else []
            assert operation["security"] == [{"token": []}, {"session": []}, *either]
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.headers["Content-Type"] == "application/problem+json"
    hub.nobody.ask("GET", "/api/edge/no-such-thing", 404)


def test_every_route_names_a_permission_or_none_beyond_a_credential(hub, document):
    bare = {(v, p) for v, p, operation in operations(document) if "x-permission" not in operation} - OPEN
    assert bare == {
        ("get", "/api/edge/account"), ("put", "/api/edge/account/password"), ("delete", "/api/edge/login"),
        ("get", "/api/edge/tokens"),
    }  # fmt: skip
    assert {o["x-permission"] for _, _, o in operations(document) if "x-permission" in o} <= set(PERMISSIONS)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_it_says_and_no_more(hub, document, role):
    who = hub.user("someone", role)
    for verb, path, operation in operations(document):
        needed = operation.get("x-permission")
        if needed is None or verb == "delete":
            continue
        answer = who.ask(verb.upper(), nowhere(path), json=body_of(document, operation))
        refused = answer.status_code == 403 and answer.json()["detail"].endswith(f"that takes {needed}")
        assert refused == (needed not in ROLES[role]), (verb, path, answer.text)


def test_ids_of_another_tenant_are_absent_in_every_endpoint(hub, document):
    """The same answer, to the letter, as for an id that never was."""
    ids = {
        "user": hub.south.id,
        "token": hub.south.post("/api/edge/tokens", {"name": "t"})["id"],
        "digest": bundle_of(hub, "south"),
        "rollout": rollout_of(hub, "south"),
        "device": add_device(hub, "south", "southern"),
        "enrolment": hub.south.post("/api/edge/enrolments", {"device": "southern", "group": "southern-line"})["id"],
        "group": "southern-line",
        "webhook": hub.south.post("/api/edge/webhooks", {"url": "https://hooks.example.com/"})["id"],
        "alert": alert_of(hub, "south"),
        **models_of(hub, "south"),
        "profile": profile_of(hub, "south"),
        "job": job_of(hub, "south"),
        "artifact": artifact_of(hub, "south"),
        "benchmark": benchmark_of(hub, "south"),
        **FIXED,
    }
    nothing = {name: value[:4] + "0" * 26 for name, value in ids.items()} | {"digest": "0" * 64} | FIXED
    before = everything(hub.south)
    seen = set()
    for verb, path, operation in operations(document):
        names = re.findall(r"\{(\w+)\}", path)
        if not names:
            continue
        assert set(names) <= set(ids) | set(FIXED), f"{path}: add an id of another tenant to this test"
        answers = []
        for values in (ids, nothing):
            headers = headers_of(operation)
            told = hub.north.ask(
                verb.upper(), path.format(**values), json=body_of(document, operation), headers=headers
            )
            answers.append((told.status_code, told.json()["detail"].replace(values[id_of(names)], "ID")))
        assert answers[0] == answers[1] and answers[0][0] == 404, (verb, path, answers)
        seen.add(path)
    assert seen == {p for p in document["paths"] if "{" in p}
    assert everything(hub.south) == before


def headers_of(operation):
    """The examples of headers without which it says nothing."""
    parameters = operation.get("parameters", ())
    return {p["name"]: str(p["schema"]["examples"][0]) for p in parameters if p["in"] == "header" and p["required"]}


def models_of(hub, name):
    """A model, a version, a data set and an upload of the tenant, without their bytes."""
    now, by = hub.state.clock(), getattr(hub, name).id
    common = {"filename": "southern.npz", "length": 1, "by": by, "made": now, "until": now}
    with hub.state.database.write(hub.tenants[name]) as session:
        model = Model(name="southern", by=by, made=now)
        upload = Upload(kind="dataset", **common)
        session.add_all([model, upload])
        session.flush()
        version = Version(model=model.id, number=1, upload=upload.id, **common)
        data = Dataset(name="southern", upload=upload.id, **common)
        session.add_all([version, data])
    return {"model": model.id, "version": version.id, "dataset": data.id, "upload": upload.id}


def profile_of(hub, name):
    document = {**target("raspberry-pi-5").to_json(), "name": "southern", "title": "southern"}
    return getattr(hub, name).post("/api/edge/device-profiles", {"target": document})["id"]


def alert_of(hub, name):
    """An alert of the tenant."""
    from edgewright.hub.alerts.tables import Alert

    alert = "alr_" + "1" * 26
    with hub.state.database.write(hub.tenants[name]) as session:
        session.add(
            Alert(id=alert, kind="hub.disk", subject="hub", severity="info", told="southern", since=hub.state.clock())
        )
    return alert


def test_lists_hold_nothing_of_another_tenant(hub, document):
    hub.south.post("/api/edge/users", {"name": "southerner", "roles": ["viewer"]})
    hub.south.post("/api/edge/tokens", {"name": "southern token"})
    bundle_of(hub, "south")
    rollout_of(hub, "south")
    add_device(hub, "south", "southern")
    hub.south.post("/api/edge/webhooks", {"url": "https://southern.example.com/"})
    alert_of(hub, "south")
    models_of(hub, "south")
    profile_of(hub, "south")
    job_of(hub, "south")
    artifact_of(hub, "south")
    benchmark_of(hub, "south")
    marks = (hub.tenants["south"], hub.south.id, "southern")
    for verb, path, operation in operations(document):
        asks = any(one.get("required") for one in operation.get("parameters", ()))
        if verb == "get" and "{" not in path and (verb, path) not in OPEN and not asks:
            answer = hub.north.ask("GET", path)
            assert answer.status_code in (200, 404), path
            assert not any(mark in answer.text for mark in marks), path


def test_a_cursor_or_an_idempotency_key_of_another_tenant_opens_nothing(hub):
    key = {"Idempotency-Key": "the same key for both"}
    theirs = hub.south.post("/api/edge/tokens", {"name": "t"}, headers=key)
    ours = hub.north.post("/api/edge/tokens", {"name": "t"}, headers=key)
    assert ours["id"] != theirs["id"]
    for name in "abc":
        hub.south.post("/api/edge/users", {"name": name, "roles": ["viewer"]})
    cursor = hub.south.get("/api/edge/users?limit=1")["next"]
    found = hub.north.get(f"/api/edge/users?cursor={cursor}")["items"]
    assert {user["name"] for user in found} <= {"owner"}


def bundle_of(hub, tenant):
    """A bundle's row, without its bytes: tests of the library upload real ones."""
    with hub.state.database.write(hub.tenants[tenant]) as session:
        row = Bundle(
            digest="ab" * 32, file="cd" * 32, length=1, name="southern", version="1", hardware=[], engines=[],
            signer="ef" * 32, evidence={}, files={}, made=hub.state.clock(),
        )  # fmt: skip
        session.add(row)
    return row.digest


def rollout_of(hub, tenant):
    """A rollout's row; tests of rollouts make real ones."""
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants[tenant]) as session:
        policy = {
            "waves": "100", "soak_s": 1.0, "lease_s": 1.0, "max_failure": 0.0, "window": "", "approvals": 1,
            "prestage": False, "on_halt": "hold",
        }  # fmt: skip
        row = Rollout(
            id=new_id("rol"), name="southern", bundle_name="southern", bundles={}, policy=policy, plan={}, needs=[],
            conflicts=[], author=hub.south.id, approvals=[], made=now, started=None, state="approval", order={},
            superseded_by=None, look={}, heard=now, due=None,
        )  # fmt: skip
        session.add(row)
    return row.id


def job_of(hub, tenant):
    """A job's row, and what was told of it; tests of jobs have real ones done."""
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants[tenant]) as session:
        row = Job(
            id=new_id("job"), kind="optimization", state="queued", reason="southern", version="ver_" + "1" * 26,
            dataset="dat_" + "1" * 26, target="host", profile="", wish={}, needs={}, content="ab" * 32, priority=0,
            progress={}, result=None, report="", page="", stop="", worker=None, claim=0, attempts=0, deaths=0,
            by=hub.south.id,
            made=now, queued=now, began=None, ended=None,
        )  # fmt: skip
        session.add(row)
        emit(session, "job.state", row.id, {"state": "southern"}, now)
    return row.id


def artifact_of(hub, tenant):
    """An artifact's row, without its bytes; tests of artifacts make real ones."""
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants[tenant]) as session:
        facts = {"files": 1, "size_bytes": 1, "fits": True, "verified": True, "limit": None}
        row = Artifact(
            kind="python", bundle="ab" * 32, name="southern", version="1", release="1", filename="southern.zip",
            object="artifacts/" + "cd" * 32, length=1, facts=facts, by=hub.south.id, made=now,
            until=now + timedelta(days=1),
        )  # fmt: skip
        session.add(row)
    return row.id


def benchmark_of(hub, tenant):
    """A benchmark's row; tests of benchmarks have real ones done."""
    with hub.state.database.write(hub.tenants[tenant]) as session:
        row = Benchmark(
            name="southern", subjects=[{"id": "ab" * 32, "kind": "bundle", "name": "southern"}], seconds=1.0, seed=0,
            job="", by=hub.south.id, made=hub.state.clock(),
        )  # fmt: skip
        session.add(row)
    return row.id


def everything(someone):
    lists = (
        "users", "tokens", "audit", "bundles", "devices", "enrolments", "groups", "models", "datasets", "uploads",
        "device-profiles", "optimization-jobs", "artifacts", "events",
    )  # fmt: skip
    return [someone.get(f"/api/edge/{name}")["items"] for name in lists]


def test_the_document_tells_problems_and_examples(document):
    assert document["openapi"].startswith("3.1")
    for verb, path, operation in operations(document):
        assert operation["responses"]["422"] == {"$ref": "#/components/responses/unfit"}, path
        assert operation.get("description") or operation.get("summary")
        if "requestBody" in operation:
            assert body_of(document, operation)
        if verb != "get" and "security" in operation:
            assert any(p["name"] == "Idempotency-Key" for p in operation["parameters"])
    assert document["components"]["schemas"]["Problem"]["examples"]
