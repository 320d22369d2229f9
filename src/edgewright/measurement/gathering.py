"""Gathering: batches of outputs reduced, as they come, to what an evaluation keeps of every sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.measurement.answers import Choice, squeezed, texts_of

KEPT_BYTES = 64 * 2**20
"""Outputs kept of one evaluation to compare with another's; beyond it, those of the first samples."""
OWN_BYTES = 2**30
"""Outputs kept for the user's own metric, which wants all of them."""


@dataclass
class Gathered:
    """Batches of outputs, reduced as they come to what an evaluation keeps."""

    n: int
    count: int = 0
    parts: list[NDArray[Any]] = field(default_factory=list)
    predicted: list[NDArray[np.int64]] = field(default_factory=list)
    lost: list[NDArray[np.bool_]] = field(default_factory=list)
    kept: dict[str, NDArray[Any]] = field(default_factory=dict)
    own_bytes: int = 0

    def add(self, outputs: Mapping[str, NDArray[Any]], choice: Choice, labels: NDArray[Any] | None) -> None:
        """Take in the next batch."""
        answer = squeezed(outputs[choice.output])
        size = len(answer)
        rows = slice(self.count, self.count + size)
        if self.count == 0:
            self._reserve(outputs)
        for name, kept in self.kept.items():
            part = outputs[name]
            if part.shape[1:] != kept.shape[1:]:
                raise InputError(f"output {name!r} changes its shape from sample to sample; export it with a fixed one")
            kept[rows] = part[: max(len(kept) - self.count, 0)]
        self.lost.append(_not_finite(answer, choice))
        if choice.metric.wants == "outputs":
            self.parts.append(self._whole(outputs))
        elif choice.form == "numbers" or choice.metric.wants == "numbers":
            if not choice.metric.against_original:
                self.parts.append(choice.metric.record(answer, None if labels is None else labels[rows]))
        elif choice.form == "scores":
            self.predicted.append(np.where(self.lost[-1], -1, answer.argmax(axis=1)).astype(np.int64))
            if choice.metric.wants == "scores":
                self.parts.append(answer.astype(np.float32, copy=False))
        else:
            self.parts.append(answer)
        self.count += size

    def settle(self, choice: Choice, labels: NDArray[Any] | None, *, original: bool) -> Choice:
        """Everything joined: ``record``, ``predictions``, ``bad``. The original's answers complete the choice."""
        self.bad = np.concatenate(self.lost)
        raw = np.concatenate(self.parts) if self.parts else np.empty(0)
        wants = choice.metric.wants
        if original and wants in ("class", "scores") and not self.bad.any():
            choice = choice.settle(raw)
        self.predictions = self._classes(choice, raw)
        if wants == "class":
            assert self.predictions is not None  # noqa: S101 - every form a class metric accepts gives classes
            self.record: NDArray[Any] = self.predictions
        elif wants == "scores" and labels is not None:
            self.record = _ranked(choice, raw, labels, self.bad)
        else:
            self.record = self.kept[choice.output] if choice.metric.against_original else raw
        return choice

    def _classes(self, choice: Choice, raw: NDArray[Any]) -> NDArray[np.int64] | None:
        """Class answered, -1 where the answer is none; None where answers are no classes."""
        if self.predicted:
            return np.concatenate(self.predicted)
        if choice.metric.wants not in ("class", "scores") or raw.ndim != 1:
            return None
        if choice.form == "label":
            return _labels_of(raw, choice.classes)
        above = raw > (choice.threshold or 0.0)
        return np.where(self.bad, -1, np.where(above, choice.pair[1], choice.pair[0])).astype(np.int64)

    def _reserve(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        floats = {name: array for name, array in outputs.items() if array.dtype.kind == "f"}
        width = sum(int(np.prod(array.shape[1:])) * 4 for array in floats.values())
        rows = min(self.n, max(KEPT_BYTES // max(width, 1), 8))
        self.kept = {name: np.empty((rows, *a.shape[1:]), np.float32) for name, a in floats.items()}

    def _whole(self, outputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Every output of the batch, one structured element a sample, for the user's own function."""
        self.own_bytes += sum(array.nbytes for array in outputs.values())
        if self.own_bytes > OWN_BYTES:
            raise InputError(f"the outputs take more than {OWN_BYTES:,} bytes; judge the model on fewer samples")
        size = len(next(iter(outputs.values())))
        kinds: Any = [(name, array.dtype, array.shape[1:]) for name, array in outputs.items()]
        made = np.empty(size, np.dtype(kinds))
        for name, array in outputs.items():
            made[name] = array
        return made


def _not_finite(answer: NDArray[Any], choice: Choice) -> NDArray[np.bool_]:
    """Answers no one can use. Minus infinity is a fair score for a class (a mask), but not for a number."""
    if answer.dtype.kind != "f":
        return np.zeros(len(answer), np.bool_)
    flat = answer.reshape(len(answer), -1)
    bad = np.isnan(flat) | (flat == np.inf) if choice.form == "scores" else ~np.isfinite(flat)
    found: NDArray[np.bool_] = bad.any(axis=1)
    return found


def _labels_of(raw: NDArray[Any], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Classes as a model names them: whole numbers as they are, text by its place among ``classes`` (-1: unknown)."""
    if raw.dtype.kind in "iub":
        return raw.astype(np.int64)
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index.get(text, -1) for text in texts_of(raw)], np.int64)


def _ranked(choice: Choice, raw: NDArray[Any], labels: NDArray[Any], lost: NDArray[np.bool_]) -> NDArray[Any]:
    """Scores to rank samples by: (n,) for two classes, else (n, K), softmax taken where they are logits.

    An answer that is NaN ranks where it does most harm: below every other if positive, above every other if not.
    """
    scores = raw.astype(np.float64)
    scores[lost] = 0.0
    if labels.ndim == 1 and scores.ndim == 2:
        if scores.shape[1] == 2:
            scores = scores[:, 1] - scores[:, 0]
        elif not choice.probabilities:
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores /= scores.sum(axis=1, keepdims=True)
    if lost.any():
        span = 1.0 + float(np.ptp(scores))
        worst = scores.min() - span, scores.max() + span
        if scores.ndim == 1:
            positive = labels == labels.max()
        else:
            positive = labels > 0 if labels.ndim == 2 else labels[:, None] == np.arange(scores.shape[1])
        scores[lost] = np.where(positive, *worst)[lost]
    return scores
