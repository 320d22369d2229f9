"""Beside: bundles that run as shadows of served models for a while, without a restart and without a place of their own.

They are prepared in a child as a reload is, opened modestly, found by nobody, and closed first where memory is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from edgewright.bundles.names import MANIFEST, Limits
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.runtime import logs
from edgewright.runtime.experiments.records import Shadow
from edgewright.runtime.experiments.shadow import Shadows
from edgewright.runtime.faults import Unsupported
from edgewright.runtime.loading.opening import Opener
from edgewright.runtime.loading.places import Place
from edgewright.runtime.loading.preparing import discard
from edgewright.runtime.loading.shelf import Shelf
from edgewright.runtime.loading.slots import Slot
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.memory import anonymous_bytes, held_bytes
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

Room = Callable[[Slot, Source, int], None]
"""Raise NoRoom where a shadow of a size (0: not known yet) would need what others hold."""


class Beside:
    """For the loader's thread. ``slots``: what shadows hold."""

    def __init__(
        self, repository: Repository, shelf: Shelf, opener: Opener, shadows: Shadows | None, room: Room
    ) -> None:
        self._repository, self._shelf, self._opener = repository, shelf, opener
        self._shadows, self._room = shadows, room
        self._slots: dict[str, Slot] = {}

    @property
    def slots(self) -> list[Slot]:
        """Of the shadows that are open."""
        return list(self._slots.values())

    def begin(self, model: str, path: Path, share: float) -> None:
        """The bundle in the folder ``path`` is the model's shadow from now on, in place of another one; nothing happens
        where it is already. Raises NotFound, NotReady (also for want of memory), Unsupported, InputError, EngineError,
        TrustError."""
        if self._shadows is None:
            raise Unsupported("this server asks no shadows")
        serving = self._repository.find(model)
        place = Place(model, "", path)
        if not (path / MANIFEST).is_file():
            raise InputError(f"{path} holds no bundle; name the folder of one")
        digest = digest_bytes(read_file(path / MANIFEST, Limits().manifest_bytes))
        if digest == serving.source.digest:
            raise InputError(f"model {model!r} is answered by this very bundle; a shadow is another one")
        there = self._slots.get(model)
        if there is not None and there.served is not None and there.served.source.digest == digest:
            return
        Shadow(model, digest, share)  # its figures are looked at before anything is done
        self.end(model)
        slot = Slot(place, place.stamp)
        source, folder = self._opener.prepared(place)
        try:
            served = self._opened(slot, source, folder, serving)
        except BaseException:
            discard(folder)
            raise
        self._slots[model] = slot
        self._repository.observations.add(served.observed)
        try:
            self._shadows.begin(Shadow(model, source.version, share), served)
        except InputError:  # the configuration has given it one
            self._close(model)
            raise
        logs.info("shadow", f"{source.title} runs beside {serving.source.title}", model=model, digest=digest)

    def end(self, model: str, why: str = "it was asked for") -> None:
        """No shadow of that model any more; nothing happens where there is none."""
        if self._shadows is not None and self._shadows.end(model) is not None:
            logs.info("shadow", f"the shadow of {model} has ended: {why}", model=model)
        self._close(model)

    def end_all(self, why: str) -> bool:
        """Whether there were any."""
        there = list(self._slots)
        for model in there:
            self.end(model, why)
        return bool(there)

    def look(self, serving: Iterable[Served]) -> None:
        """End those whose model is not served any more, or by the very bundle."""
        answering = {served.source.name: served.source.digest for served in serving}
        for model, slot in list(self._slots.items()):
            mine = slot.served.source.digest if slot.served is not None else ""
            if answering.get(model, mine) == mine:
                self.end(model, "it answers itself now, or nothing does")

    def _opened(self, slot: Slot, source: Source, folder: Path, serving: Served) -> Served:
        self._room(slot, source, 0)
        if source.model.signature != serving.session.signature:
            raise InputError(
                "it has other inputs or outputs than what serves, which cannot be compared; switch at once"
            )
        before = anonymous_bytes()
        served = self._opener.open(source, folder, modest=True)
        served.observed.shadow = True
        slot.served, slot.sized = served, slot.stamp
        self._shelf.open_ones.add(served)
        slot.size_bytes = held_bytes(
            source.model, max(anonymous_bytes() - before, 0), getattr(served.session, "pid", None)
        )
        try:
            self._room(slot, source, slot.size_bytes)
        except BaseException:
            self._shelf.close(served)
            raise
        return served

    def _close(self, model: str) -> None:
        slot = self._slots.pop(model, None)
        if slot is not None and slot.served is not None:
            self._shelf.retire(slot.served)
