"""Shadows: a version that is asked what another one answered, when nobody else wants the machine. Nobody gets its
answers; how far they lie from those that were given is recorded.

Requests are copied into a short queue, and shed when it is full. A shadow's run takes an executor like any other, so
that the scheduler knows of it, but only when one is free and nobody waits, when it fits the slack (``slack``), and at a
bounded share of time. It does not run at a lower priority of the operating system's: a thread that seldom gets its turn
would hold the interpreter's lock while it waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError
from edgewright.runtime import logs
from edgewright.runtime.experiments.comparison import Comparison
from edgewright.runtime.experiments.records import Asked, Beside, Shadow, Totals
from edgewright.runtime.experiments.slack import Slack
from edgewright.runtime.faults import Fault
from edgewright.runtime.scheduling.batches import rows
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.runtime.served import Served

Arrays = Mapping[str, NDArray[Any]]
_WAITING, _WAITING_BYTES = 32, 16 * 2**20
_LOOK_S = 0.01
"""How often it is looked whether there is room."""
_SPREADS = 3.0
FULL, MISSING, FAILED = "full", "missing", "failed"
"""Why a copy is shed: there is no room in the queue, the version to be asked is not there, or something went wrong."""
_PAIRS = 4
"""Pairs of versions whose comparisons are kept, the latest ones."""


class Shadows:
    """The queue, and what came of it. ``step`` does the work; whoever calls it decides on which thread."""

    def __init__(
        self, find: Callable[[str, str], Served | None], scheduler: Scheduler, shadows: Sequence[Shadow],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:  # fmt: skip
        self._find, self._scheduler, self._clock = find, scheduler, clock
        self._shadows = {shadow.model: shadow for shadow in shadows}
        if len(self._shadows) != len(shadows):
            raise InputError("a model has two shadows; keep one")
        self._beside: dict[str, Beside] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called when there is a shadow more, or less."""
        self.slack = Slack()
        self._lock = threading.Lock()
        self._queue: deque[Asked] = deque()
        self._bytes, self._next = 0, 0.0
        self._shed: Counter[tuple[str, str]] = Counter()
        self._found: OrderedDict[tuple[str, int, int], tuple[dict[str, str], Comparison]] = OrderedDict()
        self._past = {model: Comparison() for model in self._shadows}
        """Of pairs that are kept no longer, all outputs as one."""

    def offer(self, served: Served, inputs: Arrays, outputs: Arrays) -> bool:
        """Queue a copy of a request and its answer. False: it has no shadow, or there is no room, and it is shed."""
        shadow = self._shadows.get(served.source.name)
        if shadow is None:
            return False
        beside = self._beside.get(shadow.model)
        if beside is None:
            if shadow.version == served.source.version:
                return False
        elif beside.served.source.digest == served.source.digest:
            return False  # it was put before the requests meanwhile
        else:
            beside.asked += 1
            beside.answering = served.source.digest, served.times.usual_s
        size = sum(_bytes(array) for array in (*inputs.values(), *outputs.values()))
        # Not the version itself: it may be replaced while this waits, and nobody should hold it then.
        names = {"answered_by": served.source.version, "answered_by_digest": served.source.digest}
        copies = None if self._full(size) else (_copies(inputs), _copies(outputs))
        with self._lock:
            if copies is None or self._full(size):
                self._shed[shadow.model, FULL] += 1
                return False
            self._bytes += size
            self._queue.append(Asked(shadow, served.number, names, *copies, size))
        return True

    def _full(self, size: int) -> bool:
        return len(self._queue) >= _WAITING or self._bytes + size > _WAITING_BYTES

    def step(self) -> float:
        """Run one if there is room for it now: how long to wait before the next look, in s; infinity: for an offer."""
        if not self._queue:
            return NEVER
        asked = self._queue[0]
        try:
            return self._step(asked)
        except Exception:  # noqa: BLE001 - the others are compared, and those of tomorrow
            logs.trouble(f"the shadow of {asked.shadow.model} could not be compared")
            if self._queue and self._queue[0] is asked:
                self._drop(shed=FAILED)
            return 0.0

    def _step(self, asked: Asked) -> float:
        if self._shadows.get(asked.shadow.model) is not asked.shadow:
            self._drop()  # it was ended meanwhile
            return 0.0
        now = self._clock()
        if now < self._next:
            return self._next - now
        beside = self._beside.get(asked.shadow.model)
        shadow = beside.served if beside else self._find(asked.shadow.model, asked.shadow.version)
        if shadow is None:
            self._drop(shed=MISSING)
            return 0.0
        count = rows(asked.inputs) if shadow.most_rows > 1 else 1
        images_s = 0.0 if shadow.pipeline is None else shadow.pipeline.expected_s(asked.inputs)
        expected = shadow.times.mean(count) + _SPREADS * shadow.times.spread(count) + images_s
        if not self._scheduler.idle() or not self.slack.fits(expected, now):
            self._queue.rotate(-1)  # another model's may be shorter
            return _LOOK_S
        if not self._scheduler.enter(shadow, images_s):
            return _LOOK_S
        self._drop()
        begin, outputs = self._clock(), None
        try:
            outputs, images_s = shadow.ask(asked.inputs)
        except (EngineError, InputError):
            pass
        finally:
            took = self._clock() - begin
            if outputs is not None:
                shadow.times.add(count, took - images_s)
            self._scheduler.leave(shadow)
        threads = max(shadow.source.options.threads, 1)
        self._next = begin + max(took * threads / asked.shadow.share, took)
        comparison = self._comparison(asked, shadow)
        if outputs is None:
            comparison.failed += 1
        else:
            comparison.add(asked.outputs, outputs, took)
            rows_compared, disagreed = shadow.observed.compare(asked.outputs, outputs)
        if beside is not None:
            if outputs is None:
                shadow.stats.faults[Fault.kind] += 1
            else:
                shadow.observed.ran(outputs, took)
                beside.rows, beside.disagreed = beside.rows + rows_compared, beside.disagreed + disagreed
        return 0.0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._shadows)

    def begin(self, shadow: Shadow, served: Served) -> None:
        """``served``, which nobody else asks, is the model's shadow from now on. Raises InputError where it has one."""
        with self._lock:
            if shadow.model in self._shadows:
                raise InputError(f"model {shadow.model!r} has a shadow already; end that one")
            self._found = OrderedDict((key, found) for key, found in self._found.items() if key[0] != shadow.model)
            self._past[shadow.model] = Comparison()
            self._beside = {**self._beside, shadow.model: Beside(shadow, served, self._clock())}
            self._shadows = {**self._shadows, shadow.model: shadow}
        self.changed()

    def end(self, model: str) -> Served | None:
        """No more: the version that ``begin`` was given, None where there is none. A run of it may still go on."""
        with self._lock:
            beside = self._beside.get(model)
            if beside is None:
                return None
            self._shadows = {name: shadow for name, shadow in self._shadows.items() if name != model}
            self._beside = {name: one for name, one in self._beside.items() if name != model}
            for why in (FULL, MISSING, FAILED):
                del self._shed[model, why]
        self.changed()
        return beside.served

    def beside(self) -> list[dict[str, Any]]:
        """What came of those that ``begin`` was given so far, as a JSON value; times in s and ms. ``run_ms`` and
        ``answer_run_ms``: the usual run of the shadow, and of who answers."""
        counted = {shadow.model: (counts, waiting) for shadow, counts, waiting in self.counts()}
        made = []
        for model, one in sorted(self._beside.items()):
            counts, waiting = counted.get(model, (Counter[str](), 0))
            made.append(
                {
                    "model": model, "version": one.shadow.version, "digest": one.served.source.digest,
                    "share": one.shadow.share, "seconds": self._clock() - one.began, "asked": one.asked,
                    "compared": counts["compared"], "failed": counts["failed"], "waiting": waiting,
                    "shed": {why: counts[f"shed {why}"] for why in (FULL, MISSING, FAILED)},
                    "rows": one.rows, "disagreed": one.disagreed, "run_ms": 1e3 * one.served.times.usual(),
                    "answering": one.answering[0], "answer_run_ms": 1e3 * one.answering[1],
                }
            )  # fmt: skip
        return made

    def report(self) -> list[dict[str, Any]]:
        """For every shadow what waits, what was shed, and the comparisons, as a JSON value. Sketches can be merged."""
        with self._lock:
            waiting = Counter(asked.shadow.model for asked in list(self._queue))
            found = list(self._found.items())
        return [
            {
                "model": model, "version": shadow.version, "waiting": waiting[model],
                "shed": sum(self._shed[model, why] for why in (FULL, MISSING, FAILED)),
                "comparisons": [{**names, **c.to_json()} for (name, _, _), (names, c) in found if name == model],
            }
            for model, shadow in sorted(self._shadows.items())
        ]  # fmt: skip

    def counts(self) -> list[tuple[Shadow, Counter[str], int]]:
        """For every shadow how many copies were compared, failed and shed (``shed full`` and so on) since the start,
        and how many wait."""
        with self._lock:
            waiting = Counter(asked.shadow.model for asked in self._queue)
            made = []
            for model, shadow in sorted(self._shadows.items()):
                of = [self._past[model], *(found for (name, _, _), (_, found) in self._found.items() if name == model)]
                counts = Counter(compared=sum(one.compared for one in of), failed=sum(one.failed for one in of))
                counts.update({f"shed {why}": self._shed[model, why] for why in (FULL, MISSING, FAILED)})
                made.append((shadow, counts, waiting[model]))
            return made

    def totals(self) -> list[Totals]:
        """What each shadow did since the start. Their counts never fall, whatever is replaced."""
        made = []
        with self._lock:
            waiting = Counter(asked.shadow.model for asked in list(self._queue))
            for model, shadow in sorted(self._shadows.items()):
                whole = self._past[model].as_one()
                for (name, _, _), (_, comparison) in self._found.items():
                    if name == model:
                        whole.merge(comparison.as_one())
                shed = {why: self._shed[model, why] for why in (FULL, MISSING, FAILED)}
                made.append(Totals(model, shadow.version, whole, waiting[model], shed))
        return made

    def _drop(self, shed: str = "") -> None:
        with self._lock:
            asked = self._queue.popleft()
            self._bytes -= asked.size
            if shed:
                self._shed[asked.shadow.model, shed] += 1

    def _comparison(self, asked: Asked, shadow: Served) -> Comparison:
        """Of these very two: a version that was loaded anew is another one."""
        key = asked.shadow.model, asked.number, shadow.number
        with self._lock:
            if key not in self._found:
                self._found[key] = {**asked.names, "digest": shadow.source.digest}, Comparison()
                mine = [k for k in self._found if k[0] == asked.shadow.model]
                for old in mine[:-_PAIRS]:
                    self._past[asked.shadow.model].merge(self._found.pop(old)[1].as_one())
            return self._found[key][1]


def _copies(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name: np.array(array) for name, array in arrays.items()}


def _bytes(array: NDArray[Any]) -> int:
    return array.nbytes + (sum(map(getsizeof, array.ravel().tolist())) if array.dtype.hasobject else 0)
