"""Following: one thread of a process reads what is new, for all who watch; it rests while nobody does."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.closing import Closing
from edgewright.core.errors import StorageError
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.errors import TooMany
from edgewright.hub.events.tables import Event, Latest
from edgewright.hub.state import State

LOOK_S = 0.2
MOST_OF_TENANT = 64
"""Viewers of one tenant in one process."""
AT_ONCE = 500
_KEPT = 2000
_LOG = logging.getLogger("edgewright.hub")


@dataclass(frozen=True)
class Happened:
    """An event as it is handed round."""

    seq: int
    at: datetime
    kind: str
    of: str
    data: dict[str, Any]

    @classmethod
    def of_row(cls, row: Event) -> Self:
        """The same, apart from its session."""
        return cls(row.seq, row.at, row.kind, row.of, row.data)


@dataclass
class _Reel:
    """The newest events of a tenant that somebody watches: all of those after ``begin``."""

    begin: int
    events: deque[Happened] = field(default_factory=lambda: deque(maxlen=_KEPT))
    wakers: set[Callable[[], None]] = field(default_factory=set)

    @property
    def head(self) -> int:
        return self.events[-1].seq if self.events else self.begin


class Follower(Closing):
    """``join`` and ``leave`` are for viewers; ``cached`` is what they read first."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._reels: dict[str, _Reel] = {}
        self._held = Counter[str]()
        self._lock = threading.Lock()
        self._wanted, self.over = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def join(self, tenant: str, head: int, wake: Callable[[], None]) -> None:
        """``wake`` is called, from another thread, when there is more after ``head``. Raises TooMany."""
        with self._lock:
            if self._held[tenant] >= MOST_OF_TENANT:
                raise TooMany("too many watch the events of this tenant; close a page", 10.0)
            self._held[tenant] += 1
            self._reels.setdefault(tenant, _Reel(head)).wakers.add(wake)
            if self._thread is None and not self.over.is_set():
                self._thread = threading.Thread(target=self._run, name="edgewright-events", daemon=True)
                self._thread.start()
        self._wanted.set()

    def leave(self, tenant: str, wake: Callable[[], None]) -> None:
        """It is watched no more by this one."""
        with self._lock:
            reel = self._reels.get(tenant)
            if reel is None or wake not in reel.wakers:
                return
            reel.wakers.discard(wake)
            self._held[tenant] -= 1
            if not reel.wakers:
                del self._reels[tenant], self._held[tenant]
            if not self._reels:
                self._wanted.clear()

    def cached(self, tenant: str, after: int) -> list[Happened] | None:
        """What came after ``after``, at most AT_ONCE of it; None where the database has to be asked."""
        with self._lock:
            reel = self._reels.get(tenant)
            if reel is None or after > reel.head:
                return None
            first = reel.events[0].seq - 1 if reel.events else reel.begin
            if after < first:
                return None
            start = after - first  # numbers have no gaps
            return [reel.events[at] for at in range(start, min(len(reel.events), start + AT_ONCE))]

    def close(self) -> None:
        """Everybody's watching ends."""
        self.over.set()
        self._wanted.set()
        with self._lock:
            wakers = [wake for reel in self._reels.values() for wake in reel.wakers]
        for wake in wakers:
            wake()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self.over.wait(LOOK_S):
            self._wanted.wait()
            try:
                self.look()
            except (SQLAlchemyError, StorageError) as error:
                _LOG.warning("events cannot be read, and are read again: %s", type(error).__name__)

    def look(self) -> None:
        """Read what is new, once."""
        with self._lock:
            heads = {tenant: reel.head for tenant, reel in self._reels.items()}
        if not heads:
            return
        with self._state.database.read(EVERY) as session:
            query = select(Latest).where(Latest.tenant.in_(heads))
            newest = {row.tenant: row.seq for row in session.scalars(query)}
        for tenant, head in heads.items():
            if newest.get(tenant, 0) != head:
                self._take(tenant, head)

    def _take(self, tenant: str, head: int) -> None:
        with self._state.database.read(tenant) as session:
            found = read(session, head)
            latest = last(session)
        with self._lock:
            reel = self._reels.get(tenant)
            if reel is None or reel.head != head:
                return
            if found and found[0].seq != head + 1:  # some were forgotten meanwhile: viewers see the gap for themselves
                reel.events.clear()
            elif not found and latest < head:  # an older database was restored
                reel.begin = latest
                reel.events.clear()
            reel.events.extend(found)
            wakers = list(reel.wakers)
        for wake in wakers:
            wake()


def read(session: Scoped, after: int) -> list[Happened]:
    """The tenant's events after a number, at most AT_ONCE of them."""
    rows: Sequence[Event] = session.scalars(
        select(Event).where(Event.seq > after).order_by(Event.seq).limit(AT_ONCE)
    ).all()
    return [Happened.of_row(row) for row in rows]


def last(session: Scoped) -> int:
    """The tenant's last number, 0 before the first."""
    row = session.get(Latest, (session.tenant,))
    return 0 if row is None else row.seq


def follower(state: State) -> Follower:
    """Of this process."""
    return state.part("events.follower", lambda: Follower(state))


def close(state: State) -> None:
    """End what people watch: the process is about to end."""
    follower(state).close()
