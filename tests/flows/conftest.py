"""One small finished run for a target whose figures are predicted, and runs that are sent signals on their way."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgewright.cli import main
from edgewright.testing.tiny import OPTIMIZE, write_tiny

# A process that has imported everything and forks for each run: the imports take longer than the runs.
SERVER = """
import json, os, sys
import edgewright.flows.run as flow
import edgewright.reports.page, onnx, scipy.linalg
from edgewright.cli import main, optimize

def signalled(moments):
    # "fsync:12:9": signal 9 before the 12th time something is made durable; "result:2:9": the 2nd of those once the
    # result is being written. "stage:3:2": after the 3rd line of progress.
    plan = {tuple(one.split(":")[:2]): int(one.split(":")[2]) for one in moments}
    counts = {"fsync": 0, "stage": 0, "result": 0}
    writing = []

    def passed(kind):
        counts[kind] += 1
        number = plan.get((kind, str(counts[kind])))
        if number is not None:
            os.kill(os.getpid(), number)

    durable, show, write = os.fsync, optimize.ProgressLine.show, flow.write

    def fsync(handle):
        passed("fsync")
        if writing:
            passed("result")
        durable(handle)

    def shown(self, now):
        show(self, now)
        passed("stage")

    def written(*arguments):
        writing.append(True)
        return write(*arguments)

    os.fsync, optimize.ProgressLine.show, flow.write = fsync, shown, written
    return counts

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(job["folder"])
        for handle, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), handle)
        counts = signalled(job["moments"])
        status = main(job["arguments"])
        sys.stdout.flush()
        with open(job["counts"], "w") as stream:
            json.dump(counts, stream)
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps(status), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a run ended. ``counts``: how often it made something durable and drew its progress; empty when killed."""

    status: int
    stdout: str
    stderr: str
    counts: dict[str, int]

    @property
    def last(self) -> str:
        """The last line of standard error."""
        return self.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``model.onnx``, ``data.npz`` and a finished run of them in ``out``. To be read only."""
    folder = tmp_path_factory.mktemp("workshop")
    write_tiny(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(OPTIMIZE) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="session")
def report(workshop: Path) -> dict:
    return json.loads((workshop / "out" / "report.json").read_text())


@pytest.fixture(scope="session")
def server():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def signalled(server, tmp_path, workshop):
    """Run the command line in a process of its own that sends itself signals at moments of its run."""
    for name in ("model.onnx", "data.npz"):
        (tmp_path / name).write_bytes((workshop / name).read_bytes())
    aside = tmp_path / ".said"
    aside.mkdir()

    def run(*moments: str, arguments=OPTIMIZE) -> Ended:
        said = {name: aside / name for name in ("stdout", "stderr", "counts")}
        said["counts"].write_text("{}")
        job = {"folder": tmp_path, "arguments": arguments, "moments": moments, **said}
        print(json.dumps(job, default=str), file=server.stdin, flush=True)
        status = json.loads(server.stdout.readline())
        return Ended(
            status, *(said[n].read_text() for n in ("stdout", "stderr")), json.loads(said["counts"].read_text())
        )

    return run
