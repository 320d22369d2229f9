"""Updating: the effects of an update's states, as a simulated device has them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from edgewright.agent.net.hub import Refusal
from edgewright.agent.net.jitter import Jitter
from edgewright.agent.states import advanced, failed
from edgewright.core.errors import EdgewrightError, TrustError
from edgewright.testing.fleet.faults import chance
from edgewright.testing.fleet.wire import Line
from edgewright.trust.updates import Expired, Release

if TYPE_CHECKING:
    from edgewright.testing.fleet.device import Device

_TRIES, _SLOW, _OFTEN_S = 8, 20.0, 1.0


class Updater:
    """Of one device."""

    def __init__(self, device: Device) -> None:
        self._device, self._jitter = device, Jitter(lambda: device.world.draw())
        self._wrong = Counter[str]()
        self._held: dict[str, str] = {}
        self._release: Release | None = None

    async def step(self) -> bool:
        """Do the effect of the state that the device is in and record what follows. False: there is nothing to do until
        the hub says more."""
        device = self._device
        now = device.now
        seconds = device.world.setting.durations.get(now.state, 0.0) * (_SLOW if "slow" in device.faults else 1.0)
        if seconds:
            await asyncio.sleep(seconds)
        try:
            if now.state == "metadata":
                await self._metadata()
            elif now.state == "fetching":
                await self._fetch()
            elif now.state == "waiting":
                wanted = device.desired.release
                if wanted is None or not wanted.activate:
                    return False
            elif now.state == "trial":
                await self._trial()
        except EdgewrightError as error:
            await self._again(error)
            return True
        if device.now != now:  # something else was wanted meanwhile
            return True
        if self._fails(now.state):
            device.record(failed(now, f"made to fail while {now.state}", bad=True))
        else:
            device.record(advanced(now))
        return True

    def _fails(self, state: str) -> bool:
        device = self._device
        if "fail" not in device.faults:
            return False
        return state == ("staged" if chance(device.papers.name) < 0.5 else "trial")

    async def _metadata(self) -> None:
        device = self._device
        async with self._line() as line:

            async def get(name: str) -> bytes:
                try:
                    return (await line.ask("GET", f"/device/v1/updates/{name}", most_bytes=2**24)).body
                except Refusal as refusal:
                    if refusal.status == 404:
                        raise FileNotFoundError(name) from refusal
                    raise

            releases = await device.world.metadata.refresh(get, self._held)
        assert device.now.update is not None
        self._release = releases.named(device.now.update.bundle)
        self._wrong.clear()

    async def _fetch(self) -> None:
        device = self._device
        assert self._release is not None
        async with self._line() as line:
            fetched = await device.world.copies.fetch(line, self._release)
        device.world.counts.fetched_bytes += fetched

    async def _trial(self) -> None:
        """As long as the release says, then one successful sync since it began."""
        device, since = self._device, self._device.synced
        release = device.desired.release
        await asyncio.sleep(0.0 if release is None else release.trial_s)
        pause = 0.02
        while device.synced == since:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _OFTEN_S)

    async def _again(self, error: EdgewrightError) -> None:
        """Another time, but not for ever where the hub answers and what it answers is of no use."""
        device, now = self._device, self._device.now
        pause = device.failed(error, self._jitter)
        bundle = "" if now.update is None else now.update.bundle
        useless = isinstance(error, Refusal) and error.status not in {401, 403, 409, 429, 503}
        if useless or (isinstance(error, TrustError) and not isinstance(error, Expired)):
            self._wrong[bundle] += 1
            if self._wrong[bundle] >= _TRIES:
                self._wrong.clear()
                device.record(failed(now, str(error), bad=False, failure="network"))
                return
        await asyncio.sleep(pause)

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[Line]:
        line = await self._device.dial()
        try:
            yield line
        finally:
            line.close()
