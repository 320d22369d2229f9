"""Several workers under a parent: killed, replaced one by one, ended; the hub answers all the while."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from edgewright.hub.listener.handles import ENOUGH, raise_limit


@pytest.fixture
def parent(tmp_path):
    words = [sys.executable, "-m", "edgewright", "hub", "--data", str(tmp_path / "hub"), "--workers", "2"]
    words += ["--listen", "127.0.0.1:0", "--device-listen", "127.0.0.1:0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines[1].startswith("listening at ") and lines[2].startswith("devices at https://127.0.0.1:"), lines
    process.url = lines[1].split()[-1]
    process.wanted = 2
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        for child in children(process):
            os.kill(child, signal.SIGKILL)
    process.communicate()


def children(process):
    told = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return {int(one) for one in told.split()}


def until(seen, what, seconds=90.0):
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, what
        time.sleep(0.05)


class Probes:
    """One request after the other, each on a connection of its own."""

    def __init__(self, url):
        self.url, self.failed, self.good, self.over = url, [], 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(0.02):
            try:
                assert httpx2.get(f"{self.url}/openapi.json", timeout=20).status_code == 200
                self.good += 1
            except (httpx2.HTTPError, AssertionError) as error:
                self.failed.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_workers_are_replaced_without_a_request_lost(parent):
    until(lambda: len(children(parent)) == 2, "two workers")
    before = children(parent)
    with Probes(parent.url) as probes:
        until(lambda: probes.good > 5, "answers")
        parent.send_signal(signal.SIGHUP)
        until(lambda: not before & children(parent) and len(children(parent)) == 2, "two new workers")
        so_far = probes.good
        until(lambda: probes.good > so_far + 5, "answers of the new ones")
    assert probes.failed == []
    victim = min(children(parent))
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in children(parent) and len(children(parent)) == 2, "another one")
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(60) == 0


def test_the_limit_of_open_files_is_raised_or_told(monkeypatch):
    import resource

    raised = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: raised.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: raised[-1] if raised else (1024, ENOUGH))
    assert raise_limit() == "" and raised == [(ENOUGH, ENOUGH)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 4096))
    assert "too few for 10,000 devices" in raise_limit()
