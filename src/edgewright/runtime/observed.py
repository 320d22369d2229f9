"""Observed: what one served version did since it was last told, for the fleet's reports: counts, classes, sketches."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.answers import Rule
from edgewright.core.sketches import Sketch
from edgewright.runtime.answered import Answered
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.stats import Stats

if TYPE_CHECKING:
    from edgewright.core.messages import Observation
    from edgewright.core.model import Signature
    from edgewright.datasets.postprocessing import Postprocessing

Arrays = Mapping[str, NDArray[Any]]
_NOT_OURS = {"bad_request", "cancelled", "not_found", "unsupported"}
"""Kinds of faults that are the client's own: no requests that this version could answer."""
_NO_TIME = {"expired", "infeasible", "overloaded"}
"""Kinds that are no error of the version's either, but requests all the same."""
_ENTRIES, _ENTRY_BYTES, _BYTES = 1024, 16 * 2**10, 256 * 2**10
"""What waits to be read, at most: runs, bytes of the answer of one, and of all."""
_MOST_CLASSES = 256
SHADOW = "+shadow"  # as core.messages.observations has it, which is imported when it is needed
_NAME, _INNER = re.compile(r"[^A-Za-z0-9._+:/-]"), "._+:/-"
"""What a word of the fleet's messages does not hold, and what it does not begin with."""


class Observed:
    """Of the version ``source``, which counts in ``stats``. ``declared``: its postprocessing, if it has one.

    Counters: ``requests`` (all but what clients did wrong or gave up), ``errors`` (of those, failed ones, also where
    the version before answered for it), ``missed`` (deadlines), ``predictions`` and ``unanswered`` (rows with a class,
    and without), and of a shadow ``compared`` and ``disagreed`` (rows). ``classes``: predictions by label, the 256 most
    frequent. Series: as ``Answered`` has them. What is answered from the cache counts, but for its latency.
    """

    def __init__(self, source: Source, stats: Stats, signature: Signature, declared: Postprocessing | None) -> None:
        self._source, self._stats = source, stats
        self.output, self.rule = classifier(signature, declared)
        self.replaced = 0
        """Runs that failed, and were answered by the version before."""
        self._lock = threading.Lock()
        self._now, self._began_s, self._since = Answered(self.rule), time.time(), time.monotonic()
        self._news: deque[tuple[float, bytes]] = deque()
        self._dtype, self._shape, self._most = np.dtype(np.float32), (-1,), _ENTRIES
        """Of what waits in ``_news``. One run goes on at a time, and only runs change it."""
        self._requests, self._told = 0, Counter[str]()
        self._compared: Counter[str] = Counter()
        self._word = _word(source.name) or "model"
        self.shadow = False
        """Whether it runs beside who answers: told under a name of its own (``core.messages.observations.SHADOW``)."""

    def ran(self, outputs: Arrays, seconds: float, requests: int = 1) -> None:
        """A run answered so many requests. Of one such goes on at a time, as the scheduler sees to it."""
        scores = outputs.get(self.output)
        if requests == 1 and (scores is None or scores.shape == self._shape):  # the usual case: half a microsecond
            self._news.append((seconds, b"" if scores is None else scores.tobytes()))
            if len(self._news) >= self._most and self._lock.acquire(blocking=False):  # else somebody is at it
                try:
                    self._now.read_all(*self._waiting())
                finally:
                    self._lock.release()
            return
        with self._lock:
            self._now.read_all(*self._waiting())
            self._now.ran(scores, seconds, requests)
        if requests == 1 and scores is not None and scores.dtype.kind in "fiu" and 0 < scores.nbytes <= _ENTRY_BYTES:
            self._dtype, self._shape = scores.dtype, scores.shape
            self._most = min(_BYTES // scores.nbytes, _ENTRIES)

    def _waiting(self) -> tuple[list[tuple[float, bytes]], Any, tuple[int, ...]]:
        """What waits, taken out; what comes meanwhile stays. With the lock held."""
        return [self._news.popleft() for _ in range(len(self._news))], self._dtype, self._shape[1:]

    def again(self, outputs: Arrays | None, requests: int = 1) -> None:
        """An answer was given so many times more without a run; None: one of another version."""
        scores = None if outputs is None else outputs.get(self.output)
        with self._lock:
            self._now.requests += requests
            for _ in range(requests if scores is not None else 0):
                self._now.gave(scores)  # type: ignore[arg-type]

    def compare(self, first: Arrays, mine: Arrays) -> tuple[int, int]:
        """What another version answered, and this one as its shadow: rows that were compared, and those that disagreed.
        Answers of other shapes are not compared."""
        one, other = self.classes(first), self.classes(mine)
        if one is None or other is None or one.shape != other.shape:
            return 0, 0
        disagreed = int((one != other).sum())
        with self._lock:
            self._compared["compared"] += one.size
            self._compared["disagreed"] += disagreed
        return one.size, disagreed

    def classes(self, outputs: Arrays) -> NDArray[np.int64] | None:
        """The class of each row (n,), NOBODY where none is answered; None for no classification."""
        scores = outputs.get(self.output)
        try:
            return None if scores is None else self.rule.classes(scores)
        except ValueError:
            return None

    @property
    def about(self) -> tuple[str, str]:
        """Model and bundle, as they are told."""
        name = f"{self._word[: 64 - len(SHADOW)]}{SHADOW}" if self.shadow else self._word
        return name, self._source.digest if self._source.golden else ""

    def take(self) -> Observation | None:
        """All since the last time; None where that is nothing. From any thread."""
        from edgewright.core.messages.observations import LONGEST_S, Observation, Series

        now, wall, fresh = time.monotonic(), time.time(), Answered(self.rule)
        with self._lock:  # runs wait for it: no more than needs be
            done, self._now, news = self._now, fresh, self._waiting()
            compared, self._compared = self._compared, Counter()
            began_s, self._began_s, since, self._since = self._began_s, wall, self._since, now
            self._requests += done.requests + len(news[0])
            counters = self._counted()
        done.read_all(*news)
        done.read()
        counters.update(done.rows)
        counters.update(compared)
        found = {name: n for name, n in counters.items() if n > 0}
        told = {name: Series(sketch, _sum(sketch, done.totals[name])) for name, sketch in done.sketches.items()}
        series = {name: one for name, one in told.items() if one.sketch.count or one.sketch.nans}
        if not found and not series:
            return None
        classes = Counter[str]()
        for index, n in done.classes.most_common(_MOST_CLASSES):
            classes[self._named(index)] += n
        found = {"requests": 0, "errors": 0, **found}
        return Observation(*self.about, began_s, min(now - since, LONGEST_S), found, dict(classes), series)

    def _counted(self) -> Counter[str]:
        """What was counted since the last time here and in the statistics; what would be negative waits."""
        ours = {kind: n for kind, n in dict(self._stats.faults).items() if kind not in _NOT_OURS}
        totals = {
            "requests": self._requests + self.replaced + sum(ours.values()),
            "errors": self.replaced + sum(n for kind, n in ours.items() if kind not in _NO_TIME),
            "missed": self._stats.missed,
        }
        new = Counter({name: max(total - self._told[name], 0) for name, total in totals.items()})
        self._told.update(new)
        return new

    def _named(self, index: int) -> str:
        """The class's label where that can be told as a word, else its index."""
        labels = self._source.labels
        label = labels[index] if 0 <= index < len(labels) else ""
        word = _word(label)
        whole = len(word) == len(label) and labels.count(label) == 1
        return word if word and whole else str(index)


def classifier(signature: Signature, declared: Postprocessing | None) -> tuple[str, Rule]:
    """The output that holds a classification, and how it is read: as declared, else the only one, if it is of floats
    (n, two or more); "" for none."""
    if declared is not None:
        return declared.output, Rule(declared.form == "single", declared.shares, declared.threshold, declared.pair)
    outputs = signature.outputs
    if len(outputs) == 1 and outputs[0].dtype.startswith("float") and len(outputs[0].shape) == 2:
        classes = outputs[0].shape[1]
        if not isinstance(classes, int) or classes >= 2:
            return outputs[0].name, Rule()
    return "", Rule()


def _sum(sketch: Sketch, total: float) -> float:
    """The sum, as near to it as the lowest and the highest value let it be: it was rounded on its way."""
    n = sketch.count
    return min(max(total, n * sketch.low), n * sketch.high) if n else 0.0


def _word(text: str) -> str:
    """``text`` as a word of the fleet's messages; "" where nothing is left of it."""
    return _NAME.sub("_", text).lstrip(_INNER)[:64]
