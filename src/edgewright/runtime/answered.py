"""Answered: what runs took and answered over a while, in bounded memory.

A run adds its time, and a copy of its classifier's numbers, to two buffers; what they say is read by the hundred, when
a buffer is full or somebody asks. Every request and every class counts; how sure the answers are is read of a block of
rows at a random place in each such reading.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from random import randrange
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.answers import NOBODY, Rule
from edgewright.core.sketches import Sketch

_TIMES, _BYTES = 1024, 256 * 2**10
"""What waits to be read, at most."""
_BLOCK, _CELLS = 64, 8192
"""Rows of one reading whose confidence and lead are looked at, and numbers in them; eight rows at least."""


class Answered:
    """For one thread at a time. ``requests``: how many; ``rows``: ``predictions`` and ``unanswered``; ``classes`` by
    index; ``sketches`` and ``totals`` of what their values add up to: ``latency_ms`` (of the run that answered each
    request), ``confidence`` and ``lead``."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._times, self._raw = array("d"), bytearray()
        self._dtype: Any = None
        self._shape: tuple[int, ...] = ()
        self.requests = 0
        self.rows: Counter[str] = Counter()
        self.classes: Counter[int] = Counter()
        self.sketches = {name: Sketch() for name in ("latency_ms", "confidence", "lead")}
        self.totals = dict.fromkeys(self.sketches, 0.0)

    def ran(self, scores: NDArray[Any] | None, seconds: float, requests: int) -> None:
        """A run answered so many requests; ``scores``: the classifier's output, None for none."""
        self.requests += requests
        if requests == 1:
            self._times.append(seconds)
        else:
            self._times.extend([seconds] * requests)
        if scores is not None:
            self.gave(scores)
        if len(self._times) >= _TIMES:
            self.read()

    def gave(self, scores: NDArray[Any]) -> None:
        """An answer was given, whoever it was made for."""
        if scores.dtype is not self._dtype or scores.shape != self._shape:
            if scores.dtype.kind not in "fiu":
                return  # declared as scores, and text
            if scores.dtype != self._dtype or scores.shape[1:] != self._shape[1:]:
                self.read()
            self._dtype, self._shape = scores.dtype, scores.shape
        self._raw += scores.tobytes()
        if len(self._raw) >= _BYTES:
            self.read()

    def read_all(self, runs: Sequence[tuple[float, bytes]], dtype: Any, shape: tuple[int, ...]) -> None:
        """Read what runs, each of one request, took in s, and answered: rows of this kind, or b"" for none."""
        if runs:
            self.requests += len(runs)
            seconds, raws = zip(*runs, strict=True)
            self._took(np.array(seconds))
            raw = b"".join(raws)
            if raw:
                self._count(np.frombuffer(raw, dtype).reshape(-1, *shape))

    def read(self) -> None:
        """Read what waits."""
        if self._times:
            self._took(np.array(self._times))
            self._times = array("d")
        if self._raw:
            raw, self._raw = self._raw, bytearray()
            self._count(np.frombuffer(raw, self._dtype).reshape(-1, *self._shape[1:]))

    def _took(self, seconds: NDArray[np.float64]) -> None:
        self._add("latency_ms", 1e3 * seconds[seconds > 0])

    def _count(self, rows: NDArray[Any]) -> None:
        most = min(max(_CELLS * len(rows) // max(rows.size, 1), 8), _BLOCK)
        at = randrange(max(len(rows) - most, 0) + 1)  # noqa: S311 - nobody's secret
        try:
            classes, found = self._rule.classes(rows), self._rule.read(rows[at : at + most])
        except ValueError:
            return
        indices, counts = np.unique(classes, return_counts=True)
        told = dict(zip(indices.tolist(), counts.tolist(), strict=True))
        self.rows["unanswered"] += (nobody := told.pop(NOBODY, 0))
        self.rows["predictions"] += len(classes) - nobody
        self.classes.update(told)
        self._add("confidence", found.confidence)
        self._add("lead", found.lead)

    def _add(self, name: str, values: NDArray[np.float64]) -> None:
        self.sketches[name].add(values)
        self.totals[name] += float(values[np.isfinite(values)].sum())
