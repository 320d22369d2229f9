"""Beats: this worker says that it lives, and sees which others do not.

A worker is dead when its number has not changed for ten seconds in which *this* one looked without a pause. So neither
clocks that differ nor a database that was gone for a while make a living worker a dead one.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete, select, update

from edgewright import __version__
from edgewright.core.errors import EdgewrightError
from edgewright.hub.database import EVERY
from edgewright.hub.ids import new_id
from edgewright.hub.jobs.queue import left_behind
from edgewright.hub.jobs.rules import Able
from edgewright.hub.jobs.tables import Worker
from edgewright.hub.state import State

BEAT_S, DEAD_S = 2.0, 10.0
_PAUSE_S = 3 * BEAT_S
_GIVEN_S = timedelta(seconds=10)
"""How long after it was found dead a worker's jobs may take to be resumed by DBOS; then they are queued anew."""
_KEPT = timedelta(days=1)


@dataclass
class Watch:
    """What was seen of the others: id -> (number, since when)."""

    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    _looked: float = float("-inf")

    def dead(self, beats: Iterable[tuple[str, int]]) -> list[str]:
        """Those whose number stands still for too long, as of this look."""
        now = self.clock()
        before = self._seen if now - self._looked <= _PAUSE_S else {}
        self._looked, self._seen = now, {}
        for id_, beat in beats:
            known = before.get(id_)
            self._seen[id_] = known if known is not None and known[0] == beat else (beat, now)
        return [id_ for id_, (_, since) in self._seen.items() if now - since >= DEAD_S]


class Beats:
    """Of one worker, which is registered by this."""

    def __init__(self, state: State, slots: int) -> None:
        self._state, self._watch = state, Watch()
        self.id = new_id("wrk")
        engines, accelerators = abilities()
        self.able = Able.of(engines)
        self.memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        now = state.clock()
        with state.database.write(EVERY) as session:
            session.add(
                Worker(
                    id=self.id,
                    host=platform.node()[:120],
                    engines=engines,
                    accelerators=accelerators,
                    cores=len(os.sched_getaffinity(0)),
                    memory_bytes=self.memory_bytes,
                    slots=slots,
                    release=__version__,
                    beat=0,
                    seen=now,
                    state="live",
                    lost=None,
                    made=now,
                )
            )

    def beat(self) -> bool:
        """Say that it lives; False when others have given it up: what it has is theirs."""
        alive = update(Worker).where(Worker.id == self.id, Worker.state.in_(("live", "leaving")))
        with self._state.database.write(EVERY) as session:
            told = session.execute(alive.values(beat=Worker.beat + 1, seen=self._state.clock()))
            return bool(told.rowcount)  # type: ignore[attr-defined]

    def say(self, state: str) -> None:
        """Be ``leaving`` or ``gone`` from now on."""
        with self._state.database.write(EVERY) as session:
            session.execute(update(Worker).where(Worker.id == self.id, Worker.state != "lost").values(state=state))

    def look(self, take_over: Callable[[str], object]) -> list[str]:
        """Find the dead, and have their work taken over; the ids of those found now."""
        with self._state.database.read(EVERY) as session:
            rows = session.execute(
                select(Worker.id, Worker.beat).where(Worker.id != self.id, Worker.state.in_(("live", "leaving")))
            ).all()
        found = [id_ for id_ in self._watch.dead((id_, beat) for id_, beat in rows) if self._lost(id_, dict(rows)[id_])]
        for id_ in found:
            take_over(id_)
        self._tidy()
        return found

    def _lost(self, id_: str, beat: int) -> bool:
        """Whether it is this worker that found it dead."""
        dead = update(Worker).where(Worker.id == id_, Worker.beat == beat, Worker.state.in_(("live", "leaving")))
        with self._state.database.write(EVERY) as session:
            told = session.execute(dead.values(state="lost", lost=self._state.clock()))
            return bool(told.rowcount)  # type: ignore[attr-defined]

    def _tidy(self) -> None:
        """What DBOS did not resume (it never began, or another release began it) is queued anew; rows of workers that
        ended long ago go."""
        now = self._state.clock()
        with self._state.database.read(EVERY) as session:
            over = session.scalars(select(Worker.id).where(Worker.lost < now - _GIVEN_S)).all()
            gone = session.scalars(select(Worker.id).where(Worker.state == "gone", Worker.seen < now - _GIVEN_S)).all()
            ended = Worker.state.in_(("lost", "gone")) & (Worker.seen < now - _KEPT)
            old = session.scalars(select(Worker.id).where(ended)).all()
        left_behind(self._state, {*over, *gone})
        if old:
            with self._state.database.write(EVERY) as session:
                session.execute(delete(Worker).where(Worker.id.in_(old)))


def abilities() -> tuple[list[str], list[str]]:
    """Engines that are installed here, and providers of theirs beside the CPU's (``ENGINE:PROVIDER``)."""
    from edgewright.engines import ENGINES, engine

    engines, accelerators = [], []
    for name in ENGINES:
        try:
            made = engine(name)
            made.version()
            providers = made.providers()
        except EdgewrightError:
            continue
        engines.append(name)
        accelerators += [f"{name}:{one}" for one in providers if one != "cpu"]
    return engines, accelerators
