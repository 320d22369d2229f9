"""Watcher: a thread that asks the database what changed, some times a second, and tells the loop.

The roster lives on the loop's thread alone; the thread reads, the loop takes over. It also reads what polls are to be
answered with, for many devices in one statement.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.digests import canonical_json
from edgewright.core.errors import EdgewrightError
from edgewright.core.messages import render
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.fleet.ca import authority
from edgewright.hub.fleet.desired import desired, groups_of, told_of
from edgewright.hub.fleet.enrolling import split_pem
from edgewright.hub.fleet.news import news
from edgewright.hub.fleet.roster import Fresh, Key, changes, look_up
from edgewright.hub.fleet.tables import Device, Group
from edgewright.hub.state import State
from edgewright.trust.authority import Authority

LOOK_S = 0.2
"""So often it looks when nobody rings; how old what it knows may be before requests are refused."""
STALE_S = 15.0
_AT_ONCE = 250
_TAIL = b'"revision":0}'
_LOG = logging.getLogger("edgewright.hub")
Ask = tuple[Key, "asyncio.Future[Any]"]


class Watcher:
    """``learn`` is called on the loop's thread with what changed. Made and used on that thread."""

    def __init__(self, state: State, learn: Callable[[Sequence[Fresh]], None]) -> None:
        self._state, self._learn = state, learn
        self._loop = asyncio.get_running_loop()
        self._bell = news(state).listen()
        self._lock = threading.Lock()
        self._devices: list[Ask] = []
        self._desired: list[Ask] = []
        self._marks: dict[str, int] = {}
        self._templates: dict[tuple[Any, ...], bytes] = {}
        self._ours: Authority | None = None
        self._anchors: tuple[str, ...] = ()
        self._over = False
        self.looked = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="edgewright-watcher", daemon=True)

    def start(self) -> None:
        """Read all there is, then begin to watch. Raises what the database raises."""
        self._look(first=True)
        self._thread.start()

    @property
    def stale(self) -> bool:
        """Whether the database has not answered for so long that revocations could be missed."""
        return time.monotonic() - self.looked > STALE_S

    def device(self, key: Key) -> asyncio.Future[Fresh | None]:
        """The device with its certificates, as the database has it now; None for none."""
        return self._ask(self._devices, key, self._loop.create_future())

    def desired(self, key: Key, into: asyncio.Future[Any] | None = None) -> asyncio.Future[Any]:
        """The bytes of its ``Desired``, ``into`` a future that somebody waits for already; None for none."""
        return self._ask(self._desired, key, into or self._loop.create_future())

    def close(self) -> None:
        """Watch no more."""
        self._over = True
        self._bell.set()
        self._thread.join()
        news(self._state).leave(self._bell)

    def _ask(self, asks: list[Ask], key: Key, done: asyncio.Future[Any]) -> asyncio.Future[Any]:
        with self._lock:
            asks.append((key, done))
        self._bell.set()
        return done

    def _run(self) -> None:
        while not self._over:
            self._bell.wait(LOOK_S)
            self._bell.clear()
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - logged: the thread lives on
                known = isinstance(error, SQLAlchemyError | EdgewrightError | OSError)
                told = "the database does not answer the device listener: %s"
                _LOG.warning(told, error, exc_info=None if known else error)
                time.sleep(LOOK_S)

    def _look(self, first: bool = False) -> None:
        with self._lock:
            devices, self._devices = self._devices, []
            desired, self._desired = self._desired, []
        try:
            with self._state.database.read(EVERY) as session:
                marks = dict(self._marks)
                fresh = changes(session, marks, first)
                found = look_up(session, {key for key, _ in devices})
            if fresh or found:
                self._loop.call_soon_threadsafe(self._learn, [*fresh, *found.values()])
            self._marks, self.looked = marks, time.monotonic()
            self._tell([(done, found.get(key)) for key, done in devices])
            for start in range(0, len(desired), _AT_ONCE):
                part = desired[start : start + _AT_ONCE]
                with self._state.database.read(EVERY) as session:
                    bodies = self._bodies(session, [key for key, _ in part])
                self._tell([(done, bodies.get(key)) for key, done in part])
        except Exception as error:
            self._loop.call_soon_threadsafe(_fail, [done for _, done in (*devices, *desired)], error)
            raise

    def _tell(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        if results:
            self._loop.call_soon_threadsafe(_done, results)

    def _bodies(self, session: Scoped, keys: Sequence[Key]) -> dict[Key, bytes]:
        ours = authority(self._state)
        if ours is not self._ours:
            self._ours, self._templates = ours, {}
            self._anchors = tuple(split_pem(ours.anchors))
        found = {}
        # Documents as text: thousands of devices have the same ones, and each is read once.
        texts = [cast(column, Text) for column in (Device.release, Device.config, Device.collect)]
        columns = (Device.name, Device.revision, Device.group, Device.watched_s, *texts)
        for name in {key.tenant for key in keys}:
            names = [key.device for key in keys if key.tenant == name]
            query = select(*columns).where(Device.tenant == name, Device.name.in_(names))
            rows: Sequence[Any] = session.execute(query).all()
            groups = groups_of(session, {(name, row.group) for row in rows})
            spelled = {place[1]: canonical_json([one.config, one.collect]) for place, one in groups.items()}
            for device, revision, group, watched_s, *told in rows:
                body = self._template(device, (*told, watched_s, spelled.get(group)), groups.get((name, group)))
                if body is not None:
                    # Members are sorted by name: the revision is the last one, and the only part that differs.
                    found[Key(name, device)] = body + b'"revision":%d}' % revision
        return found

    def _template(self, device: str, told: tuple[Any, ...], group: Group | None) -> bytes | None:
        """The body without its revision; ``told``: release, config and collect as text, how closely it is
        watched, and the group's."""
        if told not in self._templates:
            if len(self._templates) > 2_000:
                self._templates.clear()
            release: Any
            config: Any
            collect: Any
            release, config, collect = (None if text is None else json.loads(text) for text in told[:3])
            try:
                wanted = replace(desired(release, *told_of(config, collect, group, told[3])), anchors=self._anchors)
                self._templates[told] = render(wanted).removesuffix(_TAIL)
            except ValueError as error:
                _LOG.error("what %s should be cannot be told: %s", device, error)
                return None
        return self._templates[told]


def _done(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for done, value in results:
        if not done.done():
            done.set_result(value)


def _fail(waiting: list[asyncio.Future[Any]], error: Exception) -> None:
    for done in waiting:
        if not done.done():
            done.set_exception(error)
            done.exception()
