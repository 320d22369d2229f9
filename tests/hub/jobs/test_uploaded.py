"""The whole way with what people uploaded: model and data in, jobs here and on a profile of their own, bundles out."""

from pathlib import Path

import pytest

from edgewright.targets import target
from edgewright.targets.schema import to_document

PATH = "/api/edge/optimization-jobs"
DIGITS = Path(__file__).parents[3] / "examples" / "digits"


@pytest.fixture
def jobs(jobs):
    jobs.state._parts.pop("jobs.inputs")  # what people uploaded, as in a hub that serves
    return jobs


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_from_an_upload_to_a_bundle(jobs, uploads):
    north = jobs.north
    version = uploads.upload((DIGITS / "digits.onnx").read_bytes(), filename="digits.onnx", model=uploads.model())
    data = uploads.upload((DIGITS / "digits.npz").read_bytes(), filename="digits.npz", dataset="digits")
    document = {**to_document(target("raspberry-pi-4")), "name": "our-box", "title": "Our box"}
    profile = north.post("/api/edge/device-profiles", {"name": "our-box", "target": document})
    jobs.worker(EDGEWRIGHT_TEST_REAL="1")
    jobs.make(target="no such box", version=version["id"], dataset=data["id"], status=404)
    for wanted in ("host", profile["id"]):
        job = jobs.make(target=wanted, version=version["id"], dataset=data["id"], budget_s=60)
        done = jobs.until(job, *jobs.over)
        assert done["state"] == "done", done
        bundle = north.get(f"/api/edge/bundles/{done['result']['bundle']}")
        assert bundle["name"] == "digits"
    assert bundle["hardware"] == ["our-box"]
    kept = north.post(f"{PATH}/{job['id']}/version", {})
    uploads.check()
    kept = north.get(f"/api/edge/versions/{kept['id']}")
    assert (kept["state"], kept["stage"], kept["number"]) == ("ready", "optimized", 2), kept
    assert (kept["parent"], kept["job"], kept["model"]) == (version["id"], job["id"], version["model"])
    assert kept["digest"] != version["digest"] and kept["filename"].startswith("digits-")
    assert north.post(f"{PATH}/{job['id']}/version", {}, 200)["id"] == kept["id"], "once"
    lineage = north.get(f"/api/edge/versions/{version['id']}/lineage")
    assert [one["id"] for one in lineage["after"]] == [kept["id"]]
    (run,) = north.get("/api/edge/benchmarks/together", params={"of": [kept["id"], version["id"]]})["runs"]
    assert (run["kind"], run["id"], run["place"]) == ("search", job["id"], profile["id"])
    best, began = (one["metrics"] for one in run["seen"])
    assert best["size_bytes"]["value"] < began["size_bytes"]["value"] and best["latency_ms"]["kind"] == "predicted"
    assert began["accuracy"]["value"] - best["accuracy"]["value"] == pytest.approx(best["accuracy_drop"]["value"])
    jobs.hub.south.ask("GET", "/api/edge/benchmarks/together", 404, params={"of": [kept["id"], version["id"]]})
    jobs.hub.south.post(f"{PATH}/{job['id']}/version", {}, 404)
    again = jobs.make(version=kept["id"], dataset=data["id"])
    assert "no bundle" in north.post(f"{PATH}/{again['id']}/version", {}, 409)["detail"]
    assert north.get(f"/api/edge/versions/{version['id']}")["stage"] == "optimized"
    jobs.make(who=jobs.hub.south, version=version["id"], dataset=data["id"], status=404)


def test_what_a_job_still_needs_is_not_removed(jobs, uploads):
    north, version = jobs.north, uploads.version()
    data = uploads.upload((DIGITS / "digits.npz").read_bytes(), filename="digits.npz", dataset="digits")
    other = uploads.version(name="other")
    job = jobs.make(version=version["id"], dataset=data["id"])
    measured = north.post("/api/edge/benchmarks", {"subjects": [other["id"]]})
    paths = [f"versions/{version['id']}", f"models/{version['model']}", f"datasets/{data['id']}"]
    for path in paths:
        told = north.ask("DELETE", f"/api/edge/{path}", 409).json()["detail"]
        assert job["id"] in told and "cancel that" in told
    assert measured["id"] in north.ask("DELETE", f"/api/edge/versions/{other['id']}", 409).json()["detail"]
    north.post(f"{PATH}/{job['id']}/cancel", {}, 200)
    for path in paths:
        north.ask("DELETE", f"/api/edge/{path}", 204)
    assert "no" in north.post(f"{PATH}/{job['id']}/retry", {}, 404)["detail"]


def test_a_plan_limits_the_jobs_of_a_day(jobs, uploads, clock):
    from edgewright.hub.plans import set_plan

    set_plan(jobs.state, "north", "jobs_a_day=1")
    version = uploads.version()
    data = uploads.upload((DIGITS / "digits.npz").read_bytes(), filename="digits.npz", dataset="digits")
    ids = {"version": version["id"], "dataset": data["id"]}
    jobs.make(**ids)
    assert "jobs a day" in jobs.make(**ids, seed=2, status=429)["detail"]
    clock.go_on(days=1)
    jobs.make(**ids, seed=3, who=jobs.hub.log_in_again("north"))
