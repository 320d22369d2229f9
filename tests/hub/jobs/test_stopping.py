"""Stopped, kept, dropped, retried, refused; and what fails says what to do."""

import pytest

PATH = "/api/edge/optimization-jobs"
ONCE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@ONCE
def test_stop_and_keep_hands_back_the_best_so_far(jobs, until):
    job = jobs.make(budget_s=600, engines=[])
    jobs.worker()
    until(lambda: len(jobs.candidates(job)) >= 3, "three candidates")
    told = jobs.north.post(f"{PATH}/{job['id']}/cancel", {"keep": True}, 200)
    assert told["state"] == "stopping"
    done = jobs.until(job, "done", "failed", "infeasible", "cancelled")
    assert done["state"] in ("done", "infeasible") and done["result"]["stopped"] == "interrupted"
    jobs.north.post(f"{PATH}/{job['id']}/cancel", {"keep": True}, 409)
    assert {one["detail"]["keep"] for one in jobs.audit("job.cancelled")} == {True}


@ONCE
def test_dropped_and_retried_it_measures_nothing_twice(jobs, until):
    job = jobs.make(budget_s=30, engines=[])
    jobs.worker()
    until(lambda: len(jobs.candidates(job)) >= 3, "three candidates")
    jobs.north.post(f"{PATH}/{job['id']}/cancel", {"keep": False}, 200)
    told = jobs.until(job, "cancelled", "done", "failed")
    assert told["state"] == "cancelled" and "retry" in told["reason"] and told["result"] is None
    assert jobs.north.post(f"{PATH}/{job['id']}/retry", {}, 200)["state"] == "queued"
    jobs.north.post(f"{PATH}/{job['id']}/retry", {}, 409)
    until(lambda: jobs.show(job)["progress"]["tried"] >= 2 and jobs.show(job)["state"] == "running", "it goes on")
    jobs.north.post(f"{PATH}/{job['id']}/cancel", {"keep": True}, 200)
    done = jobs.until(job, "done", "infeasible", "failed", "cancelled")
    assert done["state"] in ("done", "infeasible") and done["attempts"] == 2
    (log,) = (jobs.folder / "jobs").glob("*/measured")
    ids = log.read_text().split()
    assert len(ids) == len(set(ids))


def test_one_that_waits_is_cancelled_at_once(jobs):
    job = jobs.make()
    told = jobs.north.post(f"{PATH}/{job['id']}/cancel", {}, 200)
    assert told["state"] == "cancelled" and told["ended"] and told["attempts"] == 0
    jobs.north.post(f"{PATH}/{job['id']}/cancel", {}, 409)
    assert jobs.north.post(f"{PATH}/{job['id']}/retry", {}, 200)["ended"] is None


@ONCE
def test_a_limit_that_nothing_keeps_is_told_with_what_to_do(jobs):
    job = jobs.make(**jobs.small | {"budget_s": 90}, limits={"max_size_mb": 0.0001})
    jobs.worker()
    told = jobs.until(job, "done", "infeasible", "failed")
    assert told["state"] == "infeasible", told
    assert "size_bytes <= 100 B" in told["reason"] and "loosen" in told["reason"], told
    assert told["result"]["bundle"] is None, told
    assert jobs.north.get(f"{PATH}/{job['id']}/report")["best"] is None


@ONCE
def test_a_file_that_is_no_model_fails_the_job(jobs):
    job = jobs.make(version=jobs.broken)
    jobs.worker()
    told = jobs.until(job, "done", "infeasible", "failed")
    assert told["state"] == "failed" and "model.onnx" in told["reason"], told
    jobs.north.ask("GET", f"{PATH}/{job['id']}/report", 404)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"target": "../../etc/passwd.toml"}, 422),
        ({"target": "/etc/passwd"}, 422),
        ({"target": "no-such-device"}, 422),
        ({"metric": "os:system"}, 422),
        ({"metric": "nothing"}, 422),
        ({"engines": ["no-such-engine"]}, 422),
        ({"engines": ["os:system"]}, 422),
        ({"target": ""}, 422),
        ({"target": "a\nb"}, 422),
        ({"limits": {"max_latency_ms": 0}}, 422),
        ({"limits": {"max_latency_ms": -1}}, 422),
        ({"limits": {"something": 1}}, 422),
        ({"budget_s": 1e9}, 422),
        ({"budget_s": 0}, 422),
        ({"threads": 10_000}, 422),
        ({"name": "../bundle"}, 422),
        ({"name": "a\nb"}, 422),
        ({"preference": {"latency": -1}}, 422),
        ({"preference": {"beauty": 1}}, 422),
        ({"preference": {}}, 422),
        ({"seed": 2**53}, 422),
        ({"priority": 11}, 422),
        ({"version": "ver_" + "9" * 26}, 404),
        ({"dataset": "dat_" + "9" * 26}, 404),
        ({"version": "nonsense"}, 422),
        ({"version": "ver_" + "3" * 26}, 409),
    ],
    ids=lambda value: str(value)[:60],
)
@ONCE
def test_what_no_worker_could_do_is_refused_when_it_is_asked(jobs, wrong, status):
    told = jobs.make(status=status, **wrong)
    assert told["detail"] and jobs.north.get(PATH)["items"] == []
    assert jobs.events() == []


def test_a_batch_is_made_whole_or_not_at_all(jobs):
    wish = {name: value for name, value in jobs.wish().items() if name not in ("version", "target")}
    body = {**wish, "versions": [jobs.version, "ver_" + "9" * 26], "targets": ["host"]}
    jobs.north.post(f"{PATH}/batch", body, 404)
    assert jobs.north.get(PATH)["items"] == []
    body = {**wish, "versions": [jobs.version], "targets": ["host", "raspberry-pi-4", "host"]}
    made = jobs.north.post(f"{PATH}/batch", body)["jobs"]
    assert [job["target"] for job in made] == ["host", "raspberry-pi-4"]
    jobs.north.post(f"{PATH}/batch", {**body, "versions": [jobs.version] * 101}, 422)
    assert len(jobs.north.get(f"{PATH}?state=queued&version={jobs.version}")["items"]) == 2
    assert jobs.north.get(f"{PATH}?state=done")["items"] == []


def test_the_same_request_makes_one_job(jobs):
    key = {"Idempotency-Key": "a job of the tests"}
    one, other = (jobs.north.post(PATH, jobs.wish(), headers=key) for _ in range(2))
    assert one == other and len(jobs.north.get(PATH)["items"]) == 1


def test_no_more_jobs_wait_than_may(jobs, monkeypatch):
    monkeypatch.setattr("edgewright.hub.jobs.queue.MOST_WAITING", 2)
    jobs.make()
    jobs.make(seed=1)
    told = jobs.make(status=429, seed=2)
    assert "2 jobs wait already" in told["detail"]
