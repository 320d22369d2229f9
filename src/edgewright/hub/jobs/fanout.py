"""Fan-out: a job's search says what it will probably try next; other workers build and judge it; what they found comes
into the search's own store before its turn does. Latencies alone are taken where the search runs: those of two machines
are not comparable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.digests import canonical_json, digest_json
from edgewright.core.errors import StorageError
from edgewright.hub.jobs import trials
from edgewright.hub.jobs.caches import Cache
from edgewright.hub.jobs.running import Child
from edgewright.hub.state import State

_TURN_S, _AGAIN_S, _COMPANY_S = 0.25, 2.0, 3.0
_MOST, _SPEC_BYTES = 32, 2**14
_PARTS = {"steps": list, "engine": str, "options": dict}


class Fanout:
    """Of one job that ``worker`` has. ``machine``: how it computes."""

    def __init__(
        self, state: State, tenant: str, job: str, worker: str, machine: Callable[[], str], cache: Cache
    ) -> None:
        self._state, self._tenant, self._job, self._worker = state, tenant, job, worker
        self._machine, self._cache = machine, cache
        self._wanted: dict[str, dict[str, Any]] | None = None
        self._offered: dict[str, dict[str, Any]] = {}
        self._next = self._look = self._again = 0.0
        self._company = False
        self._done: set[str] = set()
        self._helpers = 0

    def hear(self, line: dict[str, Any]) -> None:
        """A line of the child's: ``ahead`` lists specs as JSON, the nearest first. What is none is passed over."""
        told = line.get("ahead")
        if isinstance(told, list) and len(told) <= _MOST and all(map(_sound, told)):
            self._wanted = {digest_json(spec): spec for spec in told}

    def turn(self, child: Child) -> None:
        """Offer what is wanted, fetch what was done, and tell the child which are taken and which are done."""
        now = time.monotonic()
        if self._wanted is None or now < self._next:
            return
        self._next = now + _TURN_S
        wanted = self._wanted if self._accompanied(now) else {}
        if not wanted and not self._offered:
            return
        try:
            if self._offered != wanted or now > self._again:
                self._offer(wanted)
                self._offered, self._again = wanted, now + _AGAIN_S
            with self._state.database.read(self._tenant) as session:
                rows = trials.of(session, self._job)
            taken = {row.key: row.worker for row in rows if row.state == trials.TAKEN}
            done = {row.key for row in rows if row.state == trials.DONE}
            if done - self._done:
                self._cache.fetch()
        except (SQLAlchemyError, StorageError):
            return  # told again in a moment; the child waits for nobody of whom it hears nothing
        self._done, self._helpers = self._done | done, len(set(taken.values()))
        child.tell({"taken": sorted(taken), "done": sorted(self._done)})

    def told(self) -> dict[str, int]:
        """For the job's progress: how many workers help now, and how many trials they did."""
        return {"helpers": self._helpers, "helped": len(self._done)}

    def close(self) -> None:
        """The search is over here. Raises SQLAlchemyError, StorageError."""
        if self._wanted is not None:
            with self._state.database.write(self._tenant) as session:
                trials.withdraw(session, self._job)

    def _offer(self, wanted: dict[str, dict[str, Any]]) -> None:
        """What is wanted, as rows; where nothing is any more, whoever has some lets go."""
        machine = self._machine() if wanted else ""
        with self._state.database.write(self._tenant) as session:
            if wanted:
                trials.offer(session, self._job, machine, wanted)
            else:
                trials.withdraw(session, self._job)

    def _accompanied(self, now: float) -> bool:
        if now > self._look:
            self._look = now + _COMPANY_S
            try:
                self._company = trials.company(self._state, self._worker)
            except (SQLAlchemyError, StorageError):
                self._company = False
            if not self._company:
                self._helpers = 0
        return self._company


def _sound(spec: Any) -> bool:
    """As ``Spec.to_json`` has it, and small: it was told by a process that read strangers' files."""
    if not isinstance(spec, dict) or set(spec) != set(_PARTS):
        return False
    if not all(isinstance(spec[name], kind) for name, kind in _PARTS.items()):
        return False
    told = canonical_json(spec)
    return len(told) <= _SPEC_BYTES and b"\\u0000" not in told
