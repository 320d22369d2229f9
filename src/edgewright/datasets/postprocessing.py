"""Postprocessing: from a model's scores to named classes, declared once and applied the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import Signature
from edgewright.datasets.declared import Declared, is_number, is_whole

Form = Literal["scores", "single"]
Shares = Literal["as_is", "softmax", "sigmoid"]
SCORES, INDICES, LABELS = "top_scores", "top_indices", "top_labels"
"""What ``apply`` answers, by name."""
NOBODY = -1
"""The index where no class is answered."""
_MOST = 1000


@dataclass(frozen=True)
class Postprocessing(Declared):
    """The ``top`` best classes of ``output``, best first.

    ``form``: "scores", one number a class (n, K); or "single", one number (n,) that decides between the two classes of
    ``pair``. ``shares``: what turns numbers into shares of one (a softmax over the classes; a sigmoid of the single
    number), or "as_is". ``threshold``: of scores, a class whose share is below it is not answered; of a single number
    as the model gives it, the second class is answered above it (unless declared 0.5, or 0 before a sigmoid).
    """

    what: ClassVar[str] = "postprocessing"

    output: str
    form: Form = "scores"
    top: int = 5
    shares: Shares = "as_is"
    threshold: float | None = None
    pair: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if isinstance(self.pair, Sequence):
            object.__setattr__(self, "pair", tuple(self.pair))
        check = self._check
        check(isinstance(self.output, str) and bool(self.output), "output", "the name of an output")
        check(self.form in get_args(Form), "form", "scores or single")
        check(is_whole(self.top) and 0 < self.top <= _MOST, "top", f"a whole number up to {_MOST}")
        fitting = ("as_is", "softmax") if self.form == "scores" else ("as_is", "sigmoid")
        check(self.shares in fitting, "shares", " or ".join(fitting))
        check(self.threshold is None or is_number(self.threshold), "threshold", "a number or null")
        two = (
            isinstance(self.pair, tuple)
            and len(self.pair) == 2
            and all(is_whole(index) and index >= 0 for index in self.pair)
        )
        check(two, "pair", "two class indices")

    def fits(self, signature: Signature) -> None:
        """Raises InputError unless a model of this signature has the output, and no other of our names."""
        names = [spec.name for spec in signature.outputs]
        if self.output not in names:
            raise InputError(f"the postprocessing reads output {self.output!r}, the model has: {', '.join(names)}")
        taken = next((name for name in names if name in (SCORES, INDICES, LABELS)), None)
        if taken is not None:
            raise InputError(f"the model's own output {taken!r} has a name that postprocessing answers under")

    def apply(self, outputs: Mapping[str, NDArray[Any]], labels: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """``top_scores`` float32, ``top_indices`` int64 and ``top_labels`` (objects: text), each (n, k), best first.

        k is ``top``, or the number of classes where there are fewer. Of equal scores the lower index comes first, as
        argmax has it. Where no class is answered the index is -1 and the label "": below the threshold, and for every
        class of a sample whose numbers hold NaN or infinity, which counted as lost when the model was measured. A class
        without a label is named by its number. Raises InputError when the output is not of the declared form.
        """
        raw = _flat(outputs[self.output])
        values = raw.astype(np.float64) if raw.dtype.kind in "fiu" else raw
        if values.ndim != (2 if self.form == "scores" else 1) or values.dtype.kind != "f" or not values.shape[-1]:
            what = f"{raw.dtype}{list(raw.shape)}"
            raise InputError(f"output {self.output!r} is {what}; the declared form {self.form!r} does not read that")
        chosen = self._of_scores(values) if self.form == "scores" else self._of_single(values)
        scores, indices = chosen
        return {SCORES: scores.astype(np.float32), INDICES: indices, LABELS: named(indices, labels)}

    def _of_scores(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        order = best(values, self.top)  # of the numbers as they are: rounding in a softmax must not make ties
        scores = np.take_along_axis(_softmax(values) if self.shares == "softmax" else values, order, axis=1)
        lost = (np.isnan(values) | (values == np.inf)).any(axis=1, keepdims=True)
        unfit = lost if self.threshold is None else lost | (scores < self.threshold)
        return scores, np.where(unfit, NOBODY, order)

    def _of_single(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        second = _sigmoid(values) if self.shares == "sigmoid" else values
        limit = self.threshold
        if limit is None:
            limit = 0.0 if self.shares == "sigmoid" else 0.5
        above = (values > limit)[:, None]
        columns = np.where(above, np.stack((second, 1.0 - second), 1), np.stack((1.0 - second, second), 1))
        indices = np.where(above, self.pair[::-1], self.pair)
        indices[~np.isfinite(values)] = NOBODY
        return columns[:, : self.top], indices[:, : self.top].astype(np.int64)


def best(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Indices (n, at most ``count``) of the largest ``values`` (n, K) of floats, best first; of equals the lower index
    first, NaN last."""
    order: NDArray[np.int64] = np.argsort(-values, axis=1, kind="stable")[:, :count].astype(np.int64)
    return order


def named(indices: NDArray[np.int64], labels: Sequence[str]) -> NDArray[np.object_]:
    """The labels of class ``indices`` of any shape: the number where there is no label, "" for nobody."""
    made = np.empty(indices.shape, object)
    count = len(labels)
    made.reshape(-1)[:] = [
        labels[i] if 0 <= i < count else "" if i == NOBODY else str(i) for i in indices.ravel().tolist()
    ]
    return made


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    """Without trailing axes of size one, down to (n,); scores of two axes or more keep two."""
    while array.ndim > 1 and array.shape[-1] == 1:
        array = array[..., 0]
    return array


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # what is not finite is not answered
        raised = np.exp(values - values.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # By tanh: no overflow at either end.
    shares: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * values))
    return shares
