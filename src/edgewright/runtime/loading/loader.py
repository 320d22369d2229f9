"""The loader: one thread that brings files and requests together, whoever asked for it."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.session import EngineOptions
from edgewright.runtime import logs
from edgewright.runtime.config import Config
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Fault, NotFound
from edgewright.runtime.isolation import Isolation
from edgewright.runtime.loading.budget import MemoryBudget, NoRoom
from edgewright.runtime.loading.pause import Pause
from edgewright.runtime.loading.places import BUNDLE, Place, find_places, is_model
from edgewright.runtime.loading.preparing import check_golden, discard, prepare, requests
from edgewright.runtime.loading.slots import Slot
from edgewright.runtime.loading.sources import Source, open_model, read_source, scattered
from edgewright.runtime.loading.trial import Answers, judge
from edgewright.runtime.memory import anonymous_bytes, held_bytes
from edgewright.runtime.providers import step_down
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served
from edgewright.trust import PublicKey

_TICK_S, _DRAIN_S = 0.1, 60.0
Done = Callable[[EdgewrightError | None], None]
"""Called once, on the loader's thread, with what went wrong or None."""


@dataclass(frozen=True)
class Settings:
    """How models are found, opened and served. ``watch_s``: how often the files are looked at; 0 never."""

    path: Path
    trusted: Sequence[PublicKey] | None = None
    config: Config = field(default_factory=Config)
    watch_s: float = 1.0


class Loader:
    """Loads what lies at ``settings.path`` at once (``start``), and again when it changes, when it is told to
    (``load``, ``unload``, ``rescan``), or when a new version does badly."""

    def __init__(self, repository: Repository, desk: Desk, settings: Settings) -> None:
        self._repository, self._desk, self._settings = repository, desk, settings
        self._slots: dict[Path, Slot] = {}
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._folder = tempfile.TemporaryDirectory(prefix="edgewright-serve-")
        self._thread = threading.Thread(target=self._work, name="edgewright-loader", daemon=True)
        self._budget = MemoryBudget(settings.config.server.memory_mb)
        self.reloads = 0
        """Versions that took another one's place."""
        repository.wanted = self._wanted

    def start(self) -> None:
        """Load everything, then go on watching. Raises InputError when there is nothing; for a single bundle or model
        also what keeps it from loading."""
        path = self._settings.path
        places = find_places(path)
        if not places:
            raise InputError(f"{path} holds no bundle and no model; put NAME.onnx files or bundles there")
        for place in places:
            slot = self._slots[place.path] = Slot(place, place.stamp)
            try:
                slot.served = slot.good = self._opened(slot, self._first(place), keep=True)
            except NoRoom as error:
                self._cool(slot, str(error))
            except EdgewrightError as error:
                if is_model(path):
                    raise
                self._refuse(slot, error)
            else:
                self._repository.put(slot.served)
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
        """Stop looking, and close every model. Nothing may run any more."""
        if self._thread.is_alive():
            self._orders.put(None)
            self._thread.join()
        for slot in self._slots.values():
            for served in {slot.served, slot.good} - {None}:
                served.close()  # type: ignore[union-attr]
        self._folder.cleanup()

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
                    self._try(slot)
            self._budget.look(self._slots.values())

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (EdgewrightError, OSError) as error:
            logs.error("models", f"they cannot be looked at: {error}")

    def _told(self, name: str, work: Callable[[str], None], done: Done) -> None:
        try:
            work(name)
        except EdgewrightError as error:
            done(error)
        except OSError as error:
            done(EdgewrightError(f"model {name!r} cannot be looked at: {error}"))
        else:
            done(None)

    def _load_all(self, name: str) -> None:
        self._find_new()
        slots = [slot for slot in self._slots.values() if slot.place.name == name]
        if not slots:
            raise NotFound(f"there is no model {name!r} at {self._settings.path}")
        for slot in slots:
            slot.held = slot.cold = False
            error = self._refresh(slot)
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

    def _refresh(self, slot: Slot) -> EdgewrightError | None:
        """Load the slot's files when they changed; what was wrong with them, if anything."""
        stamp = slot.place.stamp
        if stamp == slot.stamp or not stamp:
            return slot.wrong
        slot.stamp, slot.wrong = stamp, None
        folder = Path(tempfile.mkdtemp(dir=self._folder.name))
        try:
            served = self._opened(slot, self._prepared(slot.place, folder), folder)
        except (EdgewrightError, OSError) as error:
            discard(folder)
            if isinstance(error, NoRoom) and slot.served is None:
                self._cool(slot, str(error))
                return error
            wrong = error if isinstance(error, EdgewrightError) else EdgewrightError(f"cannot prepare it: {error}")
            self._refuse(slot, wrong)
            return wrong
        self._swap(slot, served)
        return None

    def _swap(self, slot: Slot, served: Served) -> None:
        before, slot.served = slot.served, served
        self._repository.put(served)
        name, version = served.source.name, served.source.version
        self._repository.note(name, version)
        self._repository.note(name, slot.place.version)
        if before is None:
            slot.good = served
            logs.info("model", f"{name} {version} is ready", model=name, version=version)
            return
        self.reloads += 1
        self._repository.totals.reloads["applied"] += 1
        told = f"{name} {version} took the place of {before.source.version}"
        logs.info("reload", told, model=name, version=version, before=before.source.version)
        slot.began = time.monotonic()
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
        slot.began = 0.0
        if verdict is True:
            slot.good = new
            self._retire(old)
            return
        slot.served = old
        self._repository.put(old)
        if old.source.version != new.source.version:
            self._repository.remove(new)
        reason = f"version {new.source.version} was taken back: {verdict}; {old.source.version} answers again"
        self._repository.note(old.source.name, old.source.version, "READY", reason)
        self._repository.totals.reloads["taken_back"] += 1
        logs.error("reload", f"{old.source.name}: {reason}", model=old.source.name, version=old.source.version)
        self._retire(new)

    def _empty(self, slot: Slot, reason: str) -> None:
        slot.stamp, slot.wrong, slot.began = None, None, 0.0
        for served in {slot.served, slot.good} - {None}:
            assert served is not None  # noqa: S101 - narrowing for the type checker
            self._repository.remove(served)
            self._repository.note(served.source.name, served.source.version, "UNAVAILABLE" if reason else "", reason)
            self._retire(served)
        slot.served = slot.good = None

    def _refuse(self, slot: Slot, error: EdgewrightError) -> None:
        slot.wrong = error
        version = slot.served.source.version if slot.served else slot.place.version
        state = "READY" if slot.served else "UNAVAILABLE"
        reason = f"new files were refused: {error}" if slot.served else str(error)
        self._repository.note(slot.place.name, version, state, reason)
        self._repository.totals.reloads["refused"] += slot.served is not None
        logs.error("model", f"{slot.place.name}: {reason}", model=slot.place.name, reason=reason)

    def _retire(self, served: Served) -> None:
        if not self._desk.retire(served, _DRAIN_S):
            name, version = served.source.name, served.source.version
            logs.error("model", f"{name} {version} did not come to rest", model=name, version=version)
            return
        served.close()

    def _first(self, place: Place) -> Source:
        """At the start nobody waits: no child is needed, unless the weights lie in files that may change under us."""
        if scattered(place.path):
            return self._prepared(place, Path(tempfile.mkdtemp(dir=self._folder.name)))
        return read_source(place, self._settings.trusted, *self._asked(place))

    def _asked(self, place: Place) -> tuple[str, EngineOptions | None]:
        """The engine and its options that were configured; a bundle is opened as it was measured."""
        if place.path.is_dir() or place.path.suffix == BUNDLE:
            return "", None
        table = self._settings.config.model(place.name)
        return table.engine, table.options

    def _prepared(self, place: Place, folder: Path) -> Source:
        return prepare(
            place, folder, None if self._settings.trusted is None else [*self._settings.trusted], *self._asked(place)
        )

    def _opened(self, slot: Slot, source: Source, folder: Path | None = None, keep: bool = False) -> Served:
        """``_open`` within the budget: others are unloaded for it, unless ``keep``. Raises NoRoom."""
        for one in self._budget.room(slot, source.model, self._slots.values(), keep):
            self._cool(one, "it was unloaded to make room for others within memory_mb")
        before = anonymous_bytes()
        if slot.served is None:
            served = self._open(source, folder)
        else:
            with Pause() as pause:
                served = self._open(source, folder)
            totals = self._repository.totals
            totals.longest_pause_s = max(totals.longest_pause_s, pause.longest_s)
        grown = max(anonymous_bytes() - before, 0)
        slot.size_bytes = held_bytes(source.model, grown, getattr(served.session, "pid", None))
        return served

    def _cool(self, slot: Slot, reason: str) -> None:
        told = f"{reason}; it is loaded again when somebody asks for it"
        if slot.served is None:
            self._repository.note(slot.place.name, slot.place.version, "UNAVAILABLE", told)
        self._empty(slot, told)
        slot.cold = True
        logs.info("model", f"{slot.place.name}: {reason}", model=slot.place.name)

    def _wanted(self, name: str) -> None:
        for slot in list(self._slots.values()):
            if slot.cold and slot.place.name == name:
                slot.cold = False  # one order is enough
                self.load(name, lambda error: None)

    def _open(self, source: Source, folder: Path | None = None) -> Served:
        table = self._settings.config.model(source.name)
        source, session = open_model(source, Isolation() if table.isolated else None)
        if step_down(session):
            logs.warning("provider", f"{source.name}: {step_down(session)}", model=source.name)
        try:
            check_golden(source, session)
            served = Served(source, session, table, folder)
            if served.pipeline is not None and self._desk.cache is not None:
                served.pipeline.remember(self._desk.cache, served)
            return _warm(served)
        except BaseException:
            session.close()
            raise


def _warm(served: Served) -> Served:
    calls = requests(served.source)
    if calls:
        served.warm(calls)
    return served


def _answers(served: Served) -> Answers:
    stats = served.stats
    return Answers(stats.requests, stats.faults[Fault.kind], served.times.usual())
