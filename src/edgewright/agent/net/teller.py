"""Teller: what the hub should hear at once, or at all: the state as it changes, reports, logs that it asked for.

A state is told by the parked poll, which is ended for it (``Link.say``); those that follow one another within a moment
are told as one, the last. What is more goes over the same connection between two polls (``Link.turn``): a device
costs its hub one connection, and no handshake for what it has to say.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from edgewright.agent.net.collecting import Collector
from edgewright.agent.net.hub import Hub, Offline, Refusal
from edgewright.agent.net.jitter import Jitter
from edgewright.agent.net.link import Link
from edgewright.agent.observing import as_report
from edgewright.agent.reports import Report as Stored
from edgewright.agent.reports import Reports as Store
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.messages import LIMITS, Collect, Receipt, Report, Reports, read, render
from edgewright.core.messages.reports import MOST_REPORTS

REPORTS_PATH = "/device/v1/reports"
_BATCH_BYTES, _LOOK_S, _MOMENT_S, _HOLD_S = 96 * 2**10, 5.0, 1.0, 15.0
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
        self, link: Link, reports: Store, observer: Looks, collector: Collector,
        ticks: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._link, self._reports, self._observer, self._collector = link, reports, observer, collector
        self._jitter, self._ticks = Jitter(link.line.draw), ticks
        self._clock = clock
        self._changed, self._nudged, self._wake, self._over = False, False, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="teller")

    def start(self) -> None:
        """Tell from now on."""
        self._thread.start()

    def close(self) -> None:
        """Tell no more."""
        self._over.set()
        self._wake.set()
        self._link.stop()
        if self._thread.is_alive():
            self._thread.join()

    def changed(self, passing: bool = False) -> None:
        """The state is another one: tell it now, or, while it is only ``passing``, in a moment, if it still holds. From
        any thread."""
        self._changed = True
        if not passing:
            self._wake.set()

    def nudge(self) -> None:
        """There is something to look at: the poll ended, or a report must not wait for that. From any thread."""
        self._nudged = True
        self._wake.set()

    def look(self) -> None:
        """Let the observer note what there is to note; never raises what is only about the device's own counters."""
        try:
            self._observer.look(self._link.wishes.desired.collect)
        except EdgewrightError as error:
            _log.warning("nothing could be observed: %s", error)

    def tell(self, everything: bool = True) -> float:
        """One round; how long nothing need be told, in s. ``everything``: reports, too, which otherwise wait for the
        poll's end. Raises nothing of ours."""
        if left := self._link.line.held_s:
            return left
        try:
            if self._changed:
                self._changed = False
                self._link.say()
            collect = self._link.wishes.desired.collect
            if self._collector.asked(collect) or (everything and self._reports.batch(1)):
                with self._link.turn() as hub:
                    while batch := self._reports.batch(_BATCH_BYTES):
                        self._send(hub, batch[:MOST_REPORTS])
                    self._collector.answer(hub, collect)
        except EdgewrightError as error:
            return self._link.failed(error, self._jitter)
        self._jitter.succeeded()
        return _LOOK_S

    def _send(self, hub: Hub, batch: list[Stored]) -> None:
        """Together, up to one that cannot be read any more; one by one where that is refused."""
        told = list[Report]()
        for one in batch:
            try:
                made = as_report(one)
                render(made)
            except (ValueError, InputError) as error:
                if not told:
                    return self._drop(one, str(error))
                break
            told.append(made)
        batch = batch[: len(told)]
        try:
            self._taken(hub, render(Reports(tuple(told)) if len(told) > 1 else told[0]), batch[-1])
        except Refusal as refusal:
            if refusal.status not in _UNREADABLE:
                raise
            if len(batch) == 1:
                return self._drop(batch[0], str(refusal))
            for one in batch:
                self._send(hub, [one])
        return None

    def _taken(self, hub: Hub, data: bytes, last: Stored) -> None:
        try:
            answer = hub.ask("POST", REPORTS_PATH, data, most_bytes=LIMITS["Receipt"])
            receipt = read(Receipt, answer.body)
        except InputError as error:
            raise Offline(str(error)) from error
        if (receipt.boot, receipt.sequence) != (last.boot, last.sequence):
            raise Offline("the hub's receipt is for another report")
        self._reports.acknowledge(last.boot, last.sequence)

    def _drop(self, stored: Stored, why: str) -> None:
        """It will never be taken, and nothing behind it would ever be told."""
        _log.warning("a report of this agent cannot be read and is dropped: %s", why)
        self._reports.acknowledge(stored.boot, stored.sequence)

    def _run(self) -> None:
        due = told = self._clock()
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
                    hold_s = min(_HOLD_S, self._link.wishes.desired.collect.period_s)
                    everything = self._nudged or self._clock() - told >= hold_s
                    self._nudged, told = False, self._clock() if everything else told
                    due = self._clock() + self.tell(everything)
            except Exception:  # noqa: BLE001 - a fault here must not silence the device for good
                _log.exception("the teller has a fault")
                due = self._clock() + self._jitter.failed()
