"""What a device needs: the wheel's core install alone, in an environment of its own, from enrolment to an update.

    python -m benchmarks.fleet.device [--venv FOLDER]      # FOLDER: made, and used again the next time

Builds the wheel, installs it without extras, runs a hub of this environment on the loopback and the agent of the other
one: status, enrol, run, a release, a configuration of its group, a bundle brought by hand, back again. Fails when one
of its processes imported a library of the hub's or of compile's, or a package of ours that no device runs. Needs a
package index (pip), and is therefore no test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from edgewright.client import Hub
from edgewright.core.errors import EdgewrightError
from edgewright.testing.agents import multiplier
from edgewright.testing.site import Site
from edgewright.trust import SigningKey

ROOT = Path(__file__).parents[2]
STRANGERS = {
    "fastapi", "uvicorn", "starlette", "pydantic", "sqlalchemy", "alembic", "argon2", "psycopg", "joserfc", "httpx2",
    "obstore", "onnx", "onnx_ir", "scipy", "jinja2", "PIL", "torch", "sklearn", "openvino", "grpc",
}  # fmt: skip
OURS = {"hub", "flows", "compression", "client", "cli", "reports", "advice", "graphs", "measurement"}
TRACE = """import atexit, os, sys
def _tell():
    with open(os.path.join({folder!r}, str(os.getpid())), "w") as out:
        out.write("\\n".join([" ".join(sys.argv), *sys.modules]))
atexit.register(_tell)
"""


def installed(folder: Path) -> Path:
    """The Python of an environment with the wheel alone; made if it is not there."""
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([*pip, "wheel", "--no-deps", "-w", made, ROOT], check=True)
        (wheel,) = Path(made).glob("*.whl")
        subprocess.run([*pip, "install", "--force-reinstall", "--no-deps", wheel], check=True)
        subprocess.run([*pip, "install", wheel], check=True)
    return python


def traced(python: Path, folder: Path) -> None:
    """Each process of this Python tells in ``folder`` what it imported, when it ends."""
    folder.mkdir()
    told = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    packages = Path(told.stdout.strip())
    (packages / "edgewright_trace.py").write_text(TRACE.format(folder=str(folder)))
    (packages / "edgewright_trace.pth").write_text("import edgewright_trace\n")


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident, and its share of what is shared (proc(5), smaps_rollup)."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    sizes = {line.split()[0].rstrip(":"): int(line.split()[1]) for line in told[1:]}
    return sizes["Rss"] / 1024, sizes["Pss"] / 1024


def cpu_s(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def strangers(folder: Path) -> dict[str, list[str]]:
    """By command line, what no device's process should import."""
    found = {}
    for path in folder.iterdir():
        words, *modules = path.read_text().splitlines()
        wrong = {name.partition(".")[0] for name in modules} & STRANGERS
        wrong |= {name for name in OURS if f"edgewright.{name}" in modules}
        if wrong and "pip" not in words:
            found[words] = sorted(wrong)
    return found


def main() -> int:
    """Prints figures as JSON. Exit status 0 when nothing strange was imported and all went as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--idle", type=float, default=20.0, metavar="S")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgewright-device-") as made:
        folder = Path(made)
        python = installed(arguments.venv or folder / "venv")
        told = subprocess.run(["du", "-sm", python.parents[1]], capture_output=True, text=True, check=True)
        figures: dict[str, Any] = {"environment_mb": int(told.stdout.split()[0])}
        traced(python, folder / "imported")
        with Site(folder / "site") as site:
            Story(site, python, folder, figures).run(arguments.idle)
        figures["strangers"] = strangers(folder / "imported")
        figures["processes"] = len(list((folder / "imported").iterdir()))
    print(json.dumps(figures, indent=2))
    return 1 if figures["strangers"] or not figures["processes"] else 0


class Story:
    """Of one device."""

    def __init__(self, site: Site, python: Path, folder: Path, figures: dict[str, Any]) -> None:
        self.site, self.python, self.folder, self.figures = site, python, folder, figures
        self.state, self.key = folder / "state", SigningKey.generate()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def agent(self, *words: str) -> str:
        """A command of the device's, to its end."""
        command = [self.python, "-m", "edgewright.agent", *words, "--state", self.state]
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        if ran.returncode:
            raise EdgewrightError(f"{words[0]}: {ran.stderr}")
        return ran.stdout

    def run(self, idle_s: float) -> None:
        """All of it."""
        self.state.mkdir()
        self.agent("status")
        with self.site.api() as hub:
            made = hub.post("/enrolments", {"device": "press-1", "group": "line"})
        self.agent("enrol", "--hub", f"https://{self.site.devices}", "--token", made["token"])
        command = [self.python, "-m", "edgewright.agent", "run", "--state", self.state, "--stop-runtime"]
        with (
            (self.folder / "agent.log").open("wb") as log,
            subprocess.Popen(
                [*command, "--", "--http", "127.0.0.1:0"], env=self.environment, stdout=log, stderr=log
            ) as running,
        ):
            try:
                self.live(running.pid, idle_s)
            except (EdgewrightError, TimeoutError):
                print((self.folder / "agent.log").read_text(), file=sys.stderr)
                raise
            finally:
                running.terminate()
                self.figures["agent_ended"] = running.wait(60)

    def live(self, pid: int, idle_s: float) -> None:
        """While it runs."""
        (self.folder / "signer.pub").write_text(self.key.public.text())
        digest = multiplier(self.folder / "a.ewb", self.key, 2.0)
        began = time.monotonic()
        words = ("--group", "line", "--waves", "100", "--soak", "1s", "--trial", "1s")
        self.site.run("release", str(self.folder / "a.ewb"), *words, "--key", str(self.folder / "signer.pub"))
        self.site.wait(lambda hub: hub.get("/devices/press-1")["current"] == digest)
        self.figures["release_to_serving_s"] = round(time.monotonic() - began, 1)
        self.site.wait(lambda hub: hub.get("/devices/press-1")["state"] == "idle")
        runtime = json.loads((self.state / "run" / "runtime.json").read_text())["pid"]
        before = cpu_s(pid), cpu_s(runtime)
        threading.Event().wait(idle_s)
        after = cpu_s(pid), cpu_s(runtime)
        for name, process, i in (("agent", pid, 0), ("runtime", runtime, 1)):
            rss, pss = memory_mb(process)
            cpu = 100 * (after[i] - before[i]) / idle_s
            self.figures[name] = {"rss_mb": round(rss, 1), "pss_mb": round(pss, 1), "cpu_percent": round(cpu, 2)}
        (self.folder / "group.json").write_text('{"config": {"models": {"*": {"max_batch": 4}}}}')
        self.site.run("device", "config", "--group", "line", str(self.folder / "group.json"))
        self.figures["config"] = self.site.wait(self.configured)
        other = multiplier(self.folder / "b.ewb", self.key, 3.0, version="2")
        self.agent("update", str(self.folder / "b.ewb"))
        told = json.loads(self.agent("status", "--json"))
        assert told["serves"] == other, told
        self.agent("rollback")
        assert json.loads(self.agent("status", "--json"))["serves"] == digest

    def configured(self, hub: Hub) -> Any:
        """What the device told of its configuration."""
        events = hub.get("/devices/press-1/events", limit=50)["items"]
        return next((one["detail"] for one in events if one["kind"] == "config"), None)


if __name__ == "__main__":
    sys.exit(main())
