"""Map of a fleet: one letter a device, so that ten thousand of them are a few kilobytes and one look every few seconds
for all who watch."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from edgewright.hub.alerts.health import Health, Known, health
from edgewright.hub.state import State

FRESH_S, SHARE = 3.0, 0.03
"""A map is drawn anew after so many seconds, and of a large fleet so seldom that it takes no more than this share of a
core, however many ask."""
LETTERS = {"ok": "o", "warn": "w", "bad": "b"}
SILENT, NONE = "s", "."
STATES = {
    "waiting": "q", "offered": "f", "staged": "g", "switching": "h", "active": "a", "failed": "x", "skipped": "k",
    "reverting": "r", "reverted": "v", "released": "l",
}  # fmt: skip
"""Letters of a member's states; the capital letter is that of one that is held back for comparison."""
_LETTERS = (STATES, {state: letter.upper() for state, letter in STATES.items()})
_WAVES = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Block:
    """A group's devices by name, and a letter for each."""

    group: str
    devices: tuple[str, ...]
    health: str


@dataclass(frozen=True)
class Map:
    """``layout``: the digest of who is where; as long as it is the same, letters alone say what changed."""

    at: datetime
    layout: str
    blocks: tuple[Block, ...]


class Maps:
    """The last map of each tenant, in one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, tuple[Map, float]] = {}

    def of(self, tenant: str, now: datetime, drawn: Callable[[], Map]) -> Map:
        """The last one while it is fresh, else a new one. Who asks while one is drawn gets the last one."""
        known = self._last.get(tenant)
        if known is not None and abs((now - known[0].at).total_seconds()) < known[1]:
            return known[0]
        if known is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            return known[0]
        try:
            found = self._last.get(tenant)
            if found is not None and found is not known:
                return found[0]
            began = time.thread_time()
            made = drawn()
            self._last[tenant] = made, max(FRESH_S, (time.thread_time() - began) / SHARE)
            return made
        finally:
            self._lock.release()


def maps(state: State) -> Maps:
    """Those of this process."""
    return state.part("maps", Maps)


def draw(devices: Sequence[Known], now: datetime, silent: timedelta) -> Map:
    """The map at ``now``: groups and devices by name."""
    blocks, whole = [], hashlib.sha256()
    for group, ones in groupby(sorted(devices, key=lambda one: (one.group, one.name)), lambda one: one.group):
        found = list(ones)
        names = tuple(one.name for one in found)
        whole.update(f"{group}\0{chr(0).join(names)}\1".encode())
        blocks.append(Block(group, names, "".join(letter(health(one, now, silent)) for one in found)))
    return Map(now, whole.hexdigest()[:16], tuple(blocks))


def letter(found: Health) -> str:
    """A device's: what is not heard of is neither good nor bad, and has a letter of its own."""
    if found.worst(("connection",)).level == "bad":
        return SILENT
    return LETTERS[found.level]


def overlay(blocks: Sequence[Block], members: Iterable[Sequence[Any]]) -> list[tuple[str, str]]:
    """For each block the state of its devices in a rollout, and their wave in base 36 ("." for one that is not in it).
    ``members``: device, wave, state and whether it is a control."""
    known = {name: (_LETTERS[control].get(state, "q"), _WAVES[wave]) for name, wave, state, control in members}
    none = (NONE, NONE)
    told = []
    for block in blocks:
        states, waves = zip(*[known.get(name, none) for name in block.devices], strict=True)
        told.append(("".join(states), "".join(waves)))
    return told
