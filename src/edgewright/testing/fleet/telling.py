"""Telling: reports, and what the hub asks for, between two polls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgewright.agent.net.hub import Refusal
from edgewright.core.messages import LIMITS, BenchmarkResult, Receipt, read, render
from edgewright.testing.fleet.behaviour import Nature, forged
from edgewright.testing.fleet.wire import Line

if TYPE_CHECKING:
    from edgewright.testing.fleet.device import Device

_LONGEST_S, _HOLD_S = 86400.0, 15.0


class Teller:
    """Of one device. ``urgent``: what waits is not to wait for the poll's end."""

    def __init__(self, device: Device) -> None:
        self._device, self.urgent = device, False
        self._next: asyncio.TimerHandle | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._since_s = device.clock_s
        self._nature: Nature | None = None
        self._answered = {"log": 0, "diagnostics": 0, "benchmark": 0}

    def begin(self) -> None:
        """Observe from now on: first within a period, so that devices do not report together."""
        self._after(self._device.desired.collect.period_s * self._device.world.draw())

    def close(self) -> None:
        """No more of it."""
        for timer in (self._next, self._soon):
            if timer is not None:
                timer.cancel()

    def look_back(self, seconds: float) -> None:
        """As if the last report had been so long ago."""
        self._since_s = self._device.clock_s - seconds

    def observe(self, urgent: bool = True) -> None:
        """A report of what the device saw since the last one; it is sent when the poll ends, or now."""
        device, of = self._device, self._device.world.setting.behaviour
        if self._nature is None:
            self._nature = of.device(device.papers.name)
        seconds = max(min(device.clock_s - self._since_s, _LONGEST_S), 0.0)
        bundle = device.now.serving
        seen = []
        if bundle:
            told = self._nature.observe(of, "model", bundle, self._since_s, seconds)
            seen.append(forged(told) if "forge" in device.faults else told)
        self._since_s = device.clock_s
        device.outbox.put(*seen)
        if urgent:
            self.urgent = True
            device.stir()

    def soon(self) -> None:
        """What waits is to be told before long, as the agent does it."""
        if not self._soon:
            wait_s = _HOLD_S * (0.5 + 0.5 * self._device.world.draw())  # devices that end together do not tell together
            self._soon = asyncio.get_running_loop().call_later(wait_s, self._now)

    def _now(self) -> None:
        self._soon = None
        if self._device.outbox:
            self.urgent = True
            self._device.stir()

    async def tell(self, line: Line) -> None:
        """All that waits, over the poll's connection. Raises Offline, Refusal, InputError."""
        for data in self._device.outbox.waiting("reorder" in self._device.faults):
            await self._send(line, data)
        self.urgent = False
        await self._answer(line)

    def _after(self, seconds: float) -> None:
        def observe() -> None:
            self.observe(urgent=False)
            self._after(self._device.desired.collect.period_s)

        self._next = asyncio.get_running_loop().call_later(seconds, observe)

    async def _send(self, line: Line, data: bytes) -> None:
        counts = self._device.world.counts
        for _ in range(2 if "twice" in self._device.faults else 1):
            before = line.sent
            try:
                answer = await line.ask("POST", "/device/v1/reports", data, most_bytes=LIMITS["Receipt"])
            except Refusal as refusal:
                if refusal.status in {400, 413, 422}:  # it will never be taken
                    self._device.outbox.drop(data)
                raise
            counts.reports += 1
            counts.report_bytes += line.sent - before
            if self._device.outbox.acknowledge(read(Receipt, answer.body)):
                counts.acknowledged += 1

    async def _answer(self, line: Line) -> None:
        collect = self._device.desired.collect
        name, wanted = self._device.papers.name, list[tuple[str, int, bytes]]()
        for kind, number in (("log", collect.log), ("diagnostics", collect.diagnostics)):
            wanted.append((kind, number, f"{name}: simulated {kind}\n".encode()))
        if collect.benchmark is not None:
            number = collect.benchmark.number
            nothing = BenchmarkResult(number, why="this device is simulated, so nothing was measured")
            wanted.append(("benchmark", number, render(nothing)))
        for kind, number, told in wanted:
            if number > self._answered[kind]:
                await line.ask("PUT", f"/device/v1/uploads/{kind}/{number}", told)
                self._answered[kind] = number
                self._device.world.counts.uploads += 1
