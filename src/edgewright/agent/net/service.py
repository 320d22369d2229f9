"""Service: the agent for as long as the machine runs: it serves, follows the hub, reports, and is looked after.

The machine of states runs here, on the caller's thread; the parked poll and what is told have threads of their own
(``link``, ``teller``). All three go on by themselves: a hub that hangs keeps nobody from serving.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.agent.agent import Agent
from edgewright.agent.device import Trial
from edgewright.agent.net.benchmarks import Bencher
from edgewright.agent.net.collecting import Collector
from edgewright.agent.net.configuring import Configurer, runtime_check
from edgewright.agent.net.control import Control, Orders, path_of
from edgewright.agent.net.facts import facts_here, free_bytes, utc_offset_s
from edgewright.agent.net.follow import follow, status
from edgewright.agent.net.hand import Hand
from edgewright.agent.net.keys import prune
from edgewright.agent.net.line import Line
from edgewright.agent.net.link import WAIT_S, Link
from edgewright.agent.net.source import HubSource
from edgewright.agent.net.standing import standing
from edgewright.agent.net.teller import Teller
from edgewright.agent.net.wishes import Wishes
from edgewright.agent.observing import Observer, event
from edgewright.agent.reports import Reports
from edgewright.agent.sources import update_from
from edgewright.agent.states import BEFORE, Situation
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.core.messages import Event, Facts, Status
from edgewright.core.notify import notify

REPORTS, LOG = "reports", "agent.log"
_IDLE_S, _HUNG_S, _TOLD_S, _LOG_BYTES = 30.0, 3600.0, 120.0, 512 * 1024
_STAYS = frozenset({"idle", "waiting", "trial", "rolling_back"})
"""States that the hub waits for: what lies between them is told when it lasts."""
_log = logging.getLogger("edgewright.agent")


class Service(Closing):
    """On the enrolled ``state``. ``options``: of the runtime's command line; ``most_bytes_s``: of downloads, whatever
    the hub allows. Raises InputError before enrolment, StorageError when another agent has the folder."""

    def __init__(
        self, state: Path, options: Sequence[str] = (), *, trial: Trial | None = None, line: Line | None = None,
        wait_s: float = WAIT_S, most_bytes_s: int = 0,
    ) -> None:  # fmt: skip
        self.line = line or Line(state)
        self._state, self._news, self._over, self._seen = state, threading.Event(), threading.Event(), ""
        self.wishes, self._beat, self._listening = Wishes(state), time.monotonic(), contextlib.ExitStack()
        self._held = list[str]()
        self.reports = Reports(state / REPORTS)
        self.boot = self.reports.boot
        enrolment = self.line.enrolment
        self._facts = facts_here(state, enrolment.target, enrolment.labels)
        self.agent: Agent | None = None
        self.link = Link(self.line, self.wishes, self, self._heard, self.happened, wait_s)
        self.source = HubSource(
            self.line, self.wishes, self.link, self._unwanted, most_bytes_s=most_bytes_s, told=self._told_all
        )
        try:
            self.agent = Agent(state, self.source, trial=trial, options=options, told=self._told)
        except BaseException:
            self.link.close()
            self.reports.close()
            raise
        runtime, slots = self.agent.runtime, self.agent.slots
        self._observer = observer = Observer(runtime.talk, self.reports, time.monotonic)
        self._hurried: tuple[int, float] | None = None
        keys = state / "keys"
        signers = lambda: sorted(keys.glob("*.pub"))  # noqa: E731
        self.bencher = Bencher(state, slots, signers, lambda: self.teller.nudge())
        collector = Collector(state, self._logs, self._diagnostics, self.bencher.result)
        self.teller = Teller(self.link, self.reports, observer, collector, self._tick)
        check = runtime_check(slots.link, signers)
        self.configurer = Configurer(state, check, self._restart, lambda told: self.happened("config", told))
        self.orders = Orders(self._news.set)
        self.hand = Hand(self.agent.machine, self.orders, lambda: slots.current, self.wishes.overrule)

    def run(self) -> None:
        """Until ``stop``. What serves goes on serving after it."""
        assert self.agent is not None  # noqa: S101 - narrowing
        with _logged(self._state):
            self.agent.start()
            for note in self.agent.notes:
                self.happened("noted", note)
            self.happened("booted", f"the agent begins, {self.agent.machine.now.state}")
            self.link.start()
            self.teller.start()
            self._control()
            notify("READY=1")
            while not self._over.is_set():
                self._beat = time.monotonic()
                pause = self.turn()
                if pause and not self._over.is_set():
                    self._news.wait(pause)
            notify("STOPPING=1")

    def turn(self) -> float:
        """What the hub wants is held against what is, and the machine takes a step; how long to wait after it, in s."""
        assert self.agent is not None  # noqa: S101 - narrowing
        self._news.clear()
        try:
            if self.hand.turn():
                self.bencher.turn(None)
                return self.agent.step()
            self._follow()
            if self.agent.machine.now.state == "idle":
                self._configure()
                self._tidy()
                self.bencher.turn(self.wishes.desired.collect.benchmark)
                return _IDLE_S if self.agent.machine.now.state == "idle" else 0.0
            self.bencher.turn(None)  # an update and its trial are not to be judged beside it
        except StorageError as error:
            self._say(error)
            return min(self.agent.step() or 5.0, 5.0)
        except EdgewrightError as error:
            self._say(error)
            return 5.0
        return self.agent.step()

    def stop(self) -> None:
        """Have ``run`` come back; from any thread, but not from a signal handler."""
        self._over.set()
        self._news.set()

    def close(self) -> None:
        """Let everything go but the runtime."""
        self.stop()
        self.orders.close()
        self._listening.close()
        self.bencher.close()
        self.teller.close()
        self.link.close()
        if self.agent is not None:
            self.agent.close()
        self.reports.close()

    def status(self) -> Status:
        """As the hub is told it."""
        assert self.agent is not None  # noqa: S101 - narrowing
        told = status(
            self.agent.machine.now, self.wishes.desired.release, self.agent.slots.current, clock_s=self.line.clock_s,
            utc_offset_s=utc_offset_s(), free_bytes=free_bytes(self._state),
        )  # fmt: skip
        return replace(told, config=self.configurer.refused)

    def facts(self) -> Facts:
        """As the hub is told them."""
        return self._facts

    def happened(self, kind: str, detail: str, bundle: str = "") -> None:
        """Store an event. What cannot be stored is counted, and that is all."""
        with contextlib.suppress(EdgewrightError):
            event(self.reports, Event(self.line.clock_s, kind, bundle, detail[:500]))
        self.teller.nudge()

    def answer(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What somebody on the device is told (``control``), on a thread of his own. Raises EdgewrightError."""
        assert self.agent is not None  # noqa: S101 - narrowing
        match asked.get("do"):
            case "status":
                told = standing(self._state, self.agent.machine.now, runtime=self.agent.runtime.alive, agent=True)
                told["hub"] |= {"trouble": self.line.trouble, "clock_fault": self.line.clock_fault}
                return told
            case "update":
                return self.orders.order({"update": update_from(path_of(asked))})
            case "rollback":
                return self.orders.order({})
        raise InputError("the agent knows status, update and rollback; is the command of the same release?")

    def _control(self) -> None:
        try:
            self._listening.callback(Control(self._state, self.answer).close)
        except StorageError as error:
            self._say(error)  # a disk that cannot be written: it serves all the same

    def _follow(self) -> None:
        assert self.agent is not None  # noqa: S101 - narrowing
        release, machine = self.wishes.desired.release, self.agent.machine
        action = follow(machine.now, release, self.wishes.overruled, current=self.agent.slots.current)
        now = action.kind not in {"revert", "empty"} or release is None
        if not now and release is not None and self.source.window(release.window).verdict != "done":
            return
        if action.kind == "offer" and action.update is not None:
            machine.offer(action.update)
        elif action.kind == "amend" and action.update is not None:
            machine.amend(action.update)
        elif action.kind == "end":
            machine.end(action.reason)
        elif action.kind == "revert":
            machine.revert(action.reason, bad=False)
        elif action.kind == "empty":
            machine.empty(action.reason)

    def _configure(self) -> None:
        assert self.agent is not None  # noqa: S101 - narrowing
        if not self.agent.slots.current:
            return  # nothing that could be looked at with it
        why = self.configurer.apply(self.wishes.desired.config)
        if why:
            self.happened("config", f"the hub's configuration is refused: {why}")

    def _tidy(self) -> None:
        """Keys that nothing here needs any more go, once the bundles on the disk are others."""
        assert self.agent is not None  # noqa: S101 - narrowing
        held = self.agent.slots.held()
        if held != self._held:
            gone = prune(self._state, self.agent.slots)
            self._held = held
            if gone:
                self.happened("keys", f"{len(gone)} keys of signers were removed: no bundle here needs them")

    def _restart(self) -> None:
        assert self.agent is not None  # noqa: S101 - narrowing
        if self.agent.slots.current:
            self.agent.runtime.restart()

    def _unwanted(self) -> bool:
        """Whether what is being fetched is wanted no more: asked between pieces."""
        now = self.agent.machine.now if self.agent is not None else Situation()
        self._beat = time.monotonic()
        if self._over.is_set():
            return True
        if now.state in BEFORE and self.hand.wants:
            return True
        return now.state in BEFORE and follow(now, self.wishes.desired.release).kind == "end"

    def _told(self, now: Situation) -> None:
        with contextlib.suppress(EdgewrightError):
            bundle = now.update.bundle if now.update is not None else ""
            event(self.reports, Event(self.line.clock_s, now.state, bundle, now.reason[:500]))
        if now.state == "abandoned":
            self._observer.hurry()  # what a shadow saw is told with why it was ended
        self.teller.changed(passing=now.state not in _STAYS)

    def _told_all(self) -> bool:
        """Whether the hub took all that was observed when this was asked first; after two minutes whatever it took, for
        the day's budget may be spent."""
        if self._hurried is None:
            self._hurried = self._observer.hurry(), time.monotonic()
        number, since = self._hurried
        self.teller.nudge()
        told = self._observer.took(number) and not self.reports.batch(1)
        if not told and time.monotonic() < since + _TOLD_S:
            return False
        self._hurried = None
        return True

    def _heard(self) -> None:
        """The hub answered a poll."""
        told = f"{self.wishes.desired.revision}"
        if told != self._seen:
            self._seen = told
            self.teller.changed()  # an offer that is settled already is answered at once
        self._news.set()
        self.teller.nudge()

    def _say(self, error: EdgewrightError) -> None:
        _log.warning("%s", error)

    def _tick(self) -> None:
        """Every few seconds, on the teller's thread: whether the others live is what the watchdog hears."""
        if self.link.alive and time.monotonic() - self._beat < _HUNG_S:
            notify("WATCHDOG=1")

    def _logs(self) -> dict[str, Path]:
        assert self.agent is not None  # noqa: S101 - narrowing
        return {"agent": self._state / "run" / LOG, "runtime": self.agent.runtime.log}

    def _diagnostics(self) -> dict[str, Any]:
        assert self.agent is not None  # noqa: S101 - narrowing
        line = {"trouble": self.line.trouble, "held_s": self.line.held_s, "clock_fault": self.line.clock_fault}
        return {
            "journal": self.agent.machine.history(), "status": self.status().to_json(), "notes": self.agent.notes,
            "link": line, "facts": self._facts.to_json(), "desired": {"revision": self.wishes.desired.revision},
        }  # fmt: skip


@contextlib.contextmanager
def _logged(state: Path) -> Any:
    """What the agent says, to a file as well, so that the hub can be sent it; a disk that is full changes nothing."""
    try:
        (state / "run").mkdir(mode=0o700, exist_ok=True)
        handler: logging.Handler = logging.handlers.RotatingFileHandler(
            state / "run" / LOG, maxBytes=_LOG_BYTES, backupCount=1, delay=True
        )
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.addHandler(handler)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        handler.close()
