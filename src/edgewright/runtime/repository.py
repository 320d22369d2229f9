"""Repository: what is served under which name, and why something is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgewright.runtime.faults import NotFound, NotReady
from edgewright.runtime.observations import Observations
from edgewright.runtime.providers import step_down
from edgewright.runtime.served import Served
from edgewright.runtime.stats import Totals
from edgewright.runtime.tallies import Tallies
from edgewright.runtime.versions import ordered


@dataclass(frozen=True)
class Entry:
    """One version in the index. ``state``: READY, LOADING or UNAVAILABLE; ``reason``: why it is not ready, what
    became of files that were to replace it, or which provider runs it where another was asked for; ``digest``: of the
    files that answer, "" where none do."""

    name: str
    version: str
    state: str
    reason: str = ""
    digest: str = ""


class Repository:
    """Versions by model. What a request sees is one reference in a dict: swapped whole, never half."""

    def __init__(self) -> None:
        self.totals, self.observations = Totals(), Observations()
        self._lock = threading.Lock()
        self._latest: dict[str, Served] = {}
        self._versions: dict[tuple[str, str], Served] = {}
        self._notes: dict[tuple[str, str], Entry] = {}
        self.tallies = Tallies(lambda key: key in self._versions or key in self._notes)
        self.wanted: Callable[[str], None] = lambda name: None
        """Called when a model is asked for that does not answer; must not wait."""

    def put(self, served: Served) -> Served | None:
        """Serve this version from now on; the one that had its name and version before, if any."""
        name, version = served.source.name, served.source.version
        with self._lock:
            before = self._versions.get((name, version))
            self._versions = {**self._versions, (name, version): served}
            self.tallies.add(served)
            self.observations.add(served.observed)
            self._choose(name)
        return before

    def remove(self, served: Served) -> None:
        """Let nobody find this version any more."""
        name, version = served.source.name, served.source.version
        with self._lock:
            if self._versions.get((name, version)) is served:
                self._versions = {key: s for key, s in self._versions.items() if s is not served}
                self._choose(name)

    def settle(self, served: Served) -> None:
        """What was put here before is closed: keep what it counted as long as its name and version are in the index."""
        with self._lock:
            self.tallies.settle(served)
            self.observations.settle(served.observed)

    def note(self, name: str, version: str, state: str = "", reason: str = "") -> None:
        """Keep what is to be said of a version that does not answer, or of new files for one; "" forgets it."""
        with self._lock:
            notes = {key: entry for key, entry in self._notes.items() if key != (name, version)}
            if state:
                notes[name, version] = Entry(name, version, state, reason)
            self._notes = notes
            self.tallies.forget()

    def find(self, name: str = "", version: str = "") -> Served:
        """The model of that name: its newest version, or the one asked for. Raises NotFound, NotReady."""
        if not version:
            latest = self._latest
            found = latest.get(name)
            if found is not None:
                return found
            if not name and len(latest) == 1:
                return next(iter(latest.values()))
        found = self._versions.get((name, version))
        if found is not None:
            return found
        self.wanted(name)
        raise self._missing(name, version)

    def find_version(self, name: str, version: str) -> Served | None:
        """This version, None where it does not answer; nobody is refused by that, and nothing is loaded for it."""
        return self._versions.get((name, version))

    def _missing(self, name: str, version: str) -> NotFound | NotReady:
        reasons = [e.reason for e in self._notes.values() if e.name == name and version in ("", e.version)]
        if reasons and (version or name not in self._latest):
            with self._lock:
                self.totals.asleep[name] += 1
            return NotReady(f"model {name!r} is not ready: {reasons[0]}")
        there = ", ".join(sorted(self._latest)) or "none"
        if not name:
            return NotFound(f"name the model; there are: {there}")
        if version and name in self._latest:
            return NotFound(f"model {name!r} has no version {version!r}; it has: {', '.join(self.versions(name))}")
        return NotFound(f"no model is named {name!r}; there are: {there}")

    def versions(self, name: str) -> list[str]:
        """The versions of a model that answer, the newest last."""
        return ordered({v: s.source.written_ns for (known, v), s in self._versions.items() if known == name})

    def ready(self) -> list[Served]:
        """Every version that answers."""
        return [served for _, served in sorted(self._versions.items())]

    def index(self) -> Iterator[Entry]:
        """All that is known, ready or not."""
        notes, versions = dict(self._notes), self._versions
        for name, version in sorted(versions):
            note = notes.pop((name, version), None)
            served = versions[name, version]
            reason = served.reason or (note.reason if note else step_down(served.session))
            state = "UNAVAILABLE" if served.reason else "READY"
            yield Entry(name, version, state, reason, served.source.digest)
        yield from (notes[key] for key in sorted(notes))

    def _choose(self, name: str) -> None:
        versions = self.versions(name)
        latest = {known: served for known, served in self._latest.items() if known != name}
        if versions:
            latest[name] = self._versions[name, versions[-1]]
        self._latest = latest
