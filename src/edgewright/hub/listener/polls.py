"""Polls: what a device says of itself, and what it should be: at once, or when there is news, or not in this while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from edgewright.core.messages import Sync
from edgewright.hub.fleet.presence import ROUND_S
from edgewright.hub.fleet.roster import Fresh, Key
from edgewright.hub.fleet.statuses import Told, mark
from edgewright.hub.listener.answers import Answer, Call, Gone, Refusal, later
from edgewright.hub.listener.gate import Gate
from edgewright.hub.listener.protocol import NOTHING, DeviceProtocol
from edgewright.hub.listener.watcher import Watcher
from edgewright.hub.listener.writer import Writer
from edgewright.hub.state import State

MOST_WAIT_S = 60.0
_MOST_POLLS = 4
"""Parked polls of one device: two agents on one identity get in each other's way no further."""
SPREAD = "Edgewright-Spread"
_RESTART_S = 10.0
AGAIN_S = 600.0
RETURNS_PER_S = 120.0
"""So many devices may come back in a second: a third of what one core shakes hands with."""
_STOPPED, _REVOKED = object(), object()


class Polls:
    """All parked polls of this process, on the loop's thread; ``count``: how many."""

    def __init__(self, state: State, gate: Gate, writer: Writer) -> None:
        self._state, self._gate, self._writer = state, gate, writer
        self._loop = asyncio.get_running_loop()
        self._parked: dict[Key, list[tuple[asyncio.Future[object], int]]] = {}
        self._told = time.monotonic()
        self.stopped, self.count, self._most, self._before = False, 0, 0, 0

    async def sync(self, call: Call, watcher: Watcher) -> Answer:
        """``POST sync``. Raises Refusal, Gone, InputError."""
        let = await self._gate.enter(call, watcher)
        message = await call.message(Sync)
        wait_s = min(call.number("wait", MOST_WAIT_S), MOST_WAIT_S)
        key = let.known.key
        told = Told(key.device, message, self._state.clock())
        # Said again from time to time: another worker may have heard another agent with this identity.
        said, boot = mark(told) ^ int((self._loop.time() + hash(key) % AGAIN_S) // AGAIN_S), hash(message.boot)
        if call.connection.said != said or let.known.boot != boot:
            call.connection.said, let.known.boot = said, boot
            self._writer.put("status", key.tenant, told).add_done_callback(partial(_forget, call.connection))
        body: object
        if let.known.revision != message.revision:
            body = await watcher.desired(key)
        elif wait_s <= 0 or call.connection.nudged:
            body = NOTHING
        else:
            body = await self._park(call, key, message.revision, wait_s)
        if body is _STOPPED:
            raise later("this worker of the hub ends; ask again", _RESTART_S, close=True)
        if body is _REVOKED or let.known.revoked:
            raise Refusal("forbidden", "this device was revoked; ask whoever runs the hub", close=True)
        let.known.seen = time.monotonic()
        if body is NOTHING:
            return Answer(204, headers=self._spread())
        if not isinstance(body, bytes):
            raise later("what this device should be cannot be told now")
        return Answer(200, body, headers=self._spread())

    @property
    def spread_s(self) -> float:
        """Over how long a time all devices that are here should come back when they lose their hub, in s. Those that
        waited a moment ago are still there, if all of them were answered at once."""
        return max(self._most, self._before) / RETURNS_PER_S

    def _spread(self) -> dict[str, str]:
        spread_s = round(self.spread_s)
        return {SPREAD: str(spread_s)} if spread_s > 1 else {}

    async def _park(self, call: Call, key: Key, revision: int, wait_s: float) -> object:
        if self.stopped:
            return _STOPPED
        parked: asyncio.Future[object] = self._loop.create_future()
        call.connection.parked = parked
        call.scope["headers"].clear()  # a poll waits long, and in thousands: nothing of it is needed any more
        others = self._parked.setdefault(key, [])
        others.append((parked, revision))
        self.count += 1
        self._most = max(self._most, self.count)
        if len(others) > _MOST_POLLS:
            _set(others.pop(0)[0], NOTHING)
        timer = self._loop.call_later(wait_s, _set, parked, NOTHING)
        try:
            body = await parked
        finally:
            timer.cancel()
            self._leave(key, parked, revision)
            self.count -= 1
        if body is None and call.connection.transport.is_closing():
            raise Gone
        return body

    def wake(self, fresh: Sequence[Fresh], watcher: Watcher) -> None:
        """Answer the parked polls of devices that changed."""
        for one in fresh:
            for parked, revision in self._parked.get(one.key, ()):
                if one.revoked:
                    _set(parked, _REVOKED)
                elif one.revision != revision:
                    watcher.desired(one.key, parked)

    def present(self) -> None:
        """Have written who is there: those that asked since the last time, and those that wait."""
        now = time.monotonic()
        if now - self._told < ROUND_S:
            return
        found = {tenant: set(names) for tenant, names in self._gate.present(self._told).items()}
        for tenant, device in self._parked:
            found.setdefault(tenant, set()).add(device)
        self._told, self._most, self._before = now, self.count, self._most
        for tenant, names in found.items():
            self._writer.put("seen", tenant, (sorted(names), self._state.clock()))

    def stop(self) -> None:
        """End all parked polls: their devices go to another worker."""
        self.stopped = True
        for waiting in self._parked.values():
            for parked, _ in waiting:
                _set(parked, _STOPPED)

    def _leave(self, key: Key, parked: asyncio.Future[object], revision: int) -> None:
        others = self._parked[key]
        if (parked, revision) in others:
            others.remove((parked, revision))
        if not others:
            del self._parked[key]


def _set(parked: asyncio.Future[object], value: object) -> None:
    if not parked.done():
        parked.set_result(value)


def _forget(connection: DeviceProtocol, done: asyncio.Future[None]) -> None:
    """What could not be written is written with the next poll."""
    if done.cancelled() or done.exception() is not None:
        connection.said = 0
