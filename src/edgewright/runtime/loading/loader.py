"""The loader: one thread that brings files and requests together, whoever asked for it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgewright.core.errors import EdgewrightError, StorageError
from edgewright.runtime import logs
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Fault, NotFound
from edgewright.runtime.hangs import Hangs
from edgewright.runtime.loading.budget import MemoryBudget, NoRoom
from edgewright.runtime.loading.opening import Opener, Settings
from edgewright.runtime.loading.pause import Pause
from edgewright.runtime.loading.places import find_places, is_model, some_places
from edgewright.runtime.loading.preparing import discard
from edgewright.runtime.loading.slots import Slot, Taken
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.loading.trial import Answers, judge
from edgewright.runtime.memory import anonymous_bytes, held_bytes
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

_TICK_S, _DRAIN_S = 0.1, 60.0
Done = Callable[[EdgewrightError | None], None]
"""Called once, on the loader's thread, with what went wrong or None."""


class Loader:
    """Loads what lies at ``settings.path`` at once (``start``), and again when it changes, when it is told to
    (``load``, ``unload``, ``rescan``), or when a new version does badly."""

    def __init__(self, repository: Repository, desk: Desk, settings: Settings) -> None:
        self._repository, self._desk, self._settings = repository, desk, settings
        self._slots: dict[Path, Slot] = {}
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._opener = Opener(settings, desk.cache)
        self._complaint, self._closed = "", False
        self._open_ones: set[Served] = set()
        self._hangs = Hangs(self._open_ones.copy)
        self._thread = threading.Thread(target=self._work, name="edgewright-loader", daemon=True)
        self._budget = MemoryBudget(settings.config.server.memory_mb)
        repository.wanted = self._wanted

    def start(self) -> None:
        """Load everything, then go on watching. Raises InputError when there is nothing; for a single bundle or model
        also what keeps it from loading."""
        path = self._settings.path
        for place in some_places(path):
            slot = self._slots[place.path] = Slot(place, place.stamp)
            try:
                slot.served = slot.good = self._opened(slot, *self._opener.first(place), keep=True)
            except NoRoom as error:
                self._cool(slot, str(error), again=not error.alone)
            except Exception as error:
                if is_model(path):
                    raise
                self._refuse(slot, explained(error))
            else:
                self._repository.put(slot.served)
        self._hangs.start()
        self._thread.start()

    def load(self, name: str, done: Done) -> None:
        """Load the model of that name anew where its files have changed, or where it was unloaded; from any thread."""
        self._orders.put(lambda: self._told(name, self._load_all, done))

    def unload(self, name: str, done: Done) -> None:
        """Stop serving all versions of that name, once what they were asked is answered; from any thread."""
        self._orders.put(lambda: self._told(name, self._unload_all, done))

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
        if self._thread.is_alive():
            self._orders.put(None)
            self._thread.join()
        for served in self._open_ones.copy():
            self._close(served)
        self._opener.close()

    def end_all(self) -> None:
        """End the runs that go on and what is being prepared, so that nobody has to wait for them; from any thread."""
        if not self._closed:
            self._opener.give_up()
            self._hangs.end_all()

    def _work(self) -> None:
        looked = time.monotonic()
        while True:
            trials = any(slot.began for slot in self._slots.values())
            try:
                order = self._orders.get(timeout=_TICK_S if trials else self._settings.watch_s or None)
            except queue.Empty:
                if self._settings.watch_s and time.monotonic() - looked >= self._settings.watch_s:
                    self._guarded(self._scan)
                    looked = time.monotonic()
            else:
                if order is None:
                    return
                self._guarded(order)
            for slot in list(self._slots.values()):
                if slot.began:
                    self._guarded(partial(self._try, slot))
            self._budget.look(self._slots.values())

    def _guarded(self, work: Callable[[], None]) -> None:
        complaint = ""
        try:
            work()
        except (EdgewrightError, OSError) as error:
            complaint = f"they cannot be looked at: {error}"
            if complaint != self._complaint:  # once, not every second
                logs.error("models", complaint)
        except Exception:  # noqa: BLE001 - without this thread no file would ever be looked at again
            logs.trouble("the models could not be looked at")
        if work == self._scan:
            self._complaint = complaint

    def _told(self, name: str, work: Callable[[str], None], done: Done) -> None:
        try:
            work(name)
        except Exception as error:  # noqa: BLE001 - whoever asked waits for an answer
            done(explained(error))
        else:
            done(None)

    def _load_all(self, name: str) -> None:
        self._find_new()
        slots = [slot for slot in self._slots.values() if slot.place.name == name]
        if not slots:
            raise NotFound(f"there is no model {name!r} at {self._settings.path}")
        for slot in slots:
            slot.held = slot.cold = False
            error = self._refresh(slot, asked=True)
            if error is not None:
                raise error

    def _unload_all(self, name: str) -> None:
        slots = [slot for slot in self._slots.values() if slot.place.name == name]
        if not slots:
            raise NotFound(f"there is no model {name!r} at {self._settings.path}")
        for slot in slots:
            slot.held = True
            self._empty(slot, "it was unloaded; load it again")

    def _scan(self) -> None:
        self._find_new()
        for slot in list(self._slots.values()):
            if not slot.held and not slot.cold:
                self._refresh(slot)

    def _find_new(self) -> None:
        there = {place.path: place for place in find_places(self._settings.path)}
        for path, place in there.items():
            self._slots.setdefault(path, Slot(place))
        for path in self._slots.keys() - there.keys():
            if not self._slots[path].place.stamp:
                slot = self._slots.pop(path)
                self._empty(slot, "")
                self._repository.note(slot.place.name, slot.place.version)
                logs.info("model", f"{slot.place.name}: its files are gone, and so is it", model=slot.place.name)

    def _refresh(self, slot: Slot, asked: bool = False) -> EdgewrightError | None:
        """Load the slot's files when they changed, or were refused and it is time (or somebody ``asked``) to try them
        again; what was wrong with them, if anything."""
        stamp = slot.place.stamp
        if not stamp:
            missing = EdgewrightError(f"{slot.place.path} is not there, or not all that belongs to it")
            if slot.served is None and slot.wrong is None:
                self._refuse(slot, missing)
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
                self._cool(slot, str(error), again=not asked and not error.alone)
                return error
            wrong = explained(error)
            self._refuse(slot, wrong)
            return wrong
        self._swap(slot, served)
        return None

    def _swap(self, slot: Slot, served: Served) -> None:
        before, slot.served = slot.served, served
        slot.accept()
        self._repository.put(served)
        name, version = served.source.name, served.source.version
        self._repository.note(name, version)
        self._repository.note(name, slot.place.version)
        if before is None:
            slot.good = served
            told = f"{served.source.title} is ready"
            logs.info("model", told, model=name, version=version, digest=served.source.digest)
            return
        self._repository.totals.reloads["applied"] += 1
        told = f"{served.source.title} took the place of {before.source.title}"
        logs.info("reload", told, model=name, version=version, digest=served.source.digest,
                  before=before.source.version, before_digest=before.source.digest)  # fmt: skip
        slot.began = time.monotonic()
        served.rival = slot.good if slot.good is not None and _alike(served, slot.good) else None
        if before.source.version != version:
            self._repository.remove(before)
        if before is not slot.good:  # it never finished its own trial: the last good one stays behind it
            self._retire(before)

    def _try(self, slot: Slot) -> None:
        new, old = slot.served, slot.good
        assert new is not None and old is not None  # noqa: S101 - a trial has both
        verdict = judge(_answers(new), _answers(old), new.source.latency_ms, time.monotonic() - slot.began)
        if verdict is None:
            return
        slot.began, new.rival = 0.0, None
        if verdict is True:
            slot.good = new
            self._retire(old)
            return
        slot.served = old
        self._repository.put(old)
        if old.source.version != new.source.version:
            self._repository.remove(new)
        reason = f"{new.source.title} was taken back: {verdict}; {old.source.title} answers again"
        self._repository.note(old.source.name, old.source.version, "READY", reason)
        slot.refuse(EdgewrightError(reason), time.monotonic())
        self._repository.totals.reloads["taken_back"] += 1
        logs.error("reload", reason, model=old.source.name, version=old.source.version, digest=old.source.digest,
                   before=new.source.version, before_digest=new.source.digest)  # fmt: skip
        self._retire(new)

    def _empty(self, slot: Slot, reason: str) -> None:
        slot.stamp, slot.began = None, 0.0
        for served in {slot.served, slot.good} - {None}:
            assert served is not None  # noqa: S101 - narrowing for the type checker
            self._repository.remove(served)
            self._repository.note(served.source.name, served.source.version, "UNAVAILABLE" if reason else "", reason)
            self._retire(served)
        slot.served = slot.good = None
        slot.accept()

    def _refuse(self, slot: Slot, error: EdgewrightError) -> None:
        version = slot.served.source.version if slot.served else slot.place.version
        state = "READY" if slot.served else "UNAVAILABLE"
        again = slot.wrong
        slot.refuse(error, time.monotonic())
        reason = f"new files were refused: {error}" if slot.served else str(error)
        self._repository.note(slot.place.name, version, state, reason)
        self._repository.totals.reloads["refused"] += slot.served is not None
        if str(again) != str(error):  # once, however often it is tried
            logs.error("model", f"{slot.place.name}: {reason}", model=slot.place.name, reason=reason)

    def _retire(self, served: Served) -> None:
        if not self._desk.retire(served, _DRAIN_S):
            name, version = served.source.name, served.source.version
            logs.error("model", f"{name} {version} did not come to rest", model=name, version=version)
            return
        self._close(served)

    def _close(self, served: Served) -> None:
        self._open_ones.discard(served)
        served.close()

    def _opened(self, slot: Slot, source: Source, folder: Path | None = None, keep: bool = False) -> Served:
        """``_open`` within the budget: others are unloaded for it, unless ``keep``. Raises NoRoom."""
        self._make_room(slot, source, keep)
        self._alone(slot, source)
        before = anonymous_bytes()
        if slot.served is None:
            served = self._opener.open(source, folder)
        else:
            with Pause() as pause:
                served = self._opener.open(source, folder)
            totals = self._repository.totals
            totals.longest_pause_s = max(totals.longest_pause_s, pause.longest_s)
        self._open_ones.add(served)
        grown = max(anonymous_bytes() - before, 0)
        size = held_bytes(source.model, grown, getattr(served.session, "pid", None))
        try:
            self._make_room(slot, source, keep, size)
        except NoRoom:
            if slot.served is None:
                slot.size_bytes, slot.sized = size, slot.stamp
            self._close(served)
            raise
        slot.size_bytes, slot.sized = size, slot.stamp
        return served

    def _make_room(self, slot: Slot, source: Source, keep: bool, measured_bytes: int = 0) -> None:
        for one in self._budget.room(slot, source.model, self._slots.values(), keep, measured_bytes):
            self._cool(one, "it was unloaded to make room for others within memory_mb")

    def _cool(self, slot: Slot, reason: str, again: bool = True) -> None:
        told = f"{reason}; it is loaded again when somebody asks for it" if again else reason
        served = slot.served
        slot.why, slot.version = reason, served.source.version if served else slot.version or slot.place.version
        self._empty(slot, told)
        self._repository.note(slot.place.name, slot.version, "UNAVAILABLE", told)
        slot.cold = True
        logs.info("model", f"{slot.place.name}: {reason}", model=slot.place.name)

    def _wanted(self, name: str) -> None:
        for slot in list(self._slots.values()):
            if slot.cold and slot.place.name == name:
                slot.cold = False  # one order is enough
                self._repository.note(name, slot.version, "LOADING", f"it is being loaded now; before, {slot.why}")
                self.load(name, lambda error: None)

    def _alone(self, slot: Slot, source: Source) -> None:
        """Raise Taken when other files are served under this name and version."""
        for other in self._slots.values():
            for served in {other.served, other.good} - {None} if other is not slot else ():
                assert served is not None  # noqa: S101 - narrowing for the type checker
                if (served.source.name, served.source.version) == (source.name, source.version):
                    raise Taken(other.place.path, source.name, source.version)


def explained(error: Exception) -> EdgewrightError:
    """``error`` as one that can be told. What nobody thought of goes into the log, with its place."""
    if isinstance(error, EdgewrightError):
        return error
    if isinstance(error, OSError):
        return StorageError(f"cannot prepare it: {error}")
    logs.trouble("a model could not be looked at")
    return EdgewrightError(f"cannot prepare it: {type(error).__name__}: {error}")


def _answers(served: Served) -> Answers:
    stats = served.stats
    failed = stats.faults[Fault.kind] if served.rival is None else served.worse
    return Answers(stats.requests, failed, served.times.usual())


def _alike(one: Served, other: Served) -> bool:
    """Whether either may answer for the other."""
    return one.source.model.signature == other.source.model.signature
