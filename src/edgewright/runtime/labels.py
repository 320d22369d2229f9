"""Labels: the right classes of answers, learned later, held against what was answered. Bounded memory of classes alone.

Nothing is kept of a request that has no id. An answer is kept for seven days at most, the oldest given up first.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgewright.runtime.failsafe import Safe
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.observations import Observations
from edgewright.runtime.served import Lent, Served

_KEPT_S = 7 * 86400.0
_MOST_BYTES, _MOST_ROWS, _LONGEST = 8 * 2**20, 256, 256
"""Of all answers that are kept; rows of one, and characters of an id, beyond which it is not."""
_EACH_BYTES = 300
"""What an answer takes besides its id and its classes (CPython 3.12, measured)."""


class Labels:
    """From any thread. What comes of labels is counted in ``observations``; ``clock``: monotonic, in s."""

    def __init__(self, observations: Observations, clock: Callable[[], float] = time.monotonic) -> None:
        self._observations, self._clock, self._lock = observations, clock, threading.Lock()
        self._answers: OrderedDict[str, tuple[float, tuple[str, str], Sequence[str], array[int]]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """How many answers wait for their labels."""
        return len(self._answers)

    def keep(self, served: Served, id: str, outputs: Mapping[str, Any]) -> None:
        """Remember what was answered to the request ``id``; the latest where several have the same."""
        if isinstance(outputs, Lent | Safe) or len(id) > _LONGEST:
            return
        classes = served.observed.classes(outputs)
        if classes is None or not 0 < classes.size <= _MOST_ROWS:
            return
        now, about = self._clock(), served.observed.about
        with self._lock:
            self._drop(id)
            self._answers[id] = now, about, served.source.labels, array("i", classes.tolist())
            self._bytes += _size(id, classes.size)
            while self._bytes > _MOST_BYTES or next(iter(self._answers.values()))[0] < now - _KEPT_S:
                self._drop(next(iter(self._answers)))

    def take(self, labels: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Labels as ``{"id": ..., "label": ...}``: a class's name, or its index; a list of them for a request of
        several rows, None where one is not known. ``labelled`` and ``wrong`` rows, each id counted once; ``unmatched``
        ids that are not kept (any more); ``unknown`` labels, which are no class of the model, and count for nothing.

        Raises BadRequest for what is no such list; nothing of it is counted then.
        """
        told = [_read(one) for one in labels]
        made = Counter(labelled=0, wrong=0, unmatched=0, unknown=0)
        counts: dict[tuple[str, str], Counter[str]] = {}
        for id, found in told:
            with self._lock:
                kept = self._drop(id)
            if kept is None or kept[0] < self._clock() - _KEPT_S:
                made["unmatched"] += 1
                continue
            _, about, names, classes = kept
            if len(found) != len(classes):
                made["unknown"] += len(found)
                continue
            mine = counts.setdefault(about, Counter())
            for label, answered in zip(found, classes, strict=True):
                index = None if label is None else _index(label, names)
                if index is not None:
                    mine.update(labelled=1, wrong=int(index != answered))
                else:
                    made["unknown"] += label is not None
        for about, mine in counts.items():
            made.update(mine)
            if mine["labelled"]:
                self._observations.judged(about, mine["labelled"], mine["wrong"])
        return dict(made)

    def _drop(self, id: str) -> tuple[float, tuple[str, str], Sequence[str], array[int]] | None:
        kept = self._answers.pop(id, None)
        if kept is not None:
            self._bytes -= _size(id, len(kept[3]))
        return kept


def _size(id: str, rows: int) -> int:
    return _EACH_BYTES + 4 * len(id) + 4 * rows


def _read(told: Any) -> tuple[str, list[str | int | None]]:
    if not isinstance(told, Mapping) or told.keys() != {"id", "label"} or not isinstance(told["id"], str):
        raise BadRequest(
            'labels are a list of {"id": "...", "label": "..."}, with the ids that requests were sent with'
        )
    found = told["label"] if isinstance(told["label"], list) else [told["label"]]
    if not found or not all(one is None or type(one) in (str, int) for one in found):
        raise BadRequest(f"the label of {told['id'][:60]!r} is a class's name or its index, or a list of them")
    return told["id"], found


def _index(label: str | int, names: Sequence[str]) -> int | None:
    """The class that is meant; None where that is none of the model's."""
    if isinstance(label, str):
        if label in names:
            return names.index(label)
        if not (label.isascii() and label.isdigit() and len(label) < 10):
            return None
        label = int(label)
    return label if 0 <= label < (len(names) or 2**31) else None
