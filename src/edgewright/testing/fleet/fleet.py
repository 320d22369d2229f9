"""Fleet: so many devices on one hub, in this process and this event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from edgewright.agent.net.hub import Offline, Refusal
from edgewright.agent.net.jitter import Jitter
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.messages import Facts
from edgewright.testing.fleet.copies import Copies
from edgewright.testing.fleet.counts import Counts
from edgewright.testing.fleet.device import Device
from edgewright.testing.fleet.metadata import Metadata
from edgewright.testing.fleet.papers import Papers, Registry
from edgewright.testing.fleet.wire import Dialer
from edgewright.testing.fleet.world import Setting, World

_AT_ONCE, _TRIES = 32, 8
_LOOK_S = 0.02


class Fleet:
    """At ``url`` (the hub's device listener), its papers in ``folder``. Raises InputError."""

    def __init__(self, url: str, folder: Path, setting: Setting | None = None) -> None:
        setting = setting or Setting()
        registry = Registry(folder)
        copies = Copies(folder / "bundles", setting.verify)
        self.world = World(setting, Dialer(url), registry, Metadata(registry.updates), copies)
        self.papers: list[Papers] = []
        self.devices: list[Device] = []
        self._tasks = set[asyncio.Task[None]]()

    @property
    def counts(self) -> Counts:
        """What they did so far."""
        return self.world.counts

    async def enrol(self, devices: int, tokens: Sequence[str] = (), told: Callable[[int], None] | None = None) -> None:
        """Have the papers of so many devices: those of the folder, then new ones, each by a token of its own. ``told``
        is called with how many there are. Raises InputError, Offline, Refusal, TrustError."""
        self.papers = self.world.registry.known(devices)
        numbers = iter(range(len(self.papers), devices))
        if devices - len(self.papers) > len(tokens):
            raise InputError(f"{devices - len(self.papers):,} devices need a token each, and there are {len(tokens):,}")
        left = iter(tokens)

        async def work() -> None:
            for number in numbers:
                self.papers.append(await self._one(number, next(left)))
                if told is not None:
                    told(len(self.papers))

        if len(self.papers) < devices:
            self.papers.append(await self._one(next(numbers), next(left)))  # the anchors and the root, for all
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(_AT_ONCE):
                        group.create_task(work())
            except* EdgewrightError as several:
                raise several.exceptions[0] from None

    @contextlib.asynccontextmanager
    async def running(self, at_once: int = 64) -> AsyncIterator[Fleet]:
        """All devices run while the block lasts. They come one after the other, as fast as the hub lets them in, with
        ``at_once`` of them in between."""
        turns = asyncio.Semaphore(at_once)
        self.devices = [Device(self.world, papers) for papers in self.papers]
        self.devices += [Device(self.world, d.papers, clone=True) for d in self.devices if "clone" in d.faults]
        starting = asyncio.get_running_loop().create_task(self._start(turns))
        try:
            yield self
        finally:
            starting.cancel()
            for device in self.devices:
                device.stop()
            tasks = [starting, *self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._closed()

    async def until(self, holds: Callable[[], bool], seconds: float) -> float:
        """Wait until ``holds``, and how long that took, in s. Raises Offline after ``seconds``."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not holds():
            if loop.time() - began > seconds:
                raise Offline(f"after {seconds:g} s it was not so yet: {self.counts.line(seconds, len(self.devices))}")
            await asyncio.sleep(_LOOK_S)
        return loop.time() - began

    def storm(self) -> None:
        """All connections break at once."""
        for device in self.devices:
            device.cut()

    async def _start(self, turns: asyncio.Semaphore) -> None:
        for device in self.devices:
            await turns.acquire()
            task = asyncio.get_running_loop().create_task(device.run(turns.release))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _closed(self) -> None:
        """A moment for the transports to end."""
        for _ in range(50):
            if not self.counts.parked:
                break
            await asyncio.sleep(_LOOK_S)

    async def _one(self, number: int, token: str) -> Papers:
        setting, jitter = self.world.setting, Jitter(self.world.draw)
        facts = Facts(agent="simulated", target=setting.target, labels=dict(setting.labels))
        for tries in range(_TRIES):
            try:
                return await self.world.registry.enrol(self.world.dialer, number, token, f"sim-{number:05d}", facts)
            except EdgewrightError as error:
                passing = isinstance(error, Offline) or (isinstance(error, Refusal) and error.status in {429, 503})
                if not passing or tries == _TRIES - 1:
                    raise
                await asyncio.sleep(jitter.failed(error.after_s if isinstance(error, Refusal) else 0.0))
        raise AssertionError("unreachable")
