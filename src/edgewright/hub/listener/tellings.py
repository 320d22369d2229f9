"""Tellings: reports, and what a device was asked to send."""

from __future__ import annotations

import asyncio

from edgewright.core.messages import LIMITS, Receipt, Reports, read
from edgewright.hub.fleet import uploads
from edgewright.hub.fleet.roster import Key
from edgewright.hub.fleet.tables import Device
from edgewright.hub.fleet.telemetry import Told
from edgewright.hub.listener.answers import Answer, Call, Refusal, answer_of
from edgewright.hub.listener.gate import Gate
from edgewright.hub.listener.watcher import Watcher
from edgewright.hub.listener.writer import Writer
from edgewright.hub.state import State
from edgewright.hub.web.rates import Rates

_UPLOADS_AT_ONCE = 4  # each is held in memory
_SMALL_BYTES = 4096
_READS_AT_ONCE = 2


class Tellings:
    """``reports`` and ``uploads``."""

    def __init__(self, state: State, gate: Gate, writer: Writer) -> None:
        self._state, self._gate, self._writer = state, gate, writer
        self._uploads = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)
        self._rates = Rates(1, 60)

    async def report(self, call: Call, watcher: Watcher) -> Answer:
        """``POST reports``: the receipt comes after the commit, for it lets the device forget."""
        let = await self._gate.enter(call, watcher)
        key = let.known.key
        self._rates.take("/".join(key))
        body = await call.body(LIMITS["Reports"])
        if len(body) < _SMALL_BYTES:
            told = read(Reports, body)
        else:
            async with self._reads:  # some ms of work each: not on the loop, and not all at once
                told = await asyncio.to_thread(read, Reports, body)
        now, last = self._state.clock(), told.reports[-1]
        taken = [self._writer.put("report", key.tenant, Told(key.device, one, now)) for one in told.reports]
        await asyncio.gather(*taken)
        return answer_of(Receipt(last.boot, last.sequence, let.known.revision))

    async def upload(self, call: Call, watcher: Watcher, kind: str, number: str) -> Answer:
        """``PUT uploads/KIND/NUMBER``."""
        let = await self._gate.enter(call, watcher)
        if not number.isdecimal() or not number.isascii() or len(number) > 16:
            raise Refusal("unfit", "the number of a request is a whole number")
        key = let.known.key
        self._rates.take("/".join(key), 10.0)
        if not await asyncio.to_thread(self._asked, key, kind, int(number)):
            raise Refusal("not-found", "nobody asked for this", close=True)
        async with self._uploads:
            data = await call.body(uploads.MOST_BYTES)
            await asyncio.to_thread(uploads.keep, self._state, key.tenant, key.device, kind, int(number), data)
        return Answer(204)

    def _asked(self, key: Key, kind: str, number: int) -> bool:
        with self._state.database.read(key.tenant) as session:
            return 0 < number <= int(session.find(Device, key.device).collect.get(kind, 0))
