"""The demo ends by itself, in the report's path and what was won, leaves no process, and its bundle verifies."""

import os
import subprocess
import sys
from pathlib import Path

from edgewright.cli import main

ROOT = Path(__file__).parents[2]


def processes_of(session):
    """Process ids of a session (setsid), as /proc tells them; the fourth field behind the name is the session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(entry.parent.name)
    return found


def test_the_demo(tmp_path):
    out = tmp_path / "demo"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [ROOT / "scripts" / "demo", out], env={**os.environ, "PATH": path}, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as demo:  # fmt: skip
        said, told = demo.communicate()
    assert demo.returncode == 0, told
    assert not processes_of(demo.pid)
    *_, report, latency, size, accuracy = said.splitlines()
    assert report.split() == ["report", str(out / "report.html")]
    assert [line.split()[0] for line in (latency, size, accuracy)] == ["latency", "size", "accuracy"]
    assert (out / "report.html").stat().st_size > 10_000
    assert main(["bundle", "verify", str(out / "bundle"), "--self-test"]) == 0
