"""Runtime: what serves on this device, kept running by the agent, which never imports it."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewright.agent.process import Process, find, start
from edgewright.agent.slots import Slots
from edgewright.agent.talk import Served, Silent, Talk
from edgewright.core.errors import EngineError, StorageError
from edgewright.core.files import storage

_START_S, _LOOK_S = 120.0, 0.05
LONGEST = 100
"""Of a Unix socket's path (unix(7): 108 with its end)."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the runtime is started again: not at all the first time, then 1 s, doubled each time,
    60 s at most; forgotten once it was healthy for a minute."""

    failures: int = 0

    @property
    def wait_s(self) -> float:
        """Before the next start, in s."""
        return 0.0 if self.failures <= 1 else min(0.5 * 2.0 ** (self.failures - 1), 60.0)

    def after(self, healthy_s: float) -> Backoff:
        """After it ended, having been healthy for so long."""
        return Backoff(1 if healthy_s >= 60.0 else min(self.failures + 1, 16))


class Runtime:
    """The runtime on ``slots.link``. ``options``: more arguments of its command line, as ``("--http", "...")``.

    Its socket lies at ``STATE/run/edge.sock``; where nothing can be written there, or the path is too long for one, in
    a temporary folder.
    """

    def __init__(self, state: Path, slots: Slots, keys: Callable[[], Sequence[Path]], options: Sequence[str] = (),
                 rest: Callable[[float], None] = time.sleep) -> None:  # fmt: skip
        self._state, self._slots, self._keys, self._options, self._rest = state, slots, keys, tuple(options), rest
        self.lock = threading.RLock()
        """Held by whoever starts, ends or reloads it."""
        self.ends = 0
        """How often it had to be started anew because it had ended, or did not answer."""
        self._place()
        self.process: Process | None = find(self._run / "runtime.json")

    def _place(self) -> None:
        self._run = room(self._state)
        self.socket = self._run / "edge.sock"
        self.talk = Talk(self.socket)

    @property
    def log(self) -> Path:
        """What it wrote to its standard output and error."""
        return self._run / "runtime.log"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.alive

    def serve(self, digest: str) -> None:
        """Have it serve this bundle, which ``current`` names: started, or told to load it. Comes back when it answers.

        Raises EngineError with why it cannot serve it, Silent when that is not the bundle's fault.
        """
        folder = self._slots.model(digest)
        if folder is None:
            raise EngineError(f"bundle {digest[:12]} is not on the disk")
        with self.lock:
            if not self.alive or not self.answers() or not self._knows_keys():
                self.restart()
            elif digest not in self.serving():
                self.talk.load(folder.name)
            if digest not in self.serving():
                reasons = [one.reason for one in self.index() if one.name == folder.name and one.reason]
                why = (reasons or ["it says not why"])[0]
                raise EngineError(f"the runtime does not serve bundle {digest[:12]}: {why}")

    def _knows_keys(self) -> bool:
        """Whether the process reads the folder of keys, which it does anew for each bundle, or was started by an older
        release with all those that count now."""
        told = self.process.arguments() if self.process is not None else []
        return not told or str(self._state / "keys") in told or all(str(key) in told for key in self._keys())

    def index(self) -> list[Served]:
        """What it serves; nothing where it does not answer."""
        try:
            return self.talk.index()
        except Silent:
            return []

    def serving(self) -> set[str]:
        """Digests of the bundles that answer."""
        return {one.digest for one in self.index() if one.state == "READY"}

    def restart(self) -> None:
        """Start it, ended before if it runs, and wait until it answers. Raises Silent, EngineError."""
        with self.lock:
            self.ends += self.process is not None
            self.stop()
            self._place()  # a disk may have become read-only
            self._start()

    def _start(self) -> None:
        command = ["-P", "-m", "edgewright.runtime", "--models-dir", str(self._slots.link), "--uds", str(self.socket)]
        keys = [self._state / "keys"] if (self._state / "keys").is_dir() else self._keys()
        command += [*self._options, *(part for key in keys for part in ("--key", str(key)))]
        if (self._state / "runtime.toml").is_file():
            command += ["--config", str(self._state / "runtime.toml")]
        log = self.log
        self.process = start(command, self._run / "runtime.json", log)
        end = time.monotonic() + _START_S
        while not self.answers():
            if not self.process.alive or time.monotonic() > end:
                self.stop()
                raise Silent(f"the runtime does not come up: {_last(log)}")
            self._rest(_LOOK_S)

    def stop(self) -> None:
        """End it, if it runs."""
        with self.lock:
            if self.process is not None:
                self.process.end()
                self.let_go()

    def let_go(self) -> None:
        """Leave it running for the next agent."""
        if self.process is not None:
            self.process.let_go()
            self.process = None

    def answers(self) -> bool:
        """Whether it says that it is up."""
        try:
            return self.talk.ready()
        except Silent:
            return False


def rooms(state: Path, user: int) -> tuple[Path, Path]:
    """Where sockets of ``state`` may lie, the second for paths that are too long or a disk that cannot be written: the
    same for every agent of this state, so that it finds the runtime."""
    from edgewright.core.digests import digest_bytes

    name = f"edgewright-{user}-{digest_bytes(os.fsencode(state.resolve()))[:12]}"
    return state / "run", Path(tempfile.gettempdir()) / name


def room(state: Path) -> Path:
    """The folder of the sockets. Raises StorageError."""
    run, short = rooms(state, os.geteuid())
    try:
        with storage(run):
            run.mkdir(mode=0o700, exist_ok=True)
        if len(os.fsencode(run / "agent.sock")) <= LONGEST and os.access(run, os.W_OK):
            return run
    except StorageError:
        pass
    with storage(short):
        short.mkdir(mode=0o700, exist_ok=True)
    facts = short.lstat()
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o077 or not short.is_dir() or short.is_symlink():
        raise StorageError(f"{short} is not this user's own; remove it")
    return short


def _last(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
            lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return "it left no word"
    return "".join(c if c.isprintable() else " " for c in (lines or ["it left no word"])[-1])[:300]
