"""Server: a service behind sockets. One loop's thread answers; runs that take long happen on executors."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from edgewright.runtime import logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.diagnosis.whys import Whys
from edgewright.runtime.front import Front
from edgewright.runtime.lanes.lane import Lane
from edgewright.runtime.lanes.limits import DRAIN_S, Budget
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.sockets import Sockets
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.metrics import Metrics
from edgewright.runtime.safety import Safety
from edgewright.runtime.service import Service
from edgewright.runtime.watch import Watch

_SWITCH_S = 0.0005
"""How long a thread may hold the interpreter while another wants it: the reaper must not be late by Python's 5 ms."""
_LOOK_S = 0.005
"""How often it is looked, at the end, whether anything is still owed."""
Beside = Callable[[Service, Budget], Lane]
"""Makes a lane beside the loop's own."""


class Server:
    """Listens as soon as it is made; ``run`` serves until ``stop``. ``addresses`` holds where it really listens,
    ``lanes`` the loop's own lane and what ``beside`` makes. Raises InputError."""

    def __init__(
        self, settings: Settings, addresses: Sequence[Address], safety: Safety | None = None,
        beside: Sequence[Beside] = (),
    ) -> None:  # fmt: skip
        self._safety, table = safety or Safety(), settings.config.server
        self._service = service = Service.of(settings, shared=all(address.local for address in addresses))
        self._loop = Loop()
        self.repository, self.desk, self.loader = service.repository, service.desk, service.loader
        self._draining, self.lanes = 0.0, list[Lane]()
        budget = Budget(settings.config.limits)
        metrics = Metrics(self.repository, lambda: self._watch.families())
        self._whys = Whys(self.repository, self.desk, lambda: self._watch.rejected(), splits=service.splits)
        self._routes = Front(service, self._loop, metrics, self._whys)
        try:
            check = partial(self._safety.check, table=table)
            self._sockets = Sockets(addresses, self._loop, budget, self._routes, check, self._safety.secured)
            self.lanes.append(self._sockets)
            for make in beside:
                self.lanes.append(make(service, budget))
            self.loader.start()
        except BaseException:
            self.close()
            raise
        self.addresses = self._sockets.addresses
        self._watch = Watch(service, self._sockets.connections, budget)

    def run(self) -> None:
        """Serve until ``stop`` is called; then answer what is going on and close everything."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        # What the imports made is never garbage. Looking through it takes 35 ms, with everybody waiting.
        gc.collect()
        gc.freeze()
        try:
            for lane in self.lanes:
                lane.start()
            self._loop.later(1.0, self._sweep)
            self._loop.run()
        finally:
            sys.setswitchinterval(before)
            gc.unfreeze()
            self.close()

    def refresh(self) -> None:
        """Look at the certificate, the tokens and the models' files again; from any thread or a signal handler."""
        self.loader.rescan()
        self._loop.call(partial(self._refresh, True))

    def stop(self) -> None:
        """Let nobody in any more, answer what was asked, end ``run``; from any thread or a signal handler."""
        self._loop.call(self._drain)

    def close(self) -> None:
        """Give everything back."""
        self.loader.end_all()  # who was still waited for was given the time of a drain
        for lane in self.lanes:
            lane.close()
        self._routes.close()
        self._service.close()
        self._loop.close()

    def _sweep(self) -> None:
        self._loop.later(1.0, self._sweep)
        for lane in self.lanes:
            lane.sweep()
        self._refresh()
        self._whys.look()
        self._watch.tell()

    def _refresh(self, certificate: bool = False) -> None:
        if certificate:
            told = "models, tokens and certificate are looked at; options and runtime.toml are not: they need a restart"
            logs.info("refresh", told)
        if self._safety.refresh(certificate):
            self._sockets.forget()

    def _drain(self) -> None:
        now = time.monotonic()
        if not self._draining:
            self._draining = now
            for lane in self.lanes:
                lane.drain(DRAIN_S)
        if any(lane.busy for lane in self.lanes) and now < self._draining + DRAIN_S:
            self._loop.later(_LOOK_S, self._drain)
        else:
            self._loop.stop()


def serving(server: Server) -> threading.Thread:
    """``server`` running in a thread of its own, for tests and for programs that do other things."""
    thread = threading.Thread(target=server.run, name="edgewright-server", daemon=True)
    thread.start()
    return thread
