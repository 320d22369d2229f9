"""Telling: the state as it changes, reports, what the hub asks for; on a second connection, ended when all is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgewright.agent.net.hub import Refusal
from edgewright.agent.net.jitter import Jitter
from edgewright.core.errors import EdgewrightError
from edgewright.core.messages import LIMITS, Receipt, read
from edgewright.testing.fleet.behaviour import Nature, forged
from edgewright.testing.fleet.wire import Line

if TYPE_CHECKING:
    from edgewright.testing.fleet.device import Device

_QUIET_S, _LONGEST_S = 5.0, 86400.0


class Teller:
    """Of one device. ``unsaid``: the state changed since it was last told."""

    def __init__(self, device: Device) -> None:
        self._device, self._jitter, self.unsaid = device, Jitter(lambda: device.world.draw()), False
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._next: asyncio.TimerHandle | None = None
        self._since_s = device.clock_s
        self._nature: Nature | None = None
        self._answered = {"log": 0, "diagnostics": 0}

    def begin(self) -> None:
        """Observe from now on: first within a period, so that devices do not report together."""
        self._after(self._device.desired.collect.period_s * self._device.world.draw())

    def close(self) -> None:
        """No more of it."""
        for timer in (self._quiet, self._next):
            if timer is not None:
                timer.cancel()
        if self._line is not None:
            self._line.close()

    def cut(self) -> None:
        """The connection breaks."""
        if self._line is not None:
            self._line.abort()

    def changed(self) -> None:
        """The state is another one: it is told now. States that follow at once are told as one."""
        self.unsaid = True
        self.wake()

    def wake(self) -> None:
        """There is something to look at."""
        if not self._device.over and (self._task is None or self._task.done()):
            self._task = self._device.spawn(self._tell())

    def look_back(self, seconds: float) -> None:
        """As if the last report had been so long ago."""
        self._since_s = self._device.clock_s - seconds

    def observe(self) -> None:
        """A report of what the device saw since the last one, to be sent now."""
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
        self.wake()

    def _after(self, seconds: float) -> None:
        def observe() -> None:
            self.observe()
            self._after(self._device.desired.collect.period_s)

        self._next = asyncio.get_running_loop().call_later(seconds, observe)

    async def _tell(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        while self.unsaid or self._device.outbox or self._asked():
            try:
                line = await self._dialled()
                if self.unsaid:
                    self.unsaid = False
                    try:
                        await self._device.exchange(line, 0.0)
                    except EdgewrightError:
                        self.unsaid = True
                        raise
                    continue
                for data in self._device.outbox.waiting("reorder" in self._device.faults):
                    await self._send(line, data)
                await self._answer(line)
                self._jitter.succeeded()
            except EdgewrightError as error:
                await asyncio.sleep(self._device.failed(error, self._jitter))
        if self._line is not None:
            self._quiet = asyncio.get_running_loop().call_later(_QUIET_S, self._line.close)

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

    def _asked(self) -> bool:
        collect = self._device.desired.collect
        return collect.log > self._answered["log"] or collect.diagnostics > self._answered["diagnostics"]

    async def _answer(self, line: Line) -> None:
        collect = self._device.desired.collect
        for kind, number in (("log", collect.log), ("diagnostics", collect.diagnostics)):
            if number > self._answered[kind]:
                told = f"{self._device.papers.name}: simulated {kind}\n".encode()
                await line.ask("PUT", f"/device/v1/uploads/{kind}/{number}", told)
                self._answered[kind] = number
                self._device.world.counts.uploads += 1

    async def _dialled(self) -> Line:
        if self._line is None or not self._line.open:
            self._line = await self._device.dial()
        return self._line
