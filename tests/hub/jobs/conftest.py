"""A hub with jobs, and workers that are processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest

from edgewright.hub.database import EVERY
from edgewright.hub.jobs.inputs import provide
from edgewright.hub.jobs.tables import Worker as Row
from edgewright.testing.beside import beside

HERE = Path(__file__).parent
PATH = "/api/edge/optimization-jobs"


PROGRAM = beside(HERE / "program.py")


def until(seen, what, seconds=120.0, every_s=0.15):
    """Wait for something that another process does; ``what``, or what that says by then, where it does not."""
    end = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(every_s)  # a look takes 10 ms of a core that the other process needs
    return found


@contextlib.contextmanager
def small_disk(place, megabytes):
    """A file system of its own at ``place``, which it makes. Skips the test where none may be mounted."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no disk may be mounted here; run as root to test full ones")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(disk):
    """To the last byte."""
    with (disk / "ballast").open("ab", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(4096)):
            pass


class Worker:
    """A process."""

    def __init__(self, folder, url, slots=1, objects="", **environment):
        words = [
            sys.executable,
            str(HERE / "program.py"),
            str(folder),
            url,
            str(slots),
            *([objects] if objects else []),
        ]
        self.log = folder.parent / f"worker-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **environment}
            )
        self.id = self.process.stdout.readline().strip()
        assert self.id.startswith("wrk_"), self.log.read_text()

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(60)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Jobs:
    """What people do with jobs; ``worker`` starts one."""

    version, dataset, broken, checking = PROGRAM.VERSION, PROGRAM.DATASET, PROGRAM.BROKEN, PROGRAM.CHECKING
    small: ClassVar = {"version": PROGRAM.SMALL, "dataset": PROGRAM.SMALL_DATA, "budget_s": 15}
    """For tests that want a job to end: a search that is through with everything long before its time is up."""

    over, searched = ("done", "infeasible", "failed", "cancelled"), ("done", "infeasible")
    """A search that is over found something or not: on a busy machine a short one may not."""

    def __init__(self, hub, url, folder):
        self.hub, self.north, self.state, self.url, self.folder = hub, hub.north, hub.state, url, folder
        self.workers = []
        provide(hub.state, PROGRAM.Files())

    def wish(self, **more):
        told = {"version": self.version, "dataset": self.dataset, "budget_s": 6, "limits": {"max_accuracy_drop": 5.0}}
        return {**told, "engines": ["onnxruntime"], "keep_structure": True, **more}

    def make(self, who=None, status=201, **more):
        return (who or self.north).post(PATH, self.wish(**more), status)

    def show(self, job, who=None):
        return (who or self.north).get(f"{PATH}/{job['id']}")

    def worker(self, folder=None, **how):
        self.workers.append(Worker(folder or self.folder, self.url, **how))
        return self.workers[-1]

    def register(self, *ids):
        """Rows of workers that live, and are no processes."""
        now = self.state.clock()
        with self.state.database.write(EVERY) as session:
            for id_ in ids:
                session.add(
                    Row(id=id_, host="bench", engines=[], accelerators=[], cores=1, memory_bytes=1, slots=1,
                        release="0", beat=0, seen=now, state="live", lost=None, made=now)
                )  # fmt: skip

    def until(self, job, *states, seconds=120.0, who=None):
        def seen():
            told = self.show(job, who)
            return told if told["state"] in states else None

        return until(seen, lambda: [self.show(job, who), *(worker.log.read_text() for worker in self.workers)], seconds)

    def candidates(self, job):
        return self.north.get(f"{PATH}/{job['id']}/candidates?limit=200")["items"]

    def events(self, job=None, who=None):
        of = f"&of={job['id']}" if job else ""
        return (who or self.north).get(f"/api/edge/events?after=0{of}")["items"]

    def audit(self, action):
        return [one for one in self.north.get("/api/edge/audit?limit=200")["items"] if one["action"] == action]


@pytest.fixture
def jobs(hub, url, tmp_path):
    made = Jobs(hub, url, tmp_path / "data")
    yield made
    for worker in made.workers:
        worker.end()


@pytest.fixture(name="until")
def until_():
    return until


@pytest.fixture(name="small_disk")
def small_disk_():
    return small_disk


@pytest.fixture(name="fill")
def fill_():
    return fill
