"""The demo ends by itself: a report, a bundle that verifies, a release that went out and one that was taken back."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgewright.cli import main

ROOT = Path(__file__).parents[2]


def processes_of(session, folder):
    """Process ids of a session (setsid), as /proc tells them; the fourth field behind the name is the session. And of
    whatever names the folder: hub and agents have sessions of their own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(") ")[2].split()
            command = entry.with_name("cmdline").read_bytes()
        except OSError:
            continue  # it ended while we looked
        if fields[0] != "Z" and (int(fields[3]) == session or os.fsencode(folder) in command):
            found.append(entry.parent.name)
    return found


def test_the_demo(tmp_path, request):
    out = tmp_path / "demo"
    place = tempfile.mkdtemp(prefix="ew-", dir="/tmp")  # short: sockets lie below it
    request.addfinalizer(lambda: shutil.rmtree(place))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [ROOT / "scripts" / "demo", out], env={**os.environ, "PATH": path, "TMPDIR": place}, text=True,
        start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as demo:  # fmt: skip
        said, told = demo.communicate()
    assert demo.returncode == 0, said + told
    assert not processes_of(demo.pid, place)
    compiled, _, fleet = said.partition("\n\n")
    *_, report, latency, size, accuracy = compiled.splitlines()
    assert "was completed in wave 1" in fleet and "was halted in wave 1" in fleet
    *_, rolled_back, _, invitation, command = fleet.splitlines()
    assert "the second release is rolled back" in rolled_back and "four unrelated words" in invitation
    assert command.split() == ["edgewright", "hub", "--data", str(out / "hub"), "--open"]
    assert (out / "hub" / "hub.db").is_file()
    assert report.split() == ["report", str(out / "report.html")]
    assert [line.split()[0] for line in (latency, size, accuracy)] == ["latency", "size", "accuracy"]
    assert (out / "report.html").stat().st_size > 10_000
    assert main(["bundle", "verify", str(out / "bundle"), "--self-test"]) == 0
