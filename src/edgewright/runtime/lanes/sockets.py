"""Sockets: the lanes on the loop's own thread. HTTP, with TLS or without, and at a Unix socket frames, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from edgewright.runtime.access import Check
from edgewright.runtime.addresses import Address
from edgewright.runtime.lanes.connections import Connections
from edgewright.runtime.lanes.door import Door
from edgewright.runtime.lanes.http import Heads
from edgewright.runtime.lanes.limits import Budget
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.talk import Front, Talk
from edgewright.runtime.lanes.tls import Certificate

_LOOK_S = 0.005
"""How often it is looked, at the end, whether clients are gone."""


class Sockets:
    """A Lane. ``check``: what is asked of every head at an address; ``secured``: what an address speaks TLS with.
    Raises InputError where nobody can listen."""

    def __init__(
        self, addresses: Sequence[Address], loop: Loop, budget: Budget, front: Front,
        check: Callable[[Address], Check | None], secured: Callable[[Address], Certificate | None],
    ) -> None:  # fmt: skip
        self._loop, self.connections = loop, Connections(budget.limits)
        self._begun = 0.0
        self._doors: list[tuple[Door, Talk]] = []
        try:
            for address in addresses:
                certificate, heads = secured(address), Heads(budget.limits, check(address))
                talk = Talk(loop, budget, front, heads, certificate, address.path is not None)
                self._doors.append((Door(address), talk))
        except BaseException:
            self.close()
            raise

    @property
    def addresses(self) -> list[Address]:
        """Where it really listens."""
        return [door.address for door, _ in self._doors]

    @property
    def busy(self) -> bool:
        """Whether somebody is connected."""
        return bool(self.connections)

    def forget(self) -> None:
        """Check every head anew."""
        for _, talk in self._doors:
            talk.heads.forget()

    def start(self) -> None:
        """Take requests."""
        for door, talk in self._doors:
            door.open(self._loop, partial(self.connections.admit, talk))

    def sweep(self) -> None:
        """Hang up on clients that keep others waiting."""
        self.connections.sweep(time.monotonic())

    def drain(self, grace_s: float) -> None:
        """Let nobody in any more, and each client go when it has its answer."""
        if not self._begun:
            self._begun = time.monotonic()
            for door, _ in self._doors:
                door.shut(self._loop)
            self._see_off()

    def _see_off(self) -> None:
        self.connections.drain(self._begun, time.monotonic())
        if self.busy:
            self._loop.later(_LOOK_S, self._see_off)

    def close(self) -> None:
        """End everything."""
        for door, _ in self._doors:
            door.close()
        self.connections.close()
