"""Jobs done by a worker that is a process of its own, on each database."""

import pytest

PATH = "/api/edge/optimization-jobs"


def test_a_job_is_done_and_its_bundle_waits_for_its_signature(jobs, until):
    job = jobs.make(**jobs.small)
    assert job["state"] == "queued" and "no worker is running" in job["reason"]
    jobs.worker()
    done = jobs.until(job, "done", "failed", "infeasible")
    assert done["state"] == "done", done
    assert done["attempts"] == 1 and done["worker"] is None and done["reason"] == ""
    report = jobs.north.get(f"{PATH}/{job['id']}/report")
    assert report["best"] == done["result"]["best"] and report["model"]["source"] == "digits.onnx"
    found = jobs.candidates(job)
    assert [one["number"] for one in found] == list(range(1, len(found) + 1))
    assert {one["candidate"]["id"] for one in found} >= {entry["id"] for entry in report["candidates"]}
    page = jobs.north.ask("GET", f"{PATH}/{job['id']}/report.html", 200)
    assert page.text.startswith("<!doctype html>") and page.headers["Content-Security-Policy"].startswith("sandbox ")
    bundle = jobs.north.get(f"/api/edge/bundles/{done['result']['bundle']}")
    assert bundle["name"] == "digits" and not bundle["released"]
    assert [one["detail"]["public"] for one in jobs.audit("jobs.key-made")] == [bundle["signer"]]
    told = jobs.events(job)
    kinds = [one["kind"] for one in told]
    assert kinds[0] == "job.state" and kinds[-1] == "job.state" and "job.candidate" in kinds and "job.progress" in kinds
    assert [one["data"]["state"] for one in told if one["kind"] == "job.state"] == ["queued", "running", "done"]
    until(lambda: not list((jobs.folder / "jobs").glob("*/*/out")), "what it wrote was settled, and stays")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_profile_of_the_tenants_own_is_a_target(jobs):
    """Its figures are predictions: nothing of it is here."""
    job = jobs.make(target="our-box", budget_s=5)
    jobs.worker()
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, done
    report = jobs.north.get(f"{PATH}/{job['id']}/report")
    assert report["target"]["name"] == "our-box"
    assert {one["metrics"]["latency_ms"]["kind"] for one in report["candidates"] if one["metrics"]} == {"predicted"}
