"""Watching: events as they come, over broken lines; waiting until something is over."""

import json
from pathlib import Path

import pytest

from edgewright.client import Hub, Profile, Refusal, Unreachable, events, wait, watching
from edgewright.core.errors import InputError
from edgewright.testing.beside import beside

serving = beside(Path(__file__).parent / "test_client.py", "test_client").serving
JOB = "job_01jd7x3w9q4e5r6t7y8a9b0c1d"


def stream(*found):
    told = "".join(f"id: {one['seq']}\ndata: {json.dumps(one)}\n\n" for one in found)
    return 200, {"Content-Type": "text/event-stream"}, f"retry: 1000\n\n{told}: still here\n\n".encode()


def event(seq, kind="job.progress", **data):
    return {"seq": seq, "at": "2026-11-22T09:30:00.000Z", "kind": kind, "of": JOB, "data": data}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    waited = []
    monkeypatch.setattr(watching.time, "sleep", waited.append)
    return waited


def test_a_line_that_breaks_is_taken_up_where_it_was(at_once):
    answers = (
        (200, {}, {"items": [], "last": 6}), stream(event(7), event(9)), (0, {}, b""),
        (503, {}, {"type": "urn:edgewright:problem:unavailable", "detail": "it starts"}), stream(event(12)),
    )  # fmt: skip
    with serving(*answers) as (url, came), Hub(Profile(url, "tok")) as hub:
        coming = events(hub, JOB)
        assert [next(coming)["seq"] for _ in range(3)] == [7, 9, 12]
        coming.close()
    assert [one[1].partition("after=")[2] for one in came] == [str(2**52), "6", "9", "9", "9"]
    assert all(one[2]["Authorization"] == "Bearer tok" for one in came)
    assert {one[2]["Accept"] for one in came[1:]} == {"text/event-stream"} and len(at_once) == 3


def test_waiting_ends_with_what_it_waited_for_and_hears_of_it_meanwhile():
    running, done = {"id": JOB, "state": "running"}, {"id": JOB, "state": "done"}
    answers = (
        (200, {}, running), stream(event(3), event(4, "job.state", state="running")), (200, {}, running),
        stream(event(5, "job.state", state="done")), (200, {}, done),
    )  # fmt: skip
    heard = []
    with serving(*answers) as (url, _), Hub(Profile(url)) as hub:
        assert wait(hub, f"/optimization-jobs/{JOB}", heard.append) == done
    assert [one["seq"] for one in heard] == [3, 4, 5]


def test_what_is_over_is_not_waited_for_and_what_was_forgotten_is_looked_at():
    done = {"id": JOB, "state": "failed"}
    with serving((200, {}, done)) as (url, _), Hub(Profile(url)) as hub:
        assert wait(hub, f"/optimization-jobs/{JOB}") == done
    answers = ((200, {}, {"state": "queued"}), stream(event(9000, "events.cut")), (200, {}, done))
    with serving(*answers) as (url, _), Hub(Profile(url)) as hub:
        assert wait(hub, f"/optimization-jobs/{JOB}") == done


def test_what_cannot_be_waited_for_says_so(at_once):
    answer = (200, {}, {"id": "mod_1"})
    with serving(answer) as (url, _), Hub(Profile(url)) as hub, pytest.raises(InputError, match="no state"):
        wait(hub, "/models/mod_1")
    refused = (403, {}, {"type": "urn:edgewright:problem:forbidden", "detail": "it takes jobs.read"})
    with serving(refused) as (url, _), Hub(Profile(url)) as hub, pytest.raises(Refusal, match=r"jobs\.read"):
        next(events(hub, JOB, after=0))
    for body in (b"data: {}\n\n", b"data: 7\n\n", b"data: {\n\n"):
        with serving((200, {}, body)) as (url, _), Hub(Profile(url)) as hub, pytest.raises(Unreachable, match="no ev"):
            next(events(hub, JOB, after=0))
    assert not at_once


def test_a_hub_that_stays_away_is_given_up(at_once):
    with serving() as (url, _):
        pass
    with Hub(Profile(url)) as hub, pytest.raises(Unreachable, match="does not answer"):
        next(events(hub, JOB, after=0))
    assert len(at_once) == watching._PATIENCE
