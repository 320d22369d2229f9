"""Two requests at the same moment, each of which looked before the other wrote: one makes it, the other finds it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from edgewright.hub import models
from edgewright.hub.database import EVERY
from edgewright.hub.jobs.inputs import Uploaded, provide
from edgewright.testing.beside import beside

PATH = "/api/edge/optimization-jobs"
write_small = beside(Path(__file__).parent / "program.py").write_small
until = beside(Path(__file__).parent / "conftest.py").until
DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.npz"


class Meeting:
    """Where both requests wait for one another; with SQLite the second waits for the first to end, so not for long."""

    def __init__(self):
        self._barrier = threading.Barrier(2)

    def __call__(self):
        with suppress(threading.BrokenBarrierError):
            self._barrier.wait(5)


@pytest.fixture
def both(hub):
    """What two people get who ask for the same at the same moment."""

    def ask(path, body):
        people = [hub.north, hub.log_in_again("north")]
        with ThreadPoolExecutor(2) as pool:
            return sorted(
                pool.map(lambda who: who.ask("POST", path, json=body), people), key=lambda one: one.status_code
            )

    return ask


def test_two_that_ask_for_a_profile_at_once_start_one(jobs, uploads, both):
    meet = Meeting()

    class Meets(Uploaded):
        def version(self, session, id_):
            found = super().version(session, id_)
            meet()
            return found

    provide(jobs.state, Uploaded())
    jobs.state._parts["jobs.inputs"] = Meets()
    at = f"/api/edge/versions/{uploads.version()['id']}/profile"
    made, refused = both(at, {"dataset": None})
    assert (made.status_code, refused.status_code) == (201, 409), (made.text, refused.text)
    assert "already" in refused.json()["detail"] and jobs.north.get(at)["job"] == made.json()["job"]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_two_that_keep_what_a_job_found_at_once_keep_one_version(jobs, uploads, both, tmp_path, monkeypatch):
    meet, bring = Meeting(), models.bring

    def meets(*given):
        meet()
        return bring(*given)

    jobs.state._parts.pop("jobs.inputs")
    write_small(tmp_path / "small.onnx", tmp_path / "small.npz")
    version = uploads.upload((tmp_path / "small.onnx").read_bytes(), filename="small.onnx", model=uploads.model())
    data = uploads.upload((tmp_path / "small.npz").read_bytes(), filename="small.npz", dataset="small")
    worker = jobs.worker(EDGEWRIGHT_TEST_REAL="1")
    job = jobs.make(version=version["id"], dataset=data["id"], budget_s=15)
    told = jobs.until(job, *jobs.over)
    assert told["state"] == "done", (told, worker.log.read_text())
    monkeypatch.setattr(models, "bring", meets)
    found, made = both(f"{PATH}/{job['id']}/version", {})
    assert (found.status_code, made.status_code) == (200, 201), (found.text, made.text)
    assert found.json()["id"] == made.json()["id"]
    assert len(jobs.north.get(f"/api/edge/versions/{version['id']}/lineage")["after"]) == 1


@pytest.mark.parametrize("what", ["versions", "datasets", "models"])
def test_what_a_job_that_is_just_asked_for_needs_is_not_removed(jobs, uploads, what):
    """Whoever removes it waits until the job stands, and finds it."""
    asked, going = threading.Event(), threading.Event()

    class Slow(Uploaded):
        def version(self, session, id_):
            found = super().version(session, id_)
            asked.set()
            going.wait(5)  # with SQLite the other waits for this transaction anyway
            return found

    provide(jobs.state, Uploaded())
    jobs.state._parts["jobs.inputs"] = Slow()
    version = uploads.version()
    data = uploads.upload(DIGITS.read_bytes(), filename="digits.npz", dataset="digits")
    of = {"versions": version["id"], "datasets": data["id"], "models": version["model"]}[what]
    body = {"version": version["id"], "dataset": data["id"], "target": "host", "budget_s": 20.0}
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(jobs.north.ask, "POST", PATH, json=body)
        assert asked.wait(30)
        removed = pool.submit(jobs.north.ask, "DELETE", f"/api/edge/{what}/{of}")
        until(lambda: jobs.state.database.embedded or waiting(jobs.state) or removed.done(), "nobody waits")
        going.set()
    assert (made.result().status_code, removed.result().status_code) == (201, 409), removed.result().text


def waiting(state):
    with state.database.write(EVERY) as session:
        return session.connection().execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one()
