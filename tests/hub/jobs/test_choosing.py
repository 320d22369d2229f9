"""Another candidate than the search's own choice, made and judged alone."""

import pytest

from edgewright.hub.jobs.tables import Candidate

PATH = "/api/edge/optimization-jobs"
ABSENT = "0123456789ab"
pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def choose(jobs, job, candidate, status=201, who=None, **more):
    return (who or jobs.north).post(f"{PATH}/{job['id']}/choice", {"candidate": candidate, **more}, status)


@pytest.fixture
def searched(jobs):
    """A search that was done."""
    job = jobs.make(**jobs.small, target="raspberry-pi-4")
    jobs.worker()
    done = jobs.until(job, "done", "failed", "infeasible")
    assert done["state"] == "done", done
    return done


def test_another_candidate_becomes_a_bundle_like_any(jobs, searched):
    found = [one["candidate"] for one in jobs.candidates(searched)]
    best = searched["result"]["best"]
    other = next(c for c in found if c["id"] != best and c["recipe"] and c["metrics"] and not c["refused"])
    asked = choose(jobs, searched, other["id"])
    assert asked["wish"]["only"]["candidate"] == other["id"] and asked["wish"]["only"]["job"] == searched["id"]
    assert choose(jobs, searched, other["id"], 200)["id"] == asked["id"], "it is asked for already"
    done = jobs.until(asked, *jobs.over)
    assert done["state"] == "done" and done["result"]["best"] == other["id"], done
    assert done["result"]["bundle"] != searched["result"]["bundle"]
    report = jobs.north.get(f"{PATH}/{asked['id']}/report")
    (alone,) = report["candidates"]
    assert alone["id"] == other["id"] and alone["recipe"] == other["recipe"] and alone["digest"] == other["digest"]
    assert report["settings"]["only"]["engine"] == other["engine"] and "--only" in report["reproduce"]
    assert jobs.north.get(f"/api/edge/bundles/{done['result']['bundle']}")["version"] == other["id"]
    of_it = choose(jobs, asked, other["id"])
    assert of_it["wish"]["only"]["job"] == asked["id"]
    jobs.until(of_it, *jobs.over)  # the same bundle, which is there already
    jobs.north.ask("DELETE", f"/api/edge/bundles/{done['result']['bundle']}", 204)
    assert choose(jobs, searched, other["id"])["id"] != asked["id"], "its bundle is gone"


def test_the_original_may_be_chosen(jobs, searched):
    baseline = jobs.north.get(f"{PATH}/{searched['id']}/report")["baseline"]
    done = jobs.until(choose(jobs, searched, baseline["id"]), *jobs.over)
    assert done["state"] == "done", done
    (alone,) = jobs.north.get(f"{PATH}/{done['id']}/report")["candidates"]
    assert alone["recipe"] == [] and alone["digest"] == baseline["digest"]


def test_other_limits_may_hold(jobs, searched):
    best = searched["result"]["best"]
    asked = choose(jobs, searched, best, limits={"max_size_mb": 1e-6})
    assert asked["wish"]["limits"]["max_size_mb"] == 1e-6
    done = jobs.until(asked, *jobs.over)
    assert done["state"] == "infeasible" and "it does not keep size_bytes" in done["reason"], done


def test_only_what_was_measured_can_be_chosen(jobs):
    job = jobs.make()
    choose(jobs, {"id": "job_" + "0" * 26}, ABSENT, 404)
    choose(jobs, job, ABSENT, 404)
    choose(jobs, job, "../etc", 422)
    refused = {"id": ABSENT, "recipe": [], "engine": "onnxruntime", "metrics": {}, "refused": ["fp16: overflows"]}
    odd = {**refused, "id": ABSENT[::-1], "metrics": {"size_bytes": {}}, "refused": [], "engine_options": {"bad": 1}}
    with jobs.state.database.write(jobs.hub.tenants["north"]) as session:
        for number, told in enumerate((refused, odd)):
            session.add(Candidate(job=job["id"], id=told["id"], number=number, told=told))
    assert "fp16: overflows" in choose(jobs, job, refused["id"], 409)["detail"]
    assert "cannot be read" in choose(jobs, job, odd["id"], 409)["detail"]
    choose(jobs, job, refused["id"], 404, who=jobs.hub.south)
    assert [one["id"] for one in jobs.north.get(PATH)["items"]] == [job["id"]]
