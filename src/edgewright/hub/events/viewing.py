"""One viewer: what it has seen, what it wants to see, and what comes next."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool

from edgewright.hub.accounts.access import Caller
from edgewright.hub.errors import Absent, Forbidden, Unknown
from edgewright.hub.events.following import Happened, follower, last, read
from edgewright.hub.events.telling import permission
from edgewright.hub.web.bodies import spelled

CUT = "events.cut"
"""The kind that says: some events before this number are gone; what is shown has to be read anew."""
BEAT_S = 15.0
_CHECK_S = 30.0


@dataclass
class Viewer:
    """``after``: the last number it saw (None: what comes from now on); ``of``: only what happens to this one."""

    caller: Caller
    after: int | None = None
    of: str | None = None
    _more: asyncio.Event = field(default_factory=asyncio.Event)
    _checked: float = field(default_factory=time.monotonic)

    async def __aenter__(self) -> Viewer:
        self._loop = asyncio.get_running_loop()
        self._follower = follower(self.caller.state)
        head = await run_in_threadpool(self._head)
        self.after = head if self.after is None else self.after
        self._follower.join(self.caller.tenant, head, self._wake)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._follower.leave(self.caller.tenant, self._wake)

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is over
            self._loop.call_soon_threadsafe(self._more.set)

    async def next(self) -> list[dict[str, Any]] | None:
        """What comes next, as it is told; empty after a while in which nothing did; None when it is over: the hub
        ends, or the credential holds no more."""
        until = time.monotonic() + BEAT_S
        while not self._follower.over.is_set():
            if time.monotonic() - self._checked > _CHECK_S and not await run_in_threadpool(self._holds):
                return None
            self._more.clear()
            found = await self._read()
            if told := self._told(found):
                return told
            left = until - time.monotonic()
            if left <= 0:
                return []
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), left)
        return None

    async def _read(self) -> list[Happened]:
        after = self.after or 0
        cached = self._follower.cached(self.caller.tenant, after)
        found = cached or []
        if cached is None:
            found, head = await run_in_threadpool(self._from_database, after)
            if after > head:  # a number that never was, or of a database that was restored since
                self.after = head
                return [Happened(head, self.caller.now, CUT, "", {})]
        if found and found[0].seq != after + 1:
            found = [Happened(found[0].seq - 1, self.caller.now, CUT, "", {}), *found]
        if found:
            self.after = found[-1].seq
        return found

    def _told(self, found: list[Happened]) -> list[dict[str, Any]]:
        return [tell(one) for one in found if self._may_see(one)]

    def _may_see(self, one: Happened) -> bool:
        return one.kind == CUT or (self.of in (None, one.of) and permission(one.kind) in self.caller.may)

    def _from_database(self, after: int) -> tuple[list[Happened], int]:
        with self.caller.read() as session:
            return read(session, after), last(session)

    def _head(self) -> int:
        with self.caller.read() as session:
            return last(session)

    def _holds(self) -> bool:
        self._checked = time.monotonic()
        try:
            self.caller = self.caller.again()
        except (Unknown, Absent, Forbidden):
            return False
        return True


def tell(one: Happened) -> dict[str, Any]:
    """As it goes over the line."""
    return {"seq": one.seq, "at": spelled(one.at), "kind": one.kind, "of": one.of, "data": one.data}
