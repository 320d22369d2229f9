"""A desk with a cache: what was answered before is answered at once, and equal requests at the same time run once.

Of equal requests the most urgent one leads: it runs. Whoever is no more urgent than one that leads follows it: it takes
no place in line and gets a copy of the answer. A fault is its own member's alone: when the one that leads fails, is
cancelled or too late, the most urgent of those that followed it takes its place in line. One that follows has its own
deadline, at which it is told whatever the run that it follows does, and can be cancelled by itself.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from edgewright.core.digests import canonical_json
from edgewright.runtime import logs
from edgewright.runtime.cache import Arrays, Cache, locked, request_key, views
from edgewright.runtime.desk import Desk, GiveUp, too_short
from edgewright.runtime.faults import Cancelled, Expired, Fault
from edgewright.runtime.flights import Flight, Member
from edgewright.runtime.scheduling.alarms import Alarms
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Done, Job, Scheduler, tell
from edgewright.runtime.served import Lent, Served

_MOST = 4 * 2**20
"""Bytes of a request from which on it is not kept: its key is made in its caller's thread, a millisecond for each."""
_now = time.perf_counter


class CachingDesk(Desk):
    """A desk whose answers are kept in ``cache``. They are read-only."""

    def __init__(self, scheduler: Scheduler, cache: Cache) -> None:
        super().__init__(scheduler)
        self.cache: Cache = cache
        self._lock = threading.Lock()
        self._flights: dict[bytes, Flight] = {}
        self._names: WeakKeyDictionary[Served, str] = WeakKeyDictionary()
        self._recent = threading.local()
        self._alarms = Alarms(self._late)

    def at_once(self, served: Served, inputs: Arrays, timeout_s: float | None = None) -> Arrays | None:
        """As the desk's; also None while an equal request is being answered."""
        timeout_s = served.deadline_s if timeout_s is None else timeout_s
        deadline = NEVER if timeout_s is None else _now() + timeout_s
        key = self._key(served, inputs)
        if key is None:
            return super().at_once(served, inputs, timeout_s)
        mine = Member(served, inputs, _ignore, inline=True)
        with self._lock:
            found = self._look(served, key)
            flight = self._flights.get(key) if found is None else None
            if flight is None and found is None:
                self._flights[key] = Flight([mine])
        if found is not None:
            if _now() > deadline:
                self.late(served)
            return found
        if flight is None:
            try:
                # Making the key took some of its time.
                outputs = super().at_once(served, inputs, None if timeout_s is None else max(deadline - _now(), 0.0))
            except BaseException:
                self._give_up(key, mine)
                raise
            if outputs is not None:
                return self._land(key, served, outputs)
            self._give_up(key, mine)
        self._recent.inputs, self._recent.key = inputs, key  # ``later`` comes next, and need not read it all again
        return None

    def later(
        self, served: Served, inputs: Arrays, done: Done, timeout_s: float | None = None, priority: int = 0
    ) -> GiveUp:
        """As the desk's."""
        timeout_s, priority = served.deadline_s if timeout_s is None else timeout_s, priority or served.priority
        deadline = NEVER if timeout_s is None else _now() + timeout_s
        again = getattr(self._recent, "inputs", None) is inputs
        key = self._recent.key if again else self._key(served, inputs)
        self._recent.inputs = None
        if key is None:
            return super().later(served, inputs, done, timeout_s, priority)
        mine = Member(served, inputs, done, deadline, priority, key=key)
        with self._lock:
            found = self._look(served, key, again)
            if found is None:
                flight = self._flights.setdefault(key, Flight())
                leads, now = [lead for lead in flight.leading if lead.covers(mine)], _now()
                follows = bool(leads)
                if follows and timeout_s is not None and now + min(lead.left_s(now) for lead in leads) > deadline:
                    raise self.count(served, too_short(served, timeout_s))
                (flight.following if follows else flight.leading).append(mine)
        if found is not None:
            if _now() > deadline:
                self.late(served)
            done(found, None)
            return _too_late
        if follows:
            if timeout_s is not None:
                self._alarms.at(deadline, mine)
            self.cache.joined()
            return partial(self._cancel, mine)
        try:
            self._lead(key, mine)
        except Fault as fault:
            if self._give_up(key, mine):
                raise self.count(served, fault) from None
        return partial(self._cancel, mine)

    def retire(self, served: Served, timeout_s: float) -> bool:
        """As the desk's; its answers are dropped at once."""
        retired = super().retire(served, timeout_s)
        if retired:
            self.cache.forget(served)
        return retired

    def close(self) -> None:
        """As the desk's."""
        super().close()
        self._alarms.close()

    def report(self) -> dict[str, Any]:
        """The cache's counters."""
        return {"cache": asdict(self.cache.counts())}

    def _look(self, served: Served, key: bytes, again: bool = False) -> Arrays | None:
        found = self.cache.find(key, again)
        if found is not None:
            served.stats.hits += 1
            served.observed.again(found)
        elif not again:
            served.stats.misses += 1
        return found

    def _lead(self, key: bytes, mine: Member) -> None:
        """Take a place in line. Raises a Fault."""
        job = Job(mine.served, mine.inputs, partial(self._told, key, mine), mine.deadline, mine.priority)
        try:
            mine.job = self._submit(mine.served, job)
        except Fault:
            raise
        except Exception as error:
            logs.trouble("a request could not be put in line")
            raise Fault("the server has a fault; its log says which") from error
        if mine.gone:  # answered by another's run meanwhile, or given up
            self.scheduler.cancel(mine.job)

    def _told(self, key: bytes, mine: Member, outputs: Any, fault: Fault | None) -> None:
        """What became of one that leads; from an executor, the reaper, or who cancelled it."""
        if fault is None:
            self._land(key, mine.served, outputs)
        elif self._give_up(key, mine):
            mine.done(None, self.count(mine.served, fault))

    def _land(self, key: bytes, served: Served, outputs: Arrays) -> Arrays:
        """Keep an answer and tell everybody who asked for it; the caller's own copy."""
        kept = locked(outputs) if isinstance(outputs, Lent) else self.cache.keep(served, key, outputs)
        with self._lock:
            flight = self._flights.pop(key, None) or Flight()
            everybody = [*flight.leading, *flight.following]
            flight.leading, flight.following = [], []
            for one in everybody:
                one.gone = True
        # A run counts one request. It was one more too many where another's run had answered the one it was for.
        served.observed.again(None if isinstance(outputs, Lent) else kept, len(everybody) - 1)
        for one in everybody:
            if one.job is not None:
                self.scheduler.cancel(one.job)  # those that still waited need not run
        for one in everybody:
            if _now() > one.deadline:
                self.late(one.served)
            tell(one.done, views(kept), None)
        return views(kept)

    def _give_up(self, key: bytes, mine: Member) -> bool:
        """Let somebody else lead; False when ``mine`` was answered meanwhile."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None or mine not in flight.leading:
                return False
            flight.leading.remove(mine)
        while True:
            with self._lock:
                heir = flight.uncovered()
                if heir is None:
                    if not flight.leading and self._flights.get(key) is flight:
                        del self._flights[key]
                    return True
                flight.following.remove(heir)
                flight.leading.append(heir)
            try:
                self._lead(key, heir)
            except Fault as fault:
                with self._lock:
                    if heir not in flight.leading:
                        continue
                    flight.leading.remove(heir)
                tell(heir.done, None, self.count(heir.served, fault))

    def _late(self, mine: Member) -> None:
        """Tell one whose deadline is now, if it still follows; the line tells those that lead."""
        self._leave(mine, Expired("its deadline passed while an equal request was being answered"))

    def _cancel(self, mine: Member) -> bool:
        if self._leave(mine, Cancelled()):
            return True
        mine.gone = True  # should it be about to take its place in line
        return mine.job is not None and self.scheduler.cancel(mine.job)

    def _leave(self, mine: Member, why: Fault) -> bool:
        """Tell one that follows why it gets no answer; False when it does not follow (any more)."""
        with self._lock:
            flight = self._flights.get(mine.key)
            if flight is None or not flight.leave(mine):
                return False
        mine.done(None, self.count(mine.served, why))
        return True

    def _key(self, served: Served, inputs: Arrays) -> bytes | None:
        name = self._names.get(served)
        if name is None:
            source = served.source
            options = canonical_json(source.options.to_json()).decode()
            name = self._names[served] = f"{source.digest}\n{source.engine}\n{options}" if source.digest else ""
        return request_key(name, inputs) if name and sum(map(_size, inputs.values())) <= _MOST else None


def _size(array: Any) -> int:
    """Bytes that a key is made of."""
    if not isinstance(array, np.ndarray):
        return 0
    if not array.dtype.hasobject:
        return array.nbytes
    return sum([len(value) for value in array.ravel().tolist() if isinstance(value, str | bytes)])


def _ignore(outputs: Any, fault: Fault | None) -> None:
    pass


def _too_late() -> bool:
    return False
