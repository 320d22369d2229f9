"""Observed: what one served version did since it was last told, for the fleet's reports: counts, classes and sketches.

A run costs the hot path one copy of its answer (of a classifier's numbers, as bytes) and one entry in a queue; what the
rows say is read by the hundred, where a run fills the queue or somebody takes what there is. Every request and every
class counts; how sure the answers are is read of a block of rows at a random place in each such reading.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from random import randrange
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.answers import NOBODY, Rule
from edgewright.core.sketches import Sketch
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.stats import Stats

if TYPE_CHECKING:
    from edgewright.core.messages import Observation
    from edgewright.core.model import Signature
    from edgewright.datasets.postprocessing import Postprocessing

Arrays = Mapping[str, NDArray[Any]]
_ENTRIES, _ENTRY_BYTES, _BYTES = 1024, 32 * 2**10, 2**19
"""What waits to be read, at most: entries, bytes of one, and of all together."""
_BLOCK, _CELLS = 64, 8192
"""Rows of one reading whose confidence and lead are looked at, and numbers in them; eight rows at least."""
_NOT_OURS = {"bad_request", "cancelled", "not_found", "unsupported"}
"""Kinds of faults that are the client's own: no requests that this version could answer."""
_NO_TIME = {"expired", "infeasible", "overloaded"}
"""Kinds that are no error of the version's either, but requests all the same."""
_MOST_CLASSES = 256
_NAME, _INNER = re.compile(r"[^A-Za-z0-9._+:/-]"), "._+:/-"
"""What a word of the fleet's messages does not hold, and what it does not begin with."""


class Observed:
    """Of the version ``source``, which counts in ``stats``. ``declared``: its postprocessing, if it has one.

    Counters: ``requests`` (all but what clients did wrong or gave up), ``errors`` (of those, failed ones, also where
    the version before answered for it), ``missed`` (deadlines), ``predictions`` and ``unanswered`` (rows with a class,
    and without), and of a shadow ``compared`` and ``disagreed`` (rows). ``classes``: predictions by label, the 256 most
    frequent. Series: ``latency_ms``, of the run that answered each request; ``confidence`` and ``lead`` of each row
    (``core.answers``). What is answered from the cache counts, but for its latency.
    """

    def __init__(self, source: Source, stats: Stats, signature: Signature, declared: Postprocessing | None) -> None:
        self._source, self._stats = source, stats
        self.output, self.rule = classifier(signature, declared)
        self.replaced = 0
        """Runs that failed, and were answered by the version before."""
        self._news: deque[tuple[bytes | None, float, int, Any, Any]] = deque()
        self._most = 16
        self._lock = threading.Lock()
        self._began_s, self._since = time.time(), time.monotonic()
        self._requests, self._told_faults, self._told = 0, Counter[str](), Counter[str]()
        self._compared: Counter[str] = Counter()
        self._empty()

    def _empty(self) -> None:
        self._classes: Counter[int] = Counter()
        self._latency, self._confidence, self._lead = Sketch(), Sketch(), Sketch()
        self._totals = {"latency_ms": 0.0, "confidence": 0.0, "lead": 0.0}
        self._rows: Counter[str] = Counter()

    def ran(self, outputs: Arrays, seconds: float, requests: int = 1) -> None:
        """A run answered so many requests."""
        news, array = self._news, outputs.get(self.output)
        if array is None:
            news.append((None, seconds, requests, None, None))
        elif array.nbytes <= _ENTRY_BYTES:
            news.append((array.tobytes(), seconds, requests, array.dtype, array.shape))
        else:
            self._read(array)
            news.append((None, seconds, requests, None, None))
        if len(news) >= self._most:
            self._fold()

    def again(self, outputs: Arrays | None, requests: int = 1) -> None:
        """An answer was given so many times more without a run; None: one of another version."""
        if outputs is not None:
            for _ in range(requests):
                self.ran(outputs, 0.0, 0)
        if requests:
            self._news.append((None, 0.0, requests, None, None))

    def compare(self, first: Arrays, mine: Arrays) -> None:
        """What another version answered, and this one as its shadow. Answers of other shapes are not compared."""
        a, b = first.get(self.output), mine.get(self.output)
        if a is None or b is None:
            return
        try:
            one, other = self.rule.classes(a), self.rule.classes(b)
        except ValueError:
            return
        if one.shape == other.shape:
            with self._lock:
                self._compared["compared"] += one.size
                self._compared["disagreed"] += int((one != other).sum())

    def take(self) -> Observation | None:
        """All since the last time; None where that is nothing. From any thread."""
        from edgewright.core.messages.observations import LONGEST_S, Observation, Series

        now, wall = time.monotonic(), time.time()
        with self._lock:
            self._fold_all()
            began, self._began_s, since, self._since = self._began_s, wall, self._since, now
            counters = self._counted()
            counters.update(self._rows)
            counters.update(self._compared)
            self._compared.clear()
            classes = {self._named(index): 0 for index, _ in self._classes.most_common(_MOST_CLASSES)}
            for index, n in self._classes.most_common(_MOST_CLASSES):
                classes[self._named(index)] += n
            sketches = {"latency_ms": self._latency, "confidence": self._confidence, "lead": self._lead}
            told = {name: Series(sketch, _sum(sketch, self._totals[name])) for name, sketch in sketches.items()}
            self._empty()
        series = {name: one for name, one in told.items() if one.sketch.count or one.sketch.nans}
        found = {name: n for name, n in counters.items() if n > 0}
        if not found and not series:
            return None
        found.setdefault("requests", 0)
        found.setdefault("errors", 0)
        model, bundle = _word(self._source.name) or "model", self._source.digest if self._source.golden else ""
        return Observation(model, bundle, began, min(now - since, LONGEST_S), found, classes, series)

    def _counted(self) -> Counter[str]:
        """What was counted elsewhere since the last time; what would be negative waits."""
        faults, stats = Counter(dict(self._stats.faults)), self._stats
        ours = {kind: n for kind, n in faults.items() if kind not in _NOT_OURS}
        errors = self.replaced + sum(n for kind, n in ours.items() if kind not in _NO_TIME)
        totals = {
            "requests": self._requests + self.replaced + sum(ours.values()),
            "errors": errors,
            "missed": stats.missed,
        }
        new = Counter({name: max(total - self._told[name], 0) for name, total in totals.items()})
        self._told.update(new)
        return new

    def _fold(self) -> None:
        if self._lock.acquire(blocking=False):  # else somebody is at it
            try:
                self._fold_all()
            finally:
                self._lock.release()

    def _fold_all(self) -> None:
        """With the lock held. What comes meanwhile stays for the next time."""
        news = [self._news.popleft() for _ in range(len(self._news))]
        if not news:
            return
        raws, seconds, requests, dtypes, shapes = zip(*news, strict=True)
        self._requests += sum(requests)
        spent = 1e3 * np.repeat(seconds, np.maximum(requests, 0))
        spent = spent[spent > 0]
        self._latency.add(spent)
        self._totals["latency_ms"] += float(spent.sum())
        self._most = min(max(_BYTES // max([len(raw) for raw in raws if raw] or [1]), 16), _ENTRIES)
        if shapes[0] and dtypes.count(dtypes[0]) == shapes.count(shapes[0]) == len(news):  # the usual case
            self._count(np.frombuffer(b"".join(raws), dtypes[0]).reshape(-1, *shapes[0][1:]))
            return
        kinds: dict[Any, list[bytes]] = {}
        for raw, _, _, dtype, shape in news:
            if raw:
                kinds.setdefault((dtype, shape[1:]), []).append(raw)
        for (dtype, shape), parts in kinds.items():
            self._count(np.frombuffer(b"".join(parts), dtype).reshape(-1, *shape))

    def _read(self, array: NDArray[Any]) -> None:
        with self._lock:
            self._count(array)

    def _count(self, rows: NDArray[Any]) -> None:
        block = rows
        most = min(max(_CELLS * len(rows) // max(rows.size, 1), 8), _BLOCK)
        if len(rows) > most:
            at = randrange(len(rows) - most + 1)  # noqa: S311 - nobody's secret
            block = rows[at : at + most]
        try:
            classes, found = self.rule.classes(rows), self.rule.read(block)
        except ValueError:
            return
        indices, counts = np.unique(classes, return_counts=True)
        told = dict(zip(indices.tolist(), counts.tolist(), strict=True))
        self._rows["unanswered"] += (nobody := told.pop(NOBODY, 0))
        self._rows["predictions"] += len(classes) - nobody
        self._classes.update(told)
        for name, sketch, values in (
            ("confidence", self._confidence, found.confidence),
            ("lead", self._lead, found.lead),
        ):
            sketch.add(values)
            self._totals[name] += float(values[np.isfinite(values)].sum())

    def _named(self, index: int) -> str:
        labels = self._source.labels
        label = labels[index] if 0 <= index < len(labels) else ""
        word = _word(label)
        return word if word and labels.count(label) == 1 and _plain(label, word) else str(index)


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
    return _NAME.sub("_", text.strip()).lstrip(_INNER)[:64]


def _plain(label: str, word: str) -> bool:
    """Whether the label is told by the word alone."""
    return word == label or _NAME.sub("_", label.strip()) == word
