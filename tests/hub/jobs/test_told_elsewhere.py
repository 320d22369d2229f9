"""A webhook hears of a job that another process ended."""

import contextlib
from dataclasses import replace
from pathlib import Path

from edgewright.hub.alerts.sending import Sender
from edgewright.hub.state import utc_now
from edgewright.testing.beside import beside

RECEIVERS = beside(Path(__file__).parents[1] / "alerts" / "receivers.py", "alerts_receivers")


def test_a_job_that_a_worker_ended_is_told(jobs):
    with RECEIVERS.Receiver() as receiver:
        hook = RECEIVERS.make(jobs.north, receiver.url, least=None, events=["job.state"])
        RECEIVERS.make(jobs.hub.south, receiver.url + "/south", events=["job.state"])
        job = jobs.make(version=jobs.broken)
        jobs.worker()
        told = jobs.until(job, "failed")
        state = replace(jobs.state, clock=utc_now, _parts={})  # the worker's clock is the machine's
        with contextlib.closing(Sender(state)) as sender:
            sender.round()
        assert {path for path, _, _ in receiver.got} == {"/hook"}
        assert [one["data"]["state"] for one in receiver.bodies()] == ["queued", "running", "failed"]
        assert all(RECEIVERS.verify(hook["secret"], headers, body, utc_now()) for _, headers, body in receiver.got)
        last = receiver.bodies()[-1]["data"]
        assert last["of"] == job["id"] and last["reason"] == told["reason"]
        listed = jobs.north.get(f"/api/edge/webhooks/{hook['id']}/deliveries")["items"]
        assert [one["state"] for one in listed] == ["delivered"] * 3
