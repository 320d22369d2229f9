"""The loader: brings files and requests together, on one thread whoever asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgewright.core.errors import EdgewrightError, EngineError, InputError, StorageError
from edgewright.runtime import logs
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import NotFound
from edgewright.runtime.hangs import Hangs
from edgewright.runtime.loading.beside import Beside
from edgewright.runtime.loading.budget import MemoryBudget, NoRoom
from edgewright.runtime.loading.opening import Opener, Settings
from edgewright.runtime.loading.orders import Orders
from edgewright.runtime.loading.pause import Pause
from edgewright.runtime.loading.places import find_places, is_model, some_places
from edgewright.runtime.loading.preparing import discard
from edgewright.runtime.loading.shelf import Shelf
from edgewright.runtime.loading.slots import Slot
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.memory import anonymous_bytes, held_bytes
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

_TICK_S = 0.1
Done = Callable[[EdgewrightError | None], None]
"""Called once, on the loader's thread, with what went wrong or None."""


class Loader:
    """Loads what lies at ``settings.path`` at once (``start``), and again when it changes, when it is told to
    (``load``, ``unload``, ``rescan``), or when a new version does badly."""

    def __init__(self, repository: Repository, desk: Desk, settings: Settings) -> None:
        self._repository, self._settings = repository, settings
        self._shelf, self._opener = Shelf(repository, desk), Opener(settings, desk.cache)
        self._hangs = Hangs(self._shelf.open_ones.copy)
        self._budget = MemoryBudget(settings.config.server.memory_mb)
        self._beside = Beside(repository, self._shelf, self._opener, desk.shadows, self._room_beside)
        self._orders = Orders("edgewright-loader", self._look)
        self._scanned, self._complaint, self._closed = time.monotonic(), "", False
        repository.wanted = self._wanted

    def start(self) -> None:
        """Load everything, then go on watching. Raises InputError when there is nothing; for a single bundle or model
        also what keeps it from loading."""
        path = self._settings.path
        for place in some_places(path):
            slot = self._shelf.slots[place.path] = Slot(place, place.stamp)
            try:
                slot.served = slot.good = self._opened(slot, *self._opener.first(place), keep=True)
            except NoRoom as error:
                self._shelf.cool(slot, str(error), again=not error.alone)
            except Exception as error:
                if is_model(path):
                    raise
                self._shelf.refuse(slot, explained(error))
            else:
                self._repository.put(slot.served)
        self._hangs.start()
        self._orders.start()

    def load(self, name: str, done: Done) -> None:
        """Load the model of that name anew where its files have changed, or where it was unloaded; from any thread."""
        self._orders.put(partial(_told, partial(self._load_all, name), done))

    def unload(self, name: str, done: Done) -> None:
        """Stop serving all versions of that name, once what they were asked is answered; from any thread."""
        self._orders.put(partial(_told, partial(self._unload_all, name), done))

    def shadow(self, name: str, path: Path, share: float, done: Done) -> None:
        """Run the bundle in that folder beside the model of that name, as ``Beside.begin`` has it; from any thread."""
        self._orders.put(partial(_told, partial(self._shadow, name, path, share), done))

    def unshadow(self, name: str, done: Done) -> None:
        """End the model's shadow, if it has one; from any thread."""
        self._orders.put(partial(_told, partial(self._beside.end, name), done))

    def rescan(self) -> None:
        """Look at the files now; from any thread or a signal handler."""
        self._orders.put(self._scan)

    def close(self) -> None:
        """Stop looking, give up what is being prepared, and close every model. Nothing may run any more."""
        if self._closed:
            return
        self._closed = True
        self._opener.give_up()
        self._hangs.close()
        self._orders.close()
        for served in self._shelf.open_ones.copy():
            self._shelf.close(served)
        self._opener.close()

    def end_all(self) -> None:
        """End the runs that go on and what is being prepared, so that nobody has to wait for them; from any thread."""
        if not self._closed:
            self._opener.give_up()
            self._hangs.end_all()

    def _look(self) -> float | None:
        """What is due now; in how many s something is again."""
        every_s = self._settings.watch_s
        if every_s and time.monotonic() - self._scanned >= every_s:
            self._scan()
            self._scanned = time.monotonic()
        slots = self._shelf.slots.values()
        for slot in [slot for slot in slots if slot.began]:
            self._shelf.weigh(slot)
        self._budget.look(slots)
        if self._beside.slots:
            self._beside.look([slot.served for slot in slots if slot.served is not None])
        return _TICK_S if any(slot.began for slot in slots) else every_s or None

    def _load_all(self, name: str) -> None:
        self._find_new()
        for slot in self._named(name):
            slot.held = slot.cold = False
            error = self._refresh(slot, asked=True)
            if isinstance(error, EngineError):  # what lies there cannot be served: told as where it does not verify
                raise InputError(str(error)) from error
            if error is not None:
                raise error

    def _shadow(self, name: str, path: Path, share: float) -> None:
        try:
            self._beside.begin(name, path, share)
        except EngineError as error:  # as where it does not verify
            raise InputError(str(error)) from error

    def _room_beside(self, slot: Slot, source: Source, measured_bytes: int) -> None:
        others = [one for one in self._beside.slots if one is not slot]
        self._budget.room(slot, source.model, [*self._shelf.slots.values(), *others], True, measured_bytes)

    def _unload_all(self, name: str) -> None:
        for slot in self._named(name):
            slot.held = True
            self._shelf.empty(slot, "it was unloaded; load it again")

    def _named(self, name: str) -> list[Slot]:
        found = self._shelf.named(name)
        if not found:
            raise NotFound(f"there is no model {name!r} at {self._settings.path}")
        return found

    def _scan(self) -> None:
        complaint = ""
        try:
            self._find_new()
            for slot in list(self._shelf.slots.values()):
                if not slot.held and not slot.cold:
                    self._refresh(slot)
        except (EdgewrightError, OSError) as error:
            complaint = f"they cannot be looked at: {error}"
            if complaint != self._complaint:  # once, not every second
                logs.error("models", complaint)
        self._complaint = complaint

    def _find_new(self) -> None:
        there, slots = {place.path: place for place in find_places(self._settings.path)}, self._shelf.slots
        for path, place in there.items():
            slots.setdefault(path, Slot(place))
        for path in slots.keys() - there.keys():
            if not slots[path].place.stamp:
                self._shelf.drop(path)

    def _refresh(self, slot: Slot, asked: bool = False) -> EdgewrightError | None:
        """Load the slot's files when they changed, or were refused and it is time (or somebody ``asked``) to try them
        again; what was wrong with them, if anything."""
        stamp = slot.place.stamp
        if not stamp:
            missing = InputError(f"{slot.place.path} is not there, or not all that belongs to it")
            if slot.served is None and slot.wrong is None:
                self._shelf.refuse(slot, missing)
            return missing
        if stamp == slot.stamp and not (slot.wrong and asked) and time.monotonic() < slot.again:
            return slot.wrong
        if stamp != slot.stamp:
            slot.accept()
        slot.stamp = stamp
        folder = None
        try:
            source, folder = self._opener.prepared(slot.place)
            served = self._opened(slot, source, folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others and the old one are served
            if folder is not None:
                discard(folder)
            if isinstance(error, NoRoom) and slot.served is None:
                self._shelf.cool(slot, str(error), again=not asked and not error.alone)
                return error
            wrong = explained(error)
            self._shelf.refuse(slot, wrong)
            return wrong
        self._shelf.put(slot, served)
        return None

    def _opened(self, slot: Slot, source: Source, folder: Path | None = None, keep: bool = False) -> Served:
        """The version, open within the budget: others are unloaded for it, unless ``keep``. Raises NoRoom, Taken and
        what the opener does."""
        self._make_room(slot, source, keep)
        self._shelf.check_free(slot, source)
        before = anonymous_bytes()
        if slot.served is None:
            served = self._opener.open(source, folder)
        else:
            with Pause(self._repository.totals):
                served = self._opener.open(source, folder, modest=True)
        self._shelf.open_ones.add(served)
        grown = max(anonymous_bytes() - before, 0)
        size = held_bytes(source.model, grown, getattr(served.session, "pid", None))
        try:
            self._make_room(slot, source, keep, size)
        except NoRoom:
            if slot.served is None:
                slot.size_bytes, slot.sized = size, slot.stamp
            self._shelf.close(served)
            raise
        slot.size_bytes, slot.sized = size, slot.stamp
        return served

    def _make_room(self, slot: Slot, source: Source, keep: bool, measured_bytes: int = 0) -> None:
        beside = self._beside.slots
        if beside:  # they are the first to go
            try:
                goes = self._budget.room(
                    slot, source.model, [*self._shelf.slots.values(), *beside], True, measured_bytes
                )
            except NoRoom:
                self._beside.end_all("others need its memory")
            else:
                assert not goes  # noqa: S101 - nobody has to go
                return
        for one in self._budget.room(slot, source.model, self._shelf.slots.values(), keep, measured_bytes):
            self._shelf.cool(one, "it was unloaded to make room for others within memory_mb")

    def _wanted(self, name: str) -> None:
        self._shelf.wake(name, partial(self.load, name, lambda error: None))


def _told(work: Callable[[], None], done: Done) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whoever asked waits for an answer
        done(explained(error))
    else:
        done(None)


def explained(error: Exception) -> EdgewrightError:
    """``error`` as one that can be told. What nobody thought of goes into the log, with its place."""
    if isinstance(error, EdgewrightError):
        return error
    if isinstance(error, OSError):
        return StorageError(f"cannot prepare it: {error}")
    logs.trouble("a model could not be looked at")
    return EdgewrightError(f"cannot prepare it: {type(error).__name__}: {error}")
