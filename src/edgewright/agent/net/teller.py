"""Teller: what the hub should hear at once, or at all: the state as it changes, reports, logs that it asked for.

On a connection of its own, so that the parked poll stays parked. States that follow one another within a moment are
told as one, the last. The connection is given up when there is nothing more to say: a parked device costs its hub one.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from edgewright.agent.net.collecting import Collector
from edgewright.agent.net.hub import Offline, Refusal
from edgewright.agent.net.jitter import Jitter
from edgewright.agent.net.link import Link
from edgewright.agent.observing import as_report
from edgewright.agent.reports import Report as Stored
from edgewright.agent.reports import Reports
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.messages import LIMITS, Collect, Receipt, read, render

REPORTS_PATH = "/device/v1/reports"
_BATCH_BYTES, _QUIET_S, _LOOK_S, _MOMENT_S = 2**20, 5.0, 5.0, 1.0
_UNREADABLE = {400, 413, 422}
_log = logging.getLogger("edgewright.agent")


class Looks(Protocol):
    """The part of ``observing.Observer`` that matters here."""

    def look(self, collect: Collect) -> object:
        """Note what there is to note."""
        ...


class Teller(Closing):
    """On a thread of its own between ``start`` and ``close``; ``tell`` is one round, for tests."""

    def __init__(
        self, link: Link, reports: Reports, observer: Looks, collector: Collector,
        ticks: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._link, self._reports, self._observer, self._collector = link, reports, observer, collector
        self._hub, self._jitter, self._ticks = link.line.dial(), Jitter(link.line.draw), ticks
        self._clock = clock
        self._changed, self._wake, self._over = False, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="teller")

    def start(self) -> None:
        """Tell from now on."""
        self._thread.start()

    def close(self) -> None:
        """Tell no more."""
        self._over.set()
        self._wake.set()
        self._hub.interrupt()
        if self._thread.is_alive():
            self._thread.join()
        self._hub.close()

    def changed(self, passing: bool = False) -> None:
        """The state is another one: tell it now, or, while it is only ``passing``, in a moment, if it still holds. From
        any thread."""
        self._changed = True
        if not passing:
            self._wake.set()

    def nudge(self) -> None:
        """There is something to look at: a report, or a request of the hub. From any thread."""
        self._wake.set()

    def look(self) -> None:
        """Let the observer note what there is to note; never raises what is only about the device's own counters."""
        try:
            self._observer.look(self._link.wishes.desired.collect)
        except EdgewrightError as error:
            _log.warning("nothing could be observed: %s", error)

    def tell(self) -> float:
        """One round; how long nothing need be told, in s. Raises nothing of ours."""
        if left := self._link.line.held_s:
            return left
        try:
            if self._changed:
                self._changed = False
                try:
                    self._link.exchange(self._hub, 0.0)
                except EdgewrightError:
                    self._changed = True
                    raise
            while batch := self._reports.batch(_BATCH_BYTES):
                for one in batch:
                    self._send(one)
            self._collector.answer(self._hub, self._link.wishes.desired.collect)
        except EdgewrightError as error:
            return self._link.failed(error, self._jitter)
        self._jitter.succeeded()
        return _LOOK_S

    def _send(self, stored: Stored) -> None:
        try:
            data = render(as_report(stored))
        except (ValueError, InputError) as error:
            return self._drop(stored, str(error))
        try:
            answer = self._hub.ask("POST", REPORTS_PATH, data, most_bytes=LIMITS["Receipt"])
            receipt = read(Receipt, answer.body)
        except InputError as error:
            raise Offline(str(error)) from error
        except Refusal as refusal:
            if refusal.status in _UNREADABLE:
                return self._drop(stored, str(refusal))
            raise
        if (receipt.boot, receipt.sequence) != (stored.boot, stored.sequence):
            raise Offline("the hub's receipt is for another report")
        return self._reports.acknowledge(stored.boot, stored.sequence)

    def _drop(self, stored: Stored, why: str) -> None:
        """It will never be taken, and nothing behind it would ever be told."""
        _log.warning("a report of this agent cannot be read and is dropped: %s", why)
        self._reports.acknowledge(stored.boot, stored.sequence)

    def _run(self) -> None:
        due = spoken = self._clock()
        while not self._over.is_set():
            calm = not self._jitter.failures
            woken = self._wake.wait(min(max(due - self._clock(), 0.0), _MOMENT_S if calm else _LOOK_S))
            self._wake.clear()
            news = woken or self._changed
            if self._over.is_set():
                return
            try:
                self._ticks()
                self.look()
                if self._clock() >= due or (news and calm):
                    spoken = self._clock() if news else spoken
                    due = self._clock() + self.tell()
                if self._clock() - spoken >= _QUIET_S:
                    self._hub.close()
            except Exception:  # noqa: BLE001 - a fault here must not silence the device for good
                _log.exception("the teller has a fault")
                with contextlib.suppress(Exception):
                    self._hub.close()
                due = self._clock() + self._jitter.failed()
