"""Health, metadata and versions."""

from __future__ import annotations

from typing import Any

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.contract import Skipped, check, expect
from edgewright.testing.oip.tensors import DATATYPES

_OIP = "OIP REST"
NOBODY = "edgewright-no-such-model"


def _healthy(case: Case, path: str) -> None:
    reply = case.ask("GET", path)
    expect(reply.status == 200, f"status {reply.status}")
    if reply.body:  # a status alone is the older text's reply
        told = reply.json()
        expect(isinstance(told, dict), "the body is no JSON object")
        no = [key for key in ("live", "ready") if told.get(key, True) is not True]
        expect(not no, f"status 200, and {no} is not true")


@check("health.live", "protocol", f"{_OIP}, Server Live")
def live(case: Case) -> None:
    """The server says that it lives."""
    _healthy(case, "/v2/health/live")


@check("health.ready", "protocol", f"{_OIP}, Server Ready")
def ready(case: Case) -> None:
    """The server says that it is ready."""
    _healthy(case, "/v2/health/ready")


@check("server.metadata", "protocol", f"{_OIP}, Server Metadata Response")
def server(case: Case) -> None:
    """The server has a name, a version and a list of extensions."""
    reply = case.ask("GET", "/v2")
    expect(reply.status == 200, f"status {reply.status}")
    told = reply.json()
    expect(isinstance(told, dict), "the body is no JSON object")
    for key in ("name", "version"):
        expect(isinstance(told.get(key), str), f"{key!r} is no string: {told.get(key)!r}")
    found = told.get("extensions")
    expect(isinstance(found, list) and all(isinstance(e, str) for e in found), f"'extensions' is {found!r}")


@check("model.ready", "protocol", f"{_OIP}, Model Ready")
def model_ready(case: Case) -> None:
    """The model says that it is ready."""
    _healthy(case, f"{case.path}/ready")


@check("model.metadata", "protocol", f"{_OIP}, Model Metadata Response")
def metadata(case: Case) -> None:
    """The model's metadata tells its name, platform, inputs and outputs."""
    told = case.metadata
    expect(told.get("name") == case.model, f"'name' is {told.get('name')!r}")
    expect(isinstance(told.get("platform"), str), f"'platform' is no string: {told.get('platform')!r}")
    versions = told.get("versions") or []
    expect(isinstance(versions, list) and all(isinstance(v, str) for v in versions), f"'versions' is {versions!r}")
    for side in ("inputs", "outputs"):
        expect(isinstance(told.get(side), list), f"{side!r} is no list: {told.get(side)!r}")
        expect(told[side], f"{side!r} is empty")
        names = [_tensor(entry) for entry in told[side]]
        expect(len({*names}) == len(names), f"two {side} have one name")


def _tensor(entry: Any) -> str:
    expect(isinstance(entry, dict) and isinstance(entry.get("name"), str), f"a tensor without a name: {entry!r}")
    expect(entry.get("datatype") in DATATYPES, f"{entry['name']!r} has the datatype {entry.get('datatype')!r}")
    shape = entry.get("shape")
    good = isinstance(shape, list) and all(type(n) is int and n >= -1 for n in shape)
    expect(good, f"{entry['name']!r} has the shape {shape!r}; open sizes are -1")
    return str(entry["name"])


@check("model.versions", "protocol", f"{_OIP}, Model Metadata Response, versions")
def versions(case: Case) -> None:
    """Every version that the metadata names can be asked for: metadata, readiness, inference."""
    named = case.metadata.get("versions") or []
    if not named:
        raise Skipped("the model has no versions to ask for")
    for version in named[:8]:
        for path in (f"{case.path}/versions/{version}", f"{case.path}/versions/{version}/ready"):
            reply = case.ask("GET", path)
            expect(reply.status == 200, f"{path}: status {reply.status}")
        told, _ = case.answered(case.request(), version)
        expect(told.get("model_version", version) == version, f"version {version!r} was answered by {told!r:.80}")


@check("model.unknown", "protocol", f"{_OIP}, Model Metadata Response JSON Error Object")
def unknown(case: Case) -> None:
    """Of a model that is not there, metadata and inference are refused, and it is not ready."""
    path = f"/v2/models/{NOBODY}"
    case.refused(case.ask("GET", path))
    case.refused(case.ask("POST", f"{path}/infer", *case.request().wire()))
    reply = case.ask("GET", f"{path}/ready")
    expect(reply.status >= 400, f"a model that is not there is ready: status {reply.status}")


@check("model.unknown-version", "protocol", f"{_OIP}, Model Metadata Response JSON Error Object")
def unknown_version(case: Case) -> None:
    """A version that is not there is refused."""
    version = "987654321"
    case.refused(case.ask("GET", f"{case.path}/versions/{version}"))
    case.refused(case.infer(case.request(), version))


@check("paths.unknown", "protocol", "RFC 9110, 15.5.5")
def nowhere(case: Case) -> None:
    """What is at no path of the protocol is not found, also when it climbs."""
    for path in ("/v2/nowhere", f"{case.path}/nowhere", "/v2/models/..%2f..%2fetc%2fpasswd"):
        reply = case.ask("GET", path)
        expect(400 <= reply.status < 500, f"{path}: status {reply.status}")
    reply = case.ask("GET", "/v2/nowhere")
    expect(reply.status == 404, f"/v2/nowhere: status {reply.status} where 404 is due")


@check("paths.verbs", "protocol", "RFC 9110, 15.5.6")
def verbs(case: Case) -> None:
    """A verb that a path does not take is answered with 405."""
    for method, path in (("GET", f"{case.path}/infer"), ("DELETE", "/v2/health/live"), ("PUT", case.path)):
        reply = case.ask(method, path)
        expect(reply.status == 405, f"{method} {path}: status {reply.status}")
