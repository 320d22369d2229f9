"""The demo ends by itself: a report, a bundle that verifies, a release that went out and one that was taken back. What
it leaves opens in the studio, the devices at work."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

from edgewright.cli import main
from edgewright.client import Hub, Profile
from edgewright.client.login import log_in
from edgewright.testing.site import PASSWORD

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
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho $1 > {place}/opened\n")
    browser.chmod(0o755)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    @contextlib.contextmanager
    def demo(*arguments):
        with subprocess.Popen(
            [ROOT / "scripts" / "demo", *arguments],
            env={**os.environ, "PATH": path, "TMPDIR": place, "BROWSER": str(browser)}, text=True,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as made:  # fmt: skip
            try:
                yield made
            except BaseException:
                made.kill()
                raise

    with demo("--open", out) as early:
        assert "make it with" in early.communicate()[1] and early.returncode == 1
    with demo(out) as first:
        said, told = first.communicate()
    assert first.returncode == 0, said + told
    assert not processes_of(first.pid, str(tmp_path))
    compiled, _, fleet = said.partition("\n\n")
    *_, report, latency, size, accuracy = compiled.splitlines()
    assert "was completed in wave 1" in fleet and "was halted in wave 1" in fleet
    *_, rolled_back, _, invitation, command = fleet.splitlines()
    assert "the second release is rolled back" in rolled_back and "four unrelated words" in invitation
    assert command.split() == ["scripts/demo", "--open", str(out)]
    assert (out / "hub" / "hub.db").is_file()
    assert report.split() == ["report", str(out / "report.html")]
    assert [line.split()[0] for line in (latency, size, accuracy)] == ["latency", "size", "accuracy"]
    assert (out / "report.html").stat().st_size > 10_000
    assert main(["bundle", "verify", str(out / "bundle"), "--self-test"]) == 0

    began, pause = datetime.now(UTC), threading.Event()
    with demo(*command.split()[1:]) as killed:
        assert "devices at work" in killed.stdout.readline() + killed.stdout.readline()
        with demo("--open", out) as second:
            assert "runs already" in second.communicate()[1] and second.returncode == 1
        killed.kill()
    while left := processes_of(killed.pid, str(tmp_path)):
        assert not pause.wait(0.1), left  # the kernel tells each of it
    with demo(*command.split()[1:]) as studio:
        url = studio.stdout.readline().split()[2].rstrip(",")
        assert "press-1, press-2, press-3" in studio.stdout.readline()
        assert Path(place, "opened").read_text().strip() == url
        profile, _ = log_in(Profile(url.removesuffix("/edge-ai")), "owner", PASSWORD, str, "line")
        with Hub(profile) as hub:
            assert [one["state"] for one in hub.every("/rollouts")] == ["rolled_back", "completed"]
            while any(datetime.fromisoformat(one["seen"]) < began for one in hub.every("/devices")):
                assert studio.poll() is None
                pause.wait(0.25)
        studio.send_signal(signal.SIGINT)
        _, told = studio.communicate()
    assert studio.returncode == 0, told
    assert not processes_of(studio.pid, str(tmp_path))
