"""``edgewright hub`` with the worker beside it, and ``edgewright hub worker`` alone."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

WORDS = [sys.executable, "-m", "edgewright", "hub"]
LOOPBACK = ["--listen", "127.0.0.1:0", "--device-listen", "127.0.0.1:0"]


@pytest.fixture
def start(tmp_path):
    made = []

    def _start(*words, lines=1):
        process = subprocess.Popen(
            [*WORDS, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        made.append(process)
        process.lines = [process.stdout.readline() for _ in range(lines)]
        assert all(process.lines), process.stderr.read()
        return process

    yield _start
    for process in made:
        if process.poll() is None:
            process.kill()
        process.communicate()


def people(process):
    """The hub's address and its owner, who has chosen a password."""
    password, url = process.lines[0].split()[-1], process.lines[1].split()[-1]
    client = httpx2.Client(base_url=url, timeout=30)
    body = {"name": "owner", "password": password}
    client.headers["Authorization"] = f"Bearer {client.post('/api/edge/login', json=body).json()['session']}"
    new = {"now": password, "new": "four unrelated words here"}
    assert client.put("/api/edge/account/password", json=new).status_code == 204
    return client


def workers(client):
    return {one["id"]: one["state"] for one in client.get("/api/edge/workers").json()["items"]}


def worker_of(process):
    """The process beside it: its thread's child."""
    found = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return [pid for pid in found if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]


def test_a_hub_has_a_worker_beside_it_that_ends_and_comes_again(start, until):
    hub = start("--data", "hub", *LOOPBACK, lines=3)
    with closing(people(hub)) as client:
        (first,) = until(lambda: workers(client), "a worker")
        (pid,) = worker_of(hub)
        os.kill(pid, signal.SIGKILL)
        until(lambda: len(workers(client)) == 2, "another")
        (pid,) = until(lambda: worker_of(hub), "its process")
        hub.send_signal(signal.SIGTERM)
        told = hub.communicate(timeout=90)[1]
        assert hub.returncode == 0 and told.endswith("stopped\n") and "started again" in told
        assert not Path(f"/proc/{pid}").exists() and first


def test_a_killed_hub_takes_its_worker_along(start, until):
    hub = start("--data", "hub", *LOOPBACK, lines=3)
    (pid,) = until(lambda: worker_of(hub), "a worker")
    hub.kill()
    until(lambda: not Path(f"/proc/{pid}").exists(), "the worker ends")


def test_a_hub_without_one_says_so_and_one_is_started_beside_it(start, until):
    hub = start("--data", "hub", "--jobs", "0", *LOOPBACK, lines=3)
    assert worker_of(hub) == []
    with closing(people(hub)) as client:
        assert workers(client) == {}
        worker = start("worker", "--data", "hub", "--jobs", "2")
        id_ = worker.lines[0].split()[1]
        assert workers(client) == {id_: "live"}
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(90) == 0 and worker.stderr.read() == "stopped\n"
        assert workers(client) == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["worker", "--data", "hub", "--jobs", "0"], "--jobs is 1 to 64"),
        (["--data", "hub", "--jobs", "65"], "--jobs is 0 to 64"),
        (["--data", "hub", "--jobs", "-1"], "--jobs is 0 to 64"),
        (["worker", "--data", "hub", "--database", "mysql://a/b"], "no database of kind"),
        (["worker", "--data", "hub", "--objects", "ftp://a"], "--objects s3://"),
    ],
)
def test_what_makes_no_sense_is_refused(words, told, tmp_path):
    done = subprocess.run([*WORDS, *words], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 2 and told in done.stderr and len(done.stderr.splitlines()) == 1


def test_its_unit(tmp_path):
    words = [*WORDS, "worker", "--data", "hub", "--unit"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert f" hub worker --data {tmp_path}/hub\n" in done.stdout


def test_several_web_processes_have_one_worker_that_is_replaced_with_them(start, until):
    hub = start("--data", "hub", "--workers", "2", *LOOPBACK, lines=3)
    (first,) = until(lambda: worker_of(hub), "a worker")
    hub.send_signal(signal.SIGHUP)
    (second,) = until(lambda: [pid for pid in worker_of(hub) if pid != first], "another")
    assert not Path(f"/proc/{first}").exists() and second
    hub.send_signal(signal.SIGTERM)
    assert hub.wait(90) == 0
