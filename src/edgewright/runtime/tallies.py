"""Tallies: what a name and version counted, whatever was loaded under it: counters do not fall while a server runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edgewright.runtime.served import Served
from edgewright.runtime.stats import Stats

Key = tuple[str, str]
"""A model's name and version."""


@dataclass(eq=False)
class _Tally:
    """``open``: those that may still count; ``past``: all others as one, never changed but replaced."""

    open: tuple[Served, ...] = ()
    past: Stats = field(default_factory=Stats)


class Tallies:
    """For one thread at a time (the repository's lock), but for ``parts`` and ``stats``. Kept are those that are
    ``known`` or still open: no more than models are there, however many come and go."""

    def __init__(self, known: Callable[[Key], bool]) -> None:
        self._known, self._tallies = known, dict[Key, _Tally]()

    def add(self, served: Served) -> None:
        """Count in what this one does, from its first request on."""
        key = served.source.name, served.source.version
        before = self._tallies.get(key, _Tally())
        if served not in before.open:
            self._tallies = {**self._tallies, key: _Tally((*before.open, served), before.past)}

    def settle(self, served: Served) -> None:
        """It counts no more: nobody asks it. Keep its counts, not itself."""
        key = served.source.name, served.source.version
        before = self._tallies.get(key)
        if before is not None and served in before.open:
            left = tuple(one for one in before.open if one is not served)
            self._tallies = {**self._tallies, key: _Tally(left, _merged([before.past, served.stats]))}
        self.forget()

    def forget(self) -> None:
        """Drop what is not known any more."""
        self._tallies = {key: one for key, one in self._tallies.items() if one.open or self._known(key)}

    def parts(self) -> dict[Key, list[Stats]]:
        """The statistics of each name and version, in parts; not to be changed."""
        return {key: [one.past, *(served.stats for served in one.open)] for key, one in sorted(self._tallies.items())}

    def stats(self) -> dict[Key, Stats]:
        """The statistics of each name and version as one; not to be changed."""
        found = {key: [part for part in parts if part.used] or parts[-1:] for key, parts in self.parts().items()}
        return {key: parts[0] if len(parts) == 1 else _merged(parts) for key, parts in found.items()}


def _merged(parts: list[Stats]) -> Stats:
    made = Stats()
    for part in parts:
        made.merge(part)
    return made
