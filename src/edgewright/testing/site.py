"""A site: a real hub and real agents on this machine, each a process of its own, in one folder; for tests and demos."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgewright.client import Hub, Profile
from edgewright.client.login import log_in
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError
from edgewright.core.files import write_file
from edgewright.core.sandbox import die_with_parent

PASSWORD = "four unrelated words here"  # noqa: S105 - of a hub on the loopback that lives for minutes
PORTS = "ports.json"
"""In a site's folder, once it stands: where people and devices reach its hub."""
_LONG_S = 120.0


class Program(Closing):
    """``edgewright ...`` as a process in a session of its own, which is told to end when this process is gone, however
    it went; its output goes to ``log``."""

    def __init__(self, arguments: Sequence[str], log: Path, settings: dict[str, str]) -> None:
        self.log, ours = log, os.getpid()
        # The kernel looks at the thread that started it: of another one's end it is told nothing.
        tied = threading.current_thread() is threading.main_thread()
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edgewright", *arguments], stdin=subprocess.DEVNULL, stdout=stream,
                stderr=stream, env={**os.environ, **settings}, start_new_session=True,
                preexec_fn=partial(die_with_parent, ours, signal.SIGTERM) if tied else None,
            )  # fmt: skip

    @property
    def last(self) -> str:
        """The last line of it."""
        return (self.told().strip().splitlines() or ["nothing was said"])[-1]

    def told(self) -> str:
        """All that it said so far."""
        return self.log.read_text("utf-8", "replace")

    def close(self) -> None:
        """End it as a service manager would, and wait until it is gone."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(_LONG_S)


class Site(Closing):
    """In ``folder``: a hub with the development tenant ``line``, its own files at ``data`` (default: there, too). Where
    a site stood there before, the same one goes on. ``settings``: of its processes' environment."""

    def __init__(
        self, folder: Path, *, development: bool = True, options: Sequence[str] = (), data: Path | None = None
    ) -> None:
        self.folder, self.data = folder, data or folder / "hub"
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = {"XDG_CONFIG_HOME": str(folder / "home"), "EDGEWRIGHT_PASSWORD": PASSWORD}
        ports = folder / PORTS
        free = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        places = _known(ports) or free
        self.people, self.devices = places
        if running(folder):
            raise EdgewrightError(f"what stands in {folder} runs already, or somebody else listens at {self.people}")
        if ports.exists() and not self.data.is_dir():
            raise EdgewrightError(f"{folder} belongs to a hub whose files were at {self.data}, and are gone")
        self._options = ["hub", "--data", str(self.data), "--listen", self.people]
        self._options += ["--device-listen", self.devices, "--jobs", "0", *options]
        self.agents: dict[str, Program] = {}
        password = PASSWORD if ports.exists() else self._founded(development)
        self.hub = self._started()
        try:
            self._log_in(password)
            write_file(ports, json.dumps(places).encode())
        except BaseException:
            self.hub.close()
            raise

    def _founded(self, development: bool) -> str:
        """The owner's one-time password."""
        new = ["--new-tenant", "line", *(["--development"] if development else [])]
        return self.run("hub", "--data", str(self.data), *new).split()[-1]

    def _log_in(self, password: str) -> None:
        self.profile, _ = log_in(Profile(f"http://{self.people}"), "owner", password, lambda: PASSWORD, "line", days=1)
        self.settings |= {"EDGEWRIGHT_HUB": self.profile.url, "EDGEWRIGHT_TOKEN": self.profile.token}

    def run(self, *arguments: str) -> str:
        """A command of ours, to its end: what it printed. Raises EdgewrightError."""
        done = subprocess.run(
            [sys.executable, "-m", "edgewright", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env={**os.environ, **self.settings}, timeout=_LONG_S, check=False,
        )  # fmt: skip
        if done.returncode:
            raise EdgewrightError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    def api(self) -> Hub:
        """The people's API, as the tenant's owner."""
        return Hub(self.profile)

    def enrol(self, name: str, group: str = "") -> Path:
        """A device of that name, enrolled; its state folder."""
        with self.api() as hub:
            made = hub.post("/enrolments", {"device": name, **({"group": group} if group else {})})
        state = self.folder / name
        self.run("agent", "enrol", "--hub", f"https://{self.devices}", "--token", made["token"], "--state", str(state))
        return state

    def start(self, name: str, *options: str) -> Program:
        """Its agent, running."""
        state = self.folder / name
        arguments = ["agent", "run", "--state", str(state), "--stop-runtime", "--", "--http", "127.0.0.1:0", *options]
        self.agents[name] = Program(arguments, self.folder / f"{name}.log", self.settings)
        return self.agents[name]

    def restart_hub(self) -> None:
        """End the hub and begin it again on the same folder and ports."""
        self.hub.close()
        self.hub = self._started()

    def wait(self, reached: Callable[[Hub], Any], seconds: float = _LONG_S) -> Any:
        """What ``reached`` gives once it is true; asked again and again. Raises TimeoutError with the logs' ends."""
        pause = threading.Event()
        with self.api() as hub:
            for _ in range(int(seconds / 0.25)):
                found = reached(hub)
                if found:
                    return found
                pause.wait(0.25)
        ends = [f"== {one.log.name}\n{one.told()[-1500:]}" for one in (self.hub, *self.agents.values())]
        raise TimeoutError("\n".join([f"not reached within {seconds:g} s", *ends]))

    def close(self) -> None:
        """End everything."""
        for one in (*self.agents.values(), self.hub):
            if one.process.poll() is None:
                one.process.terminate()
        for one in (*self.agents.values(), self.hub):
            one.close()

    def _started(self) -> Program:
        made = Program(self._options, self.folder / "hub.log", self.settings)
        pause, host = threading.Event(), self.people.partition(":")
        for _ in range(int(_LONG_S / 0.1)):
            if made.process.poll() is not None:
                raise EdgewrightError(f"the hub ended: {made.last}")
            try:
                for place in (self.people, self.devices):
                    host = place.partition(":")
                    socket.create_connection((host[0], int(host[2])), 1.0).close()
            except OSError:
                pause.wait(0.1)
                continue
            return made
        raise TimeoutError(f"the hub does not listen: {made.told()[-1500:]}")


def running(folder: Path) -> bool:
    """Whether somebody listens where a site in ``folder`` would."""
    for place in _known(folder / PORTS):
        host, _, port = place.partition(":")
        with contextlib.suppress(OSError):
            socket.create_connection((host, int(port)), 1.0).close()
            return True
    return False


def _known(ports: Path) -> list[str]:
    if not ports.exists():
        return []
    try:
        people, devices = json.loads(ports.read_text())
        return [f"127.0.0.1:{int(str(one).rpartition(':')[2])}" for one in (people, devices)]
    except (ValueError, TypeError) as error:
        raise EdgewrightError(f"{ports} is damaged; begin in another folder") from error


def free_port() -> int:
    """A port of the loopback that nobody listened at a moment ago."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port
