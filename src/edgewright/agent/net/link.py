"""Link: the parked poll. It keeps the newest desired state on the disk, the certificate young and the anchors fresh.

Its connection is the only one that stays: what is to be said ends the poll (``say``), and whoever has more to send than
a state takes the connection over between two polls (``turn``).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from edgewright.agent.net.enrolment import renew
from edgewright.agent.net.hub import Hub, Offline, Refusal
from edgewright.agent.net.jitter import CALM_S, Jitter
from edgewright.agent.net.line import Line
from edgewright.agent.net.wishes import Wishes
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError, TrustError
from edgewright.core.messages import LIMITS, Desired, Facts, Status, Sync, read, render

SYNC_PATH, WAIT_S = "/device/v1/sync", 55.0
_SLACK_S = 20.0
_SHUT = {403, 409}
"""Revoked, or another device has this identity: the hub is left alone for an hour."""
_log = logging.getLogger("edgewright.agent")


Offer = tuple[str, str, int]
"""Bundle, rollout, attempt."""


def offer_of(told: Status) -> Offer:
    """What a status is about."""
    return told.target, told.rollout, told.attempt


class Tells(Protocol):
    """What a poll says."""

    boot: str

    def status(self) -> Status:
        """Where the device is now."""
        ...

    def facts(self) -> Facts:
        """What the device is."""
        ...


class Link(Closing):
    """On a thread of its own between ``start`` and ``close``; ``poll`` is one poll, for tests. ``news`` is called, on
    that thread, when the desired state is another one, and after each poll that was answered; ``happened`` with what a
    person should hear of (a kind and a sentence)."""

    def __init__(
        self, line: Line, wishes: Wishes, tells: Tells, news: Callable[[], None],
        happened: Callable[[str, str], None] = lambda kind, detail: None, wait_s: float = WAIT_S,
    ) -> None:  # fmt: skip
        self.line, self.wishes, self._tells, self._news, self._happened = line, wishes, tells, news, happened
        self._wait_s, self._jitter = wait_s, Jitter(line.draw)
        self._hub = line.dial()
        self._bell: socket.socket | None = None
        self._ring: socket.socket | None = None
        self._free, self._busy, self._wanted, self._stir = threading.Condition(), False, 0, threading.Event()
        self._over, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True, name="link")
        self._told: Facts | None = None
        self.tried: Offer = "", "", 0
        """The offer that the hub has heard of as being on trial, from this process."""
        self.expired = False
        """The hub said that the certificate does not stand any more."""

    def start(self) -> None:
        """Poll from now on."""
        self._bell, self._ring = socket.socketpair()
        for one in (self._bell, self._ring):
            one.setblocking(False)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """What is parked or sent over the connection is ended, for good."""
        self._over.set()
        self._stir.set()
        self._hub.interrupt()

    def close(self) -> None:
        """Poll no more."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._hub.close()
        for one in (self._bell, self._ring):
            if one is not None:
                one.close()

    def say(self) -> None:
        """The state is another one: the hub is to hear of it now. From any thread."""
        self._stir.set()
        if self._ring is not None:
            with contextlib.suppress(OSError):  # full: it rings already; closed: nobody polls any more
                self._ring.send(b"!")

    @contextlib.contextmanager
    def turn(self) -> Iterator[Hub]:
        """The connection, for another thread between two polls; what is parked is ended."""
        with self._free:
            self._wanted += 1
            self.say()
            self._free.wait_for(lambda: not self._busy)
            self._wanted, self._busy = self._wanted - 1, True
        try:
            yield self._hub
        finally:
            self._release()

    def poll(self) -> float:
        """Renew if it is time to, and poll once; how long to wait before the next, in s. Raises nothing of ours."""
        if left := self.line.held_s:
            return left
        with self._free:
            self._free.wait_for(lambda: not (self._busy or self._wanted))
            self._busy = True
            self._stir.clear()  # under the lock: whoever asks for a turn from now on rings again
            if self._bell is not None:
                with contextlib.suppress(OSError):
                    self._bell.recv(4096)
        began = time.monotonic()
        try:
            if self.expired or self.line.identity.due(self.line.now):
                renew(self.line, self._hub)
                self.expired = False
            self._exchange(self._hub)
            return self._jitter.succeeded()
        except EdgewrightError as error:
            if time.monotonic() - began > CALM_S:
                self._jitter.failures = 0
            return self.failed(error, self._jitter)
        finally:
            self._release()

    def _release(self) -> None:
        with self._free:
            self._busy = False
            self._free.notify_all()

    def _exchange(self, hub: Hub) -> None:
        """One sync. Raises Offline, Refusal, TrustError."""
        mine, facts = self.wishes.desired.revision, self._tells.facts()
        sync = Sync(mine, self._tells.boot, self._tells.status(), facts if facts != self._told else None)
        trial = sync.status.state == "trial"
        wait_s = 0.0 if trial and offer_of(sync.status) != self.tried else self._wait_s  # the trial waits for it
        target = f"{SYNC_PATH}?wait={wait_s:g}"
        answer = hub.ask(
            "POST", target, _rendered(sync), most_bytes=LIMITS["Desired"], seconds=wait_s + _SLACK_S, bell=self._bell
        )
        self._told = facts
        self._jitter.heard(answer.headers.get("edgewright-spread", ""))
        self._note("")
        if answer.status == 200:
            self._take(_desired(answer.body), mine)
        if trial:
            self.tried = offer_of(sync.status)
        self._news()

    def failed(self, error: EdgewrightError, jitter: Jitter) -> float:
        """Note what went wrong, and how long to wait, in s."""
        if self._over.is_set():
            return 0.0
        self._note(str(error))
        if isinstance(error, Refusal):
            if error.status == 401 and not self.expired:
                self.expired = True  # renewed before the next poll; a certificate that ended may be
                return jitter.failed()
            if error.status in _SHUT or error.status == 401:
                self.line.hold(error)
                self._happened("refused", str(error))
                return self.line.held_s
            return jitter.failed(error.after_s)
        return jitter.failed()

    def _take(self, desired: Desired, asked: int) -> None:
        if desired.anchors:
            try:
                if self.line.adopt("".join(desired.anchors)):
                    self._happened("anchors", "the hub's new roots are trusted now")
            except (TrustError, Offline, Refusal) as error:
                self._happened("anchors", f"the hub's new roots are not taken: {error}")
        self.wishes.take(desired, asked)

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.line.trouble:
            _log.warning("%s", trouble)
        self.line.trouble = trouble

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                pause = self.poll()
            except Exception:  # noqa: BLE001 - a fault here must not cut the device off for good
                _log.exception("the link has a fault")
                with contextlib.suppress(Exception):
                    self._hub.close()
                pause = self._jitter.failed()
            if self._jitter.failures or self.line.held_s:
                self._over.wait(pause)
            else:
                self._stir.wait(pause)  # what is to be said cuts a pause short, but none after a failure


def _desired(body: bytes) -> Desired:
    try:
        return read(Desired, body)
    except InputError as error:
        raise Offline(str(error)) from error


def _rendered(sync: Sync) -> bytes:
    try:
        return render(sync)
    except ValueError as error:
        raise InputError(f"this cannot be told to the hub: {error}") from error
