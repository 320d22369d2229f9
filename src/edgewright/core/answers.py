"""Answers: what rows of a classifier's numbers say: the class, how sure it is, and how far it leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NOBODY = -1
"""The class where none is answered."""
_LEAST = 1e-12
"""Below it a probability is not told from others: it bounds the lead of one, by 27.6."""
_WHOLE = 1e-3
"""How far the sum of probabilities may be from one: rounding to float16, or to 8 bits, moves it."""


class Answers(NamedTuple):
    """``classes`` (n,) int64, NOBODY where none is answered; ``confidence`` (n,), the probability that the model gives
    its class; ``lead`` (n,), its logit minus the next one's, at least 0. The last two are NaN where a row holds NaN or
    infinity."""

    classes: NDArray[np.int64]
    confidence: Floats
    lead: Floats


@dataclass(frozen=True)
class Rule:
    """How rows are read, in the words of a declared postprocessing (``datasets.postprocessing``).

    ``single`` False: (n, K), one number a class; True: (n,), one number that decides between the two of ``pair``.
    ``shares``: "softmax" or "sigmoid" of what are logits; "as_is" of probabilities, and where they are not (a row that
    is negative somewhere or does not add up to one) they are read as logits all the same.
    """

    single: bool = False
    shares: str = "as_is"
    threshold: float | None = None
    pair: tuple[int, int] = (0, 1)

    def read(self, values: NDArray[Any]) -> Answers:
        """The answers of rows (n, K) or (n,); trailing axes of size one are dropped. ValueError for other shapes."""
        values = self._flat(values)
        with np.errstate(all="ignore"):  # what is not finite is told as such
            return self._of_one(values.astype(np.float64)) if self.single else self._of_scores(values)

    def classes(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The classes alone, several times as fast where no threshold is declared."""
        if self.single or self.threshold is not None:
            return self.read(values).classes
        values = self._flat(values)
        classes = values.argmax(axis=1).astype(np.int64)  # of a row with NaN: a NaN's place
        made: NDArray[np.int64] = np.where(np.isfinite(values[np.arange(len(values)), classes]), classes, NOBODY)
        return made

    def _flat(self, values: NDArray[Any]) -> NDArray[Any]:
        while values.ndim > 1 and values.shape[-1] == 1:
            values = values[..., 0]
        if values.ndim != (1 if self.single else 2) or values.dtype.kind not in "fiu" or not values.shape[-1:] > (0,):
            raise ValueError(f"{values.dtype}{list(values.shape)} are no scores of classes")
        return values

    def _of_scores(self, values: NDArray[Any]) -> Answers:
        # float32 is enough, and half the work; of integers and float64 it would lose something.
        x = values.astype(np.float32 if values.dtype.kind == "f" and values.dtype.itemsize < 8 else np.float64)
        rows = np.arange(len(x))
        classes = x.argmax(axis=1)
        first = x[rows, classes].astype(np.float64)
        low, total = x.min(axis=1), x.sum(axis=1, dtype=np.float64)
        shares = np.zeros(len(x), np.bool_)
        if self.shares == "as_is":
            shares = (low >= -1e-6) & (np.abs(total - 1) <= _WHOLE)
        raised = x if shares.all() else np.exp(x - first[:, None].astype(x.dtype))
        confidence = np.where(shares, first, 1.0 / raised.sum(axis=1, dtype=np.float64))
        shown = first if self.shares == "as_is" else confidence
        lost = ~np.isfinite(first) | np.isnan(low)
        x[rows, classes] = -np.inf
        second = x.max(axis=1, initial=-np.inf).astype(np.float64)
        lead = np.where(shares, np.log(np.maximum(first, _LEAST) / np.maximum(second, _LEAST)), first - second)
        return self._made(classes.astype(np.int64), confidence, np.maximum(lead, 0.0), shown, lost)

    def _of_one(self, x: Floats) -> Answers:
        share = _sigmoid(x) if self.shares == "sigmoid" else x
        limit = self.threshold if self.threshold is not None else 0.0 if self.shares == "sigmoid" else 0.5
        above = x > limit
        middle = limit if self.shares == "sigmoid" else _logit(np.full(1, limit))
        lead = np.abs((x if self.shares == "sigmoid" else _logit(x)) - middle)
        confidence = np.where(above, share, 1.0 - share)
        classes = np.where(above, self.pair[1], self.pair[0]).astype(np.int64)
        lost = ~np.isfinite(x) | (confidence < 0) | (confidence > 1)
        return self._made(classes, confidence, lead, None, ~np.isfinite(x), lost)

    def _made(
        self, classes: NDArray[np.int64], confidence: Floats, lead: Floats, shown: Floats | None,
        lost: NDArray[np.bool_], unsure: NDArray[np.bool_] | None = None,
    ) -> Answers:  # fmt: skip
        nobody = lost if shown is None or self.threshold is None else lost | (shown < self.threshold)
        unsure = lost if unsure is None else unsure
        return Answers(
            np.where(nobody, NOBODY, classes),
            np.where(unsure, np.nan, confidence),
            np.where(unsure | ~np.isfinite(lead), np.nan, lead),
        )


def _sigmoid(x: Floats) -> Floats:
    made: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return made


def _logit(p: Floats) -> Floats:
    bounded = np.clip(p, _LEAST, 1 - _LEAST)
    made: Floats = np.log(bounded) - np.log1p(-bounded)
    return made
