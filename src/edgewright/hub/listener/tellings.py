"""Tellings: reports, and what a device was asked to send."""

from __future__ import annotations

import asyncio

from edgewright.core.messages import LIMITS, BenchmarkResult, Receipt, Reports, read
from edgewright.hub.fleet import benchmarks, uploads
from edgewright.hub.fleet.news import news
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
        key, count = await self._enter(call, watcher, number)
        if not await asyncio.to_thread(self._asked, key, kind, count):
            raise Refusal("not-found", "nobody asked for this", close=True)
        async with self._uploads:
            data = await call.body(uploads.MOST_BYTES)
            await asyncio.to_thread(uploads.keep, self._state, key.tenant, key.device, kind, count, data)
        return Answer(204)

    async def benchmark(self, call: Call, watcher: Watcher, number: str) -> Answer:
        """``PUT uploads/benchmark/NUMBER``."""
        key, count = await self._enter(call, watcher, number)
        async with self._reads:
            found = await call.message(BenchmarkResult)
            await asyncio.to_thread(self._take, key, count, found)
        news(self._state).ring()
        return Answer(204)

    async def _enter(self, call: Call, watcher: Watcher, number: str) -> tuple[Key, int]:
        """Who it is, and the number of the request that is answered."""
        let = await self._gate.enter(call, watcher)
        if not number.isdecimal() or not number.isascii() or len(number) > 16:
            raise Refusal("unfit", "the number of a request is a whole number")
        self._rates.take("/".join(let.known.key), 10.0)
        return let.known.key, int(number)

    def _take(self, key: Key, number: int, found: BenchmarkResult) -> None:
        with self._state.database.write(key.tenant) as session:
            benchmarks.take(session, key.device, number, found, self._state.clock())

    def _asked(self, key: Key, kind: str, number: int) -> bool:
        with self._state.database.read(key.tenant) as session:
            return 0 < number <= int(session.find(Device, key.device).collect.get(kind, 0))
