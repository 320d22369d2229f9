"""Steadiness: whether the same input gives the same answer - again, in another session, on more threads, in a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError
from edgewright.core.session import Arrays, Session
from edgewright.measurement.accuracy import SQNR_CEILING_DB, sqnr_db
from edgewright.measurement.answers import Choice, squeezed

_BATCH = 8


@dataclass(frozen=True)
class Way:
    """The answers to the same inputs, asked another way. ``sqnr_db``: of the worst float output, at most 200, None
    where the answers cannot be compared. ``changed``: how many of ``n`` decisions differ, None where answers are no
    classes."""

    name: str
    n: int
    identical: bool
    sqnr_db: float | None
    changed: int | None

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return dict(vars(self))


def decided(choice: Choice, outputs: Arrays) -> NDArray[Any] | None:
    """The class each sample gets, (n,), or None where answers are numbers."""
    raw = squeezed(outputs[choice.output])
    if choice.metric.wants == "numbers" or choice.form == "numbers" or raw.ndim == 0:
        return None
    if choice.form == "scores":
        found: NDArray[Any] = raw.argmax(axis=1)
        return found
    return raw > (choice.threshold or 0.0) if choice.form == "single" else raw


def ways(
    reopen: Callable[[int], Session], inputs: Sequence[Arrays], choice: Choice, threads: int = 1,
    checkpoint: Callable[[], None] = lambda: None,
) -> list[Way]:  # fmt: skip
    """The same ``inputs`` asked again, of a new session, on other threads and from other places of a batch.

    ``reopen(threads)`` opens the model. ``inputs`` are whole requests. The batch is left out for a model whose batch is
    fixed or that does not run with more than one sample. Raises as the session does.
    """
    made = []
    with reopen(threads) as session:
        first = _asked(session, inputs)
        checkpoint()
        made.append(_compared("again", first, _asked(session, inputs), choice))
        checkpoint()
        together = _batched(session, inputs)
    for name, count in (("in another session", threads), ("on other threads", 2 if threads == 1 else 1)):
        checkpoint()
        with reopen(count) as other:
            made.append(_compared(name, first, _asked(other, inputs), choice))
    if together is not None:
        made.append(_compared("among others in a batch", first, together, choice))
    return made


def _asked(session: Session, inputs: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    return _joined([session.infer(request) for request in inputs])


def _joined(answers: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([np.atleast_1d(a[name]) for a in answers]) for name in answers[0]}


def _batched(session: Session, inputs: Sequence[Arrays]) -> dict[str, NDArray[Any]] | None:
    """Answers from batches in which each sample sits at another place, in the order of ``inputs``; None: it cannot."""
    free = all(spec.shape and not isinstance(spec.shape[0], int) for spec in session.signature.inputs)
    single = all(a.ndim and len(a) == 1 for request in inputs for a in request.values())
    if not (free and single) or len(inputs) < 2:
        return None
    order = np.roll(np.arange(len(inputs)), 1)[::-1]
    answers = []
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        batch = {name: np.concatenate([inputs[i][name] for i in chosen]) for name in inputs[0]}
        try:
            found = session.infer(batch)
        except EngineError:
            return None  # a model that only looks as if its batch were free; it is fed one by one everywhere
        if any(a.ndim == 0 or len(a) != len(chosen) for a in found.values()):
            return None
        answers.append(found)
    joined = _joined(answers)
    back = np.argsort(order)
    return {name: array[back] for name, array in joined.items()}


def _compared(name: str, first: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], choice: Choice) -> Way:
    identical = all(
        a.shape == other[n].shape and np.array_equal(a, other[n], equal_nan=a.dtype.kind == "f")
        for n, a in first.items()
    )
    floats = {n: a for n, a in first.items() if a.dtype.kind == "f"}
    quiet = SQNR_CEILING_DB if identical else sqnr_db(floats, other)
    before, after = decided(choice, first), decided(choice, other)
    changed = None
    if before is not None and after is not None:
        changed = int(np.sum(before != after)) if before.shape == after.shape else len(before)
    return Way(name, len(next(iter(first.values()))), identical, quiet, changed)


__all__ = ["Way", "decided", "ways"]
