"""Artifacts, uploads and reports where the objects lie in a store that speaks S3."""

import shutil
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from edgewright.hub.objects import objects
from edgewright.hub.serving import keep

PATH = "/api/edge/artifacts"


@pytest.fixture
def url(tmp_path, tables):
    """What lies in the store does not hang on the database: these run on SQLite."""
    return f"sqlite:///{shutil.copy(tables, tmp_path / 'hub.db')}"


@pytest.fixture
def state(state, bucket):
    return replace(state, objects=bucket, _parts={})


def stored(hub, kind):
    return [one.name for one in objects(hub.state).list(hub.tenants["north"]) if one.name.startswith(f"{kind}/")]


def test_an_artifact_is_made_fetched_by_a_link_and_gone_when_it_expires(hub, bundle, clock):
    told = hub.north.post(PATH, {"bundle": bundle.digest, "kind": "python", "days": 1})
    assert not (hub.state.folder / "objects").exists()
    assert stored(hub, "artifacts") == [f"artifacts/{told['file']}"]
    data = hub.north.ask("GET", f"{PATH}/{told['id']}/download", 200).content
    link = urlsplit(hub.north.post(f"{PATH}/{told['id']}/link", {})["url"])
    assert hub.nobody.ask("GET", f"{link.path}?{link.query}", 200).content == data and len(data) == told["length"]
    for _ in range(2):
        clock.go_on(days=9)
        assert keep(hub.state)
    assert stored(hub, "artifacts") == [] and stored(hub, "bundles"), "what a row names stays"


def test_a_report_comes_out_as_it_went_in(hub, report):
    told = hub.north.post(PATH, {"job": report, "kind": "report"})
    assert hub.north.ask("GET", f"{PATH}/{told['id']}/download", 200).content.startswith(b"PK")


def test_a_model_comes_in_in_parts_and_is_read(hub, uploads, monkeypatch):
    monkeypatch.setattr("edgewright.hub.models.uploads.PART_BYTES", 500)
    version = uploads.version()
    assert version["state"] == "ready", version
    assert version["file"] in {name.partition("/")[2] for name in stored(hub, "models")}
    assert hub.north.ask("GET", f"/api/edge/versions/{version['id']}/download", 200).content
    assert hub.north.get(f"/api/edge/versions/{version['id']}/graph")["layers"]
