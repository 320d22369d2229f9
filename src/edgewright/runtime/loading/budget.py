"""The memory budget: who has to go when a model is to be loaded."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable
from pathlib import Path

from edgewright.core.model import Model
from edgewright.runtime.faults import NotReady
from edgewright.runtime.loading.slots import Slot
from edgewright.runtime.memory import Holding, Uses, held_bytes, make_room


class NoRoom(NotReady):
    """A model does not fit into the memory that models may hold; ``alone``: not even without the others."""

    def __init__(self, why: str, alone: bool = False) -> None:
        super().__init__(why)
        self.alone = alone


class MemoryBudget:
    """``memory_mb``: what models may hold together, in MB; 0: no limit."""

    def __init__(self, memory_mb: float) -> None:
        self._bytes, self._uses = int(memory_mb * 1e6), Uses()

    def look(self, slots: Collection[Slot]) -> None:
        """Note who was asked since the last look; now and then."""
        if self._bytes:
            counts: dict[Hashable, int] = {
                s.place.path: s.served.stats.requests + s.served.stats.hits for s in slots if s.served
            }
            self._uses.look(counts, time.monotonic())

    def room(
        self, slot: Slot, model: Model, slots: Collection[Slot], keep: bool, measured_bytes: int = 0
    ) -> list[Slot]:
        """Which slots must be emptied for ``slot``'s ``model``: those asked least recently, none if ``keep``.

        Asked before it is opened, with an estimate, or what these very files held the last time; and once more when it
        is open, with ``measured_bytes``.

        What is about to be replaced stays until its successor has passed its trial, and so counts. Raises NoRoom.
        """
        if not self._bytes:
            return []
        self.look(slots)
        open_ones: dict[Path, Slot] = {one.place.path: one for one in slots if one.served is not None}
        held = [
            Holding(path, one.size_bytes, self._uses.used(path), keep or one is slot or _running(one))
            for path, one in open_ones.items()
        ]
        known = slot.size_bytes if slot.sized == slot.stamp else 0
        room = make_room(held, measured_bytes or known or held_bytes(model), self._bytes)
        if room.refused:
            raise NoRoom(room.refused, room.alone)
        return [one for path, one in open_ones.items() if path in room.unload]


def _running(slot: Slot) -> bool:
    return slot.served is not None and slot.served.running > 0
