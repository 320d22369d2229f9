"""The shelf: what is served from each place. Every change is made here, in the repository, the index and the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edgewright.core.errors import EdgewrightError
from edgewright.core.priority import modestly
from edgewright.runtime import logs
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Fault
from edgewright.runtime.loading.pause import Pause
from edgewright.runtime.loading.slots import Slot, Taken
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.loading.trial import Answers, judge
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

_DRAIN_S = 60.0


class Shelf:
    """For one thread at a time. A version that was put here is the shelf's, which closes it when nobody asks it any
    more; ``open_ones`` are those that are not closed yet."""

    def __init__(self, repository: Repository, desk: Desk) -> None:
        self.slots: dict[Path, Slot] = {}
        self.open_ones: set[Served] = set()
        self._repository, self._desk = repository, desk

    def named(self, name: str) -> list[Slot]:
        """The slots of that model's versions."""
        return [slot for slot in self.slots.values() if slot.place.name == name]

    def check_free(self, slot: Slot, source: Source) -> None:
        """Raise Taken when other files are served under this name and version."""
        for other in self.slots.values():
            for served in _both(other) if other is not slot else ():
                if (served.source.name, served.source.version) == (source.name, source.version):
                    raise Taken(other.place.path, source.name, source.version)

    def put(self, slot: Slot, served: Served) -> None:
        """Serve it from now on. What it replaces stays open behind it until its trial is over (``weigh``)."""
        before, slot.served = slot.served, served
        slot.accept()
        self._repository.put(served)
        name, version = served.source.name, served.source.version
        self._repository.note(name, version)
        self._repository.note(name, slot.place.version)
        self._repository.note(name, slot.version)
        if before is None:
            slot.good = served
            told = f"{served.source.title} is ready"
            logs.info("model", told, model=name, version=version, digest=served.source.digest)
            return
        self._repository.totals.reloads["applied"] += 1
        told = f"{served.source.title} took the place of {before.source.title}"
        if served.source.title == before.source.title:
            told = f"{served.source.title} was loaded anew: its files were written again, and are the same"
        logs.info("reload", told, model=name, version=version, digest=served.source.digest,
                  before=before.source.version, before_digest=before.source.digest)  # fmt: skip
        if not _alike(served, before):
            other = f"{served.source.title} has other inputs or outputs than {before.source.title} had"
            logs.warning("reload", f"{other}: clients that ask as before may be refused", model=name, version=version)
            self._repository.note(name, version, "READY", other)
        slot.began = time.monotonic()
        served.rival = slot.good if slot.good is not None and _alike(served, slot.good) else None
        if before.source.version != version:
            self._repository.remove(before)
        if before is not slot.good:  # it never finished its own trial: the last good one stays behind it
            self.retire(before)

    def weigh(self, slot: Slot) -> None:
        """End the slot's trial if it is time: one of the two stays."""
        new, old = slot.served, slot.good
        assert new is not None and old is not None  # noqa: S101 - a trial has both
        verdict = judge(_answers(new), _answers(old), new.source.latency_ms, time.monotonic() - slot.began)
        if verdict is None:
            return
        slot.began = 0.0
        if verdict is True:
            slot.good, new.rival = new, None
            self.retire(old)
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
        self.retire(new)  # with its rival, which answers for it until nobody asks it any more
        new.rival = None

    def refuse(self, slot: Slot, error: EdgewrightError) -> None:
        """Go on with what is served, if anything is, and say why the files that lie there are not."""
        version = slot.served.source.version if slot.served else slot.place.version
        state = "READY" if slot.served else "UNAVAILABLE"
        again = slot.wrong
        slot.refuse(error, time.monotonic())
        reason = f"new files were refused: {error}" if slot.served else str(error)
        self._repository.note(slot.place.name, version, state, reason)
        self._repository.totals.reloads["refused"] += slot.served is not None
        if str(again) != str(error):  # once, however often it is tried
            logs.error("model", f"{slot.place.name}: {reason}", model=slot.place.name, reason=reason)

    def empty(self, slot: Slot, reason: str) -> None:
        """Serve nothing from there, because of ``reason`` ("": there is nothing to be said of it any more)."""
        slot.stamp, slot.began = None, 0.0
        for served in _both(slot):
            self._repository.remove(served)
            if served is slot.served:
                slot.version = served.source.version
                self._repository.note(served.source.name, slot.version, "UNAVAILABLE" if reason else "", reason)
            self.retire(served)
        slot.served = slot.good = None
        slot.accept()

    def cool(self, slot: Slot, reason: str, again: bool = True) -> None:
        """Serve nothing from there for want of memory; ``again``: until somebody asks for it."""
        told = f"{reason}; it is loaded again when somebody asks for it" if again else reason
        served = slot.served
        slot.why, slot.version = reason, served.source.version if served else slot.version or slot.place.version
        self.empty(slot, told)
        self._repository.note(slot.place.name, slot.version, "UNAVAILABLE", told)
        slot.cold = True
        logs.info("model", f"{slot.place.name}: {reason}", model=slot.place.name)

    def drop(self, path: Path) -> None:
        """Forget a slot whose files are gone."""
        slot = self.slots.pop(path)
        self.empty(slot, "")
        self._repository.note(slot.place.name, slot.place.version)
        self._repository.note(slot.place.name, slot.version)
        left = f"{slot.place.name}: {slot.place.path.name} is gone, and so is what was served from it"
        logs.info("model", left, model=slot.place.name)

    def wake(self, name: str, load: Callable[[], None]) -> None:
        """``load``, once, for a model that is asked for and was cooled; from any thread."""
        for slot in list(self.slots.values()):
            if slot.cold and slot.place.name == name:
                slot.cold = False  # one order is enough
                self._repository.note(name, slot.version, "LOADING", f"it is being loaded now; before, {slot.why}")
                load()

    def close(self, served: Served) -> None:
        """Close a version of which nothing runs."""
        self.open_ones.discard(served)
        served.close()

    def retire(self, served: Served) -> None:
        """Close a version that nobody finds any more, once nothing of it runs."""
        if not self._desk.retire(served, _DRAIN_S):
            name, version = served.source.name, served.source.version
            logs.error("model", f"{name} {version} did not come to rest", model=name, version=version)
            return
        self.open_ones.discard(served)
        self._repository.settle(served)
        with Pause(self._repository.totals):
            modestly(served.close)  # to give 100 MB back takes 30 ms, 8 of them with the interpreter held


def _both(slot: Slot) -> set[Served]:
    """The versions of a slot that are open."""
    return {served for served in (slot.served, slot.good) if served is not None}


def _answers(served: Served) -> Answers:
    stats = served.stats
    failed = stats.faults[Fault.kind] if served.rival is None else served.worse
    return Answers(stats.requests, failed, served.times.usual())


def _alike(one: Served, other: Served) -> bool:
    """Whether either may answer for the other."""
    return one.source.model.signature == other.source.model.signature
