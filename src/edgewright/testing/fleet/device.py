"""Device: one of thousands. It polls, follows what the hub wants, tells what it does and sees, and renews.

As the agent does (docs/reference/device-protocol.md): one connection for the parked poll, which is nudged when the
state is another one, and for reports, which go between two polls; an update's metadata and bundle come over connections
of the update's. All of it lies in memory, but for the key and the certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from edgewright.agent.net.follow import status
from edgewright.agent.net.hub import Refusal
from edgewright.agent.net.jitter import CALM_S, Jitter
from edgewright.agent.states import Situation
from edgewright.core.digests import canonical_json
from edgewright.core.errors import EdgewrightError
from edgewright.core.messages import LIMITS, Desired, Event, Facts, Sync, read
from edgewright.testing.fleet.counts import Spread
from edgewright.testing.fleet.faults import clock_error_s
from edgewright.testing.fleet.following import followed
from edgewright.testing.fleet.papers import Papers
from edgewright.testing.fleet.reporting import Outbox
from edgewright.testing.fleet.telling import Teller
from edgewright.testing.fleet.updating import Updater
from edgewright.testing.fleet.wire import Line
from edgewright.testing.fleet.world import World

_NUMBER = re.compile(r"[0-9a-f]{12,}|\d[\d,]*")
_AWAITED = frozenset({"idle", "waiting", "trial", "rolling_back"})
"""States that the hub waits for, as in the agent: what lies between them is told when it lasts."""
_SLACK_S, _HOLD_S, _BREAKS_S = 20.0, 3600.0, 30.0


class Device:
    """``run`` it until it is cancelled, or ``stop``. ``clone``: a second one with the identity of another."""

    def __init__(self, world: World, papers: Papers, clone: bool = False) -> None:
        setting = world.setting
        self.world, self.papers, self.clone = world, papers, clone
        self.faults = setting.faults.of(papers.name, setting.seed)
        self.now, self.desired = Situation(), Desired(0)
        self.boot = f"b{secrets.token_hex(8)}"
        self.synced = 0
        self.outbox = Outbox(self.boot)
        self.expired = clone  # a clone renews at once: then one of the two is found out
        self.over = False
        self._error_s = clock_error_s(papers.name, self.faults, world.clock())
        self._facts = Facts(agent="simulated", target=setting.target, labels=dict(setting.labels))
        self._told, self._unsaid, self._parks = False, False, False
        self._stir = asyncio.Event()
        self._line: Line | None = None
        self._jitter = Jitter(lambda: world.draw())
        self._jobs = set[asyncio.Task[None]]()
        self._updating: asyncio.Task[None] | None = None
        self._updater, self.teller = Updater(self), Teller(self)

    @property
    def clock_s(self) -> float:
        """The device's clock, s since 1970, whatever it is."""
        return self.world.clock() + self._error_s

    async def run(self, connected: Callable[[], object] = lambda: None) -> None:
        """Poll, and all that comes of it, until it is stopped. ``connected`` is called after the first try."""
        self.teller.begin()
        try:
            pause = 0.0
            try:
                await self._parked()
            except EdgewrightError as error:
                pause = self.failed(error, self._jitter)
            finally:
                connected()
            while not self.over:
                await self._rest(pause)
                pause = await self._poll()
        finally:
            self.stop()

    def stop(self) -> None:
        """No more of it; connections are closed."""
        self.over = True
        for job in self._jobs:
            job.cancel()
        self.teller.close()
        if self._line is not None:
            self._line.close()

    def cut(self) -> None:
        """The network goes away for a moment."""
        if self._line is not None:
            self._line.abort()

    async def dial(self) -> Line:
        """A connection of one's own. Raises Offline, TrustError."""
        self.world.counts.dialled += 1
        return await self.world.dialer.dial(self.world.registry.anchors, self.papers.path)

    def stir(self) -> None:
        """There is something to say: a parked poll is ended, and the next one comes at once."""
        self._stir.set()
        if self._parks and self._line is not None:
            self._line.nudge()

    async def _exchange(self, line: Line, wait_s: float) -> None:
        """One sync, parked for so many s. Raises Offline, Refusal, InputError."""
        mine = self.desired.revision
        self._unsaid = False
        told = status(self.now, self.desired.release, self.now.serving, clock_s=self.clock_s, free_bytes=2**34)
        body = canonical_json(Sync(mine, self.boot, told, None if self._told else self._facts).to_json())
        self._parks = wait_s > 0
        try:
            answer = await line.ask(
                "POST", f"/device/v1/sync?wait={wait_s:g}", body, seconds=wait_s + _SLACK_S,
                most_bytes=LIMITS["Desired"],
            )  # fmt: skip
        except EdgewrightError:
            self._unsaid = True
            raise
        finally:
            self._parks = False
        self._told = True
        self._jitter.heard(answer.headers.get("edgewright-spread", ""))
        self.synced += 1
        self.world.counts.synced += 1
        if answer.status == 200:
            self._take(read(Desired, answer.body), mine)

    def spawn(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Something that ends with the device."""
        task = asyncio.get_running_loop().create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def record(self, then: Situation) -> None:
        """A new situation: what is in the agent's journal."""
        if then == self.now:
            return
        if then.state != self.now.state:
            bundle = "" if then.update is None else then.update.bundle
            self.outbox.happened(Event(self.clock_s, then.state, bundle, then.reason))
        ended = then.state == "idle" != self.now.state
        self.now = then
        if ended:
            bundle = "" if then.update is None else then.update.bundle
            self._mark(self.world.counts.ended, f"{then.result} {bundle[:12]}")
            self.outbox.put()
            self.teller.soon()
        self._unsaid = True
        if then.state in _AWAITED:
            self.stir()

    def failed(self, error: EdgewrightError, jitter: Jitter) -> float:
        """Note what went wrong, and how long to wait, in s."""
        name = type(error).__name__
        what = (
            f"{name} {error.status}"
            if isinstance(error, Refusal)
            else f"{name}: {_NUMBER.sub('...', str(error))[:100]}"
        )
        self.world.counts.errors[what] += 1
        if isinstance(error, Refusal):
            if error.status == 401 and not self.expired:
                self.expired = True  # renewed before the next poll
                return jitter.failed()
            if error.status in {401, 403, 409}:
                self.world.counts.held += 1
                return _HOLD_S * (1.0 + 0.1 * self.world.draw())
            return jitter.failed(error.after_s)
        return jitter.failed()

    async def _poll(self) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            line = await self._parked()
            if self.expired or self.world.clock() >= self.papers.peer.renew_at.timestamp():
                self.papers = await self.world.registry.renew(line, self.papers, self.clone)
                self.expired = False
                self.world.counts.renewed += 1
                line.close()
                line = await self._parked()
            if "drop" in self.faults:
                asyncio.get_running_loop().call_later(_BREAKS_S * self.world.draw(), line.abort)
            self._stir.clear()
            if not self._unsaid or self.teller.urgent:
                await self.teller.tell(line)
            await self._exchange(line, 0.0 if self._unsaid and self.now.state == "trial" else self.world.setting.wait_s)
            return self._jitter.succeeded()
        except EdgewrightError as error:
            if loop.time() - began > CALM_S:
                self._jitter.failures = 0
            return self.failed(error, self._jitter)

    async def _rest(self, seconds: float) -> None:
        """Between polls. What is to be said cuts it short, but never a pause after a failure."""
        if self._jitter.failures:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stir.wait()

    async def _parked(self) -> Line:
        if self._line is None or not self._line.open:
            line = self._line = await self.dial()
            if line.open:
                self.world.counts.parked += 1
                line.lost = self._lost
        return self._line

    def _lost(self) -> None:
        self.world.counts.parked -= 1

    def _take(self, desired: Desired, asked: int) -> None:
        """A lower revision is the hub's truth, too, unless another answer came meanwhile."""
        mine, before = self.desired.revision, self.desired.release
        if desired.anchors:
            self.world.registry.adopt("".join(desired.anchors))
        if desired.revision == mine or (asked != mine and desired.revision < mine):
            return
        self.teller.urgent |= desired.collect != self.desired.collect
        self.desired = desired
        release = desired.release
        if release is not None and release != before:
            offer = f"{release.rollout}#{release.attempt}{' activate' if release.activate else ''}"
            self._mark(self.world.counts.told, offer)
            if "silent" in self.faults:
                self.world.counts.silent += 1
                self.stop()
                return
        if self._updating is None or self._updating.done():
            self._updating = self.spawn(self._update())

    async def _update(self) -> None:
        """Do what the hub wants until there is nothing left to do."""
        while not self.over:
            self.record(followed(self.now, self.desired.release))
            if self.now.state == "idle" or not await self._updater.step():
                return

    def _mark(self, spreads: dict[str, Spread], name: str) -> None:
        spreads.setdefault(name, Spread()).add(asyncio.get_running_loop().time())
