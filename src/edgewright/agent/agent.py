"""Agent: everything on one state folder. It serves, recovers, and takes an update from idle to committed or back.

STATE/journal        what it is about to do         STATE/slots/, current    bundles, and the one that serves
STATE/incoming/      updates in the making          STATE/keys/*.pub         who may sign bundles
STATE/run/           the runtime's socket and log   STATE/runtime.toml       how models are served, if it is there
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from edgewright.agent.device import Device, Trial
from edgewright.agent.journal import Journal, held
from edgewright.agent.machine import Machine
from edgewright.agent.runtime import Runtime
from edgewright.agent.slots import Slots
from edgewright.agent.sources import FileSource, Source, update_from
from edgewright.agent.states import Situation, Update
from edgewright.agent.supervise import Supervisor
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, EngineError, InputError, StorageError
from edgewright.core.files import storage, sync_folder

JOURNAL, KEYS = "journal", "keys"
_FULL_S = 5.0
_log = logging.getLogger("edgewright.agent")


class Agent(Closing):
    """On the folder ``state``, held until ``close``. What runs already is taken over; ``start`` recovers and serves.

    ``source``: where updates come from (files on this machine by default); ``options``: of the runtime's command line;
    ``told``: called with each recorded situation. Raises StorageError when another agent has the folder.
    """

    def __init__(
        self, state: Path, source: Source | None = None, *, trial: Trial | None = None, options: Sequence[str] = (),
        told: Callable[[Situation], None] = lambda now: None,
    ) -> None:  # fmt: skip
        self._stack, self._wake, self.notes = contextlib.ExitStack(), threading.Event(), list[str]()
        with contextlib.ExitStack() as stack:
            stack.enter_context(held(state))
            keys = state / KEYS
            with contextlib.suppress(OSError):  # a disk that cannot be written now
                keys.mkdir(mode=0o755, exist_ok=True)
            self.slots = Slots(state)
            journal = stack.enter_context(opened(state / JOURNAL, self.notes))
            self.runtime = Runtime(state, self.slots, lambda: sorted(keys.glob("*.pub")), options)
            stack.callback(self.runtime.let_go)
            device = Device(
                state, self.slots, self.runtime, source or FileSource(), lambda: sorted(keys.glob("*.pub")), trial
            )
            self.machine = Machine(journal, device, told)
            self._supervisor = Supervisor(self.runtime, lambda: bool(self.slots.current))
            stack.callback(self._supervisor.close)
            self._stack = stack.pop_all()
        self.notes += journal.notes
        if journal.last is None and self.slots.current:
            self.notes.append("there is no journal: what serves is taken for the last good bundle")
            self.machine.now = Situation(good=self.slots.current)

    def start(self) -> str:
        """Recover, and serve; the digest of the bundle that serves, "" for none. What stands in the way is in
        ``notes``: a disk that cannot be written keeps nobody from serving."""
        try:
            digest = self.machine.recover()
        except StorageError as error:
            self._note(error)
            digest = self.slots.current
        try:
            if digest and self.machine.now.state not in {"switching", "rolling_back"}:
                self.runtime.serve(digest)
        except EngineError as error:
            self._note(error)
            if self.machine.now.state == "idle" and self.machine.now.before:
                self._revert(str(error))
        except EdgewrightError as error:
            self._note(error)  # the supervisor goes on trying
        self._supervisor.start()
        return digest

    def run(self) -> Situation:
        """Step until the machine is idle, or ``wake`` says to stop; the situation then."""
        while self.machine.now.state != "idle" and not self._wake.is_set():
            if pause := self.step():
                self._wake.wait(pause)
        return self.machine.now

    def step(self) -> float:
        """One step of the machine; after how many s to call again (0.0: at once)."""
        try:
            return self.machine.step()
        except StorageError as error:
            self._note(error)
            return _FULL_S

    def update(self, bundle: Path) -> Situation:
        """Take the bundle (a file or a folder on this machine) from idle to committed, or back; how it ended is in
        ``result`` and ``reason``. Raises InputError, TrustError, StorageError when it cannot even be begun."""
        update = update_from(bundle)
        return self.take(update)

    def take(self, update: Update) -> Situation:
        """As ``update``, for an update that the agent's source knows."""
        now = self.run()
        if now.state == "idle" and now.good == update.bundle == self.slots.current:
            return now
        self.machine.offer(update)
        return self.run()

    def roll_back(self, reason: str = "it was asked for") -> Situation:
        """Back to the bundle before the one that serves; needs no network. Raises InputError when there is none."""
        self.machine.revert(reason)
        return self.run()

    def wake(self) -> None:
        """Have ``run`` come back; from any thread, but not from a signal handler."""
        self._wake.set()

    def close(self) -> None:
        """Let the folder go. The runtime serves on; ``runtime.stop()`` ends it."""
        self._stack.close()

    def _note(self, error: EdgewrightError) -> None:
        _log.warning("%s", error)
        if not self.notes or self.notes[-1] != str(error):
            self.notes = [*self.notes[-63:], str(error)]

    def _revert(self, why: str) -> None:
        """What was good serves no more (another release of the engine): the one before it."""
        try:
            self.machine.revert(why)
        except StorageError as error:
            self._note(error)


def opened(path: Path, notes: list[str]) -> Journal:
    """The journal at ``path``. One that cannot be read as one is moved aside, and told in ``notes``: what serves then
    is found on the disk. Raises StorageError."""
    try:
        journal = Journal(path)
        if journal.last is not None:
            Situation.from_json(journal.last)
        return journal
    except (InputError, StorageError) as error:
        aside = path.with_name(f"{path.name}.damaged")
        notes.append(f"{error}; it lies in {aside.name} now")
        with storage(path):
            path.replace(aside)
            sync_folder(path.parent)
    return Journal(path)
