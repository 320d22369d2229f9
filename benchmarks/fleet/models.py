"""A real model, one that is about three points worse, and twins of the first: what each says of the same live inputs.

Digits of scikit-learn with blur, shifts and noise, so that the good model is right on some 92%; a perceptron of one
hidden layer. Nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

Floats = NDArray[np.float64]
CLASSES = 10


@dataclass(frozen=True)
class Answers:
    """Of one model to a pool (M,): confidence, lead (its logit over the next one), chosen class,
    whether that was wrong."""

    confidence: Floats
    lead: Floats
    chosen: NDArray[np.int64]
    wrong: NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """A release beside the model that runs: what its held-out evidence says, and its answers to live inputs."""

    name: str
    held_out: Answers
    live: Answers


def cases(seed: int = 0) -> tuple[list[Case], NDArray[np.int64]]:
    """The running model first, then the releases; and the live inputs' classes (M,)."""
    rng = np.random.default_rng(seed)
    digits = load_digits()
    order = rng.permutation(len(digits.data))
    x, y = digits.data[order] / 16.0, digits.target[order].astype(np.int64)
    train, held, live = slice(0, 800), slice(800, 1200), slice(1200, None)
    train_x, train_y = _spoilt(x[train], y[train], 4, rng)
    held_x, held_y = _spoilt(x[held], y[held], 8, rng)
    live_x, live_y = _spoilt(x[live], y[live], 30, rng)
    good = _fit(train_x, train_y)
    right = float((_logits(good, live_x).argmax(1) == live_y).mean())
    worse = min(
        (_fit(train_x[:n], train_y[:n]) for n in range(400, 2001, 100)),
        key=lambda m: abs(right - 0.03 - float((_logits(m, live_x).argmax(1) == live_y).mean())),
    )
    made = []
    for name, model, temperature in (
        ("the same", good, 1.0), ("worse", worse, 1.0), ("temperature 1.5", good, 1.5),
        ("temperature 0.7", good, 0.7), ("INT8", _int8(good, held_x), 1.0),
    ):  # fmt: skip
        held_out = _answers(_logits(model, held_x) / temperature, held_y)
        made.append(Case(name, held_out, _answers(_logits(model, live_x) / temperature, live_y)))
    # Fine where it was checked, wrong on live data: a stage before the model scales live inputs otherwise.
    shift = min(np.linspace(0.02, 0.5, 25), key=lambda s: abs(
        right - 0.03 - float((_logits(good, live_x * (1 - s) + s * 0.5).argmax(1) == live_y).mean())))  # fmt: skip
    live_answers = _answers(_logits(good, live_x * (1 - shift) + shift * 0.5), live_y)
    made.append(Case("worse on live data only", made[0].held_out, live_answers))
    return made, live_y


Layers = list[tuple[Floats, Floats]]


def _fit(x: Floats, y: NDArray[np.int64]) -> Layers:
    model = MLPClassifier((64,), max_iter=60, random_state=0, alpha=1e-3, tol=0.0, n_iter_no_change=100)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    return list(zip(model.coefs_, model.intercepts_, strict=True))


def _logits(layers: Layers, x: Floats) -> Floats:
    for weights, bias in layers[:-1]:
        x = np.maximum(x @ weights + bias, 0.0)
    weights, bias = layers[-1]
    made: Floats = x @ weights + bias
    return made


def _int8(layers: Layers, x: Floats) -> Layers:
    """Weights in 8 bits per tensor (activations are kept: the twin's noise is that of the weights)."""
    return [(_rounded(weights), bias) for weights, bias in layers]


def _rounded(weights: Floats) -> Floats:
    step = float(np.abs(weights).max()) / 127
    made: Floats = np.round(weights / step) * step
    return made


def _answers(logits: Floats, y: NDArray[np.int64]) -> Answers:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    chosen = p.argmax(axis=1)
    top = np.sort(logits, axis=1)
    return Answers(p.max(axis=1), top[:, -1] - top[:, -2], chosen, chosen != y)


def _spoilt(x: Floats, y: NDArray[np.int64], times: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    many = np.repeat(x, times, axis=0).reshape(-1, 8, 8)
    moved = np.stack([np.roll(im, s, axis=a) if s else im
                      for im, s, a in zip(many, rng.choice([-1, 0, 0, 0, 0, 0, 0, 1], len(many)),
                                          rng.integers(0, 2, len(many)), strict=True)])  # fmt: skip
    noisy = moved + rng.normal(0, 0.1, moved.shape)
    shuffled = rng.permutation(len(many))
    return noisy.reshape(len(many), -1)[shuffled], np.repeat(y, times)[shuffled]
