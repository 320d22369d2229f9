"""Observations: what all versions did, handed over in batches of which none is lost and none comes twice.

A batch is given again until the next request says that it was taken (stored): an answer that got lost on its way, or a
reader that was killed before it had written it down, costs nothing. What was counted meanwhile is for the next batch.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgewright.runtime.observed import Observed

if TYPE_CHECKING:
    from edgewright.core.messages import Observation

_MOST_PAST = 64
"""Models and bundles that are served no more, and wait to be told."""


class Observations:
    """From any thread. What a version counted is kept when it is closed, until it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: tuple[Observed, ...] = ()
        self._past: dict[tuple[str, str], Observation] = {}
        self._name, self._number = uuid.uuid4().hex[:16], 0
        self._batch: tuple[str, list[dict[str, Any]]] | None = None

    def add(self, observed: Observed) -> None:
        """Tell of this one from now on."""
        with self._lock:
            if observed not in self._open:
                self._open = (*self._open, observed)

    def settle(self, observed: Observed) -> None:
        """It counts no more."""
        with self._lock:
            if observed in self._open:
                self._open = tuple(one for one in self._open if one is not observed)
                self._keep([observed])
                while len(self._past) > _MOST_PAST:
                    del self._past[next(iter(self._past))]

    def judged(self, about: tuple[str, str], labelled: int, wrong: int) -> None:
        """The right classes of so many answers of this model and bundle (``Observed.about``) are known by now."""
        from edgewright.core.messages import Observation

        told = Observation(*about, time.time(), 0.0, {"labelled": labelled, "wrong": wrong})
        with self._lock:
            self._put(told)

    def batch(self, taken: str = "") -> tuple[str, list[dict[str, Any]]]:
        """The name of a batch and its observations as JSON values: the one before, unless that is ``taken``."""
        with self._lock:
            if self._batch is None or self._batch[0] == taken:
                self._keep(self._open)
                told = [one.to_json() for one in self._past.values()]
                self._past, self._number = {}, self._number + 1
                self._batch = f"{self._name}-{self._number}", told
            return self._batch

    def _keep(self, several: tuple[Observed, ...] | list[Observed]) -> None:
        """Take what they have. Versions of the same bundle are one, over the same time."""
        for observed in several:
            if (new := observed.take()) is not None:
                self._put(new)

    def _put(self, new: Observation) -> None:
        from edgewright.core.messages.observations import merge

        before = self._past.get((new.model, new.bundle))
        if before is not None:
            both = merge([before, new])
            # Clocks are set: the time that both took lies between the longer one's and their sum.
            end = max(one.began_s + one.seconds for one in (before, new))
            longer = max(before.seconds, new.seconds)
            new = replace(both, seconds=min(max(end - both.began_s, longer), both.seconds))
        self._past[new.model, new.bundle] = new
