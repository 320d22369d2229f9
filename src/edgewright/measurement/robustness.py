"""Robustness: samples as the field delivers them - noisy, brighter, flatter, with values missing.

Every disturbance is a function of the sample's place and a seed, so that the original and a candidate are asked the
very same disturbed samples: what the disturbance does to both is the data's, only the difference is the candidate's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgewright.core.digests import digest_json
from edgewright.core.samples import Samples
from edgewright.core.session import Arrays

Kind = Literal["image", "table", "series", "other"]
Change = Callable[[NDArray[Any], "Scale", np.random.Generator], NDArray[Any]]
"""From one sample of one input, as float64 without the batch axis, to the disturbed one."""

_CHANNELS = (1, 3, 4)
_LOOKED_AT = 64


@dataclass(frozen=True)
class Scale:
    """What is usual for one input. ``spread``: standard deviation, of each column for tables; ``low`` and ``high``: the
    extremes seen. ``channels``: the axis of an image's channels, without the batch."""

    kind: Kind
    spread: NDArray[np.float64]
    low: float
    high: float
    channels: int = 0


@dataclass(frozen=True)
class Disturbance:
    """One way to disturb a sample. ``kinds``: the inputs it means something for."""

    name: str
    change: Change
    kinds: tuple[Kind, ...] = ("image", "table", "series", "other")


def _noise(share: float) -> Change:
    return lambda x, scale, rng: x + share * scale.spread * rng.standard_normal(x.shape)


def _brighter(share: float) -> Change:
    return lambda x, scale, rng: np.clip(x + share * (scale.high - scale.low), scale.low, scale.high)


def _contrast(factor: float) -> Change:
    return lambda x, scale, rng: np.clip((x - x.mean()) * factor + x.mean(), scale.low, scale.high)


def _missing(share: float) -> Change:
    return lambda x, scale, rng: np.where(rng.random(x.shape) < share, 0.0, x)


def _dropped(share: float) -> Change:
    """Whole columns of a table, or whole steps of a series: at least one."""

    def change(x: NDArray[Any], scale: Scale, rng: np.random.Generator) -> NDArray[Any]:
        count = max(1, round(share * x.shape[0]))
        made = x.copy()
        made[rng.choice(x.shape[0], min(count, x.shape[0]), replace=False)] = 0.0
        return made

    return change


def _patch(x: NDArray[Any], scale: Scale, rng: np.random.Generator) -> NDArray[Any]:
    """A square of a quarter of each side, all channels."""
    made = np.moveaxis(x.copy(), scale.channels, 0)
    sides = [max(1, size // 4) for size in made.shape[1:]]
    corner = [int(rng.integers(0, size - side + 1)) for size, side in zip(made.shape[1:], sides, strict=True)]
    made[(slice(None), *(slice(c, c + s) for c, s in zip(corner, sides, strict=True)))] = 0.0
    return np.moveaxis(made, 0, scale.channels)


DISTURBANCES: tuple[Disturbance, ...] = (
    Disturbance("noise of 5% of the spread", _noise(0.05)),
    Disturbance("missing values, one in ten", _missing(0.1)),
    Disturbance("brighter by a tenth", _brighter(0.1), ("image",)),
    Disturbance("a missing patch", _patch, ("image",)),
    Disturbance("a tenth of the columns missing", _dropped(0.1), ("table",)),
    Disturbance("a tenth of the steps missing", _dropped(0.1), ("series",)),
    Disturbance("noise of 15% of the spread", _noise(0.15)),
    Disturbance("contrast of three quarters", _contrast(0.75), ("image",)),
    Disturbance("darker by a tenth", _brighter(-0.1), ("image",)),
    Disturbance("contrast of five quarters", _contrast(1.25), ("image",)),
)
"""In the order in which they are tried while there is time."""


def scales(samples: Samples) -> dict[str, Scale]:
    """The inputs that can be disturbed: floats and bytes, by name. Whole numbers and text mean something else."""
    batch = next(iter(samples.batches(_LOOKED_AT)))
    return {
        name: _scale(array.astype(np.float64))
        for name, array in batch.items()
        if array.ndim >= 2 and (array.dtype.kind == "f" or array.dtype == np.uint8)
    }


def applicable(found: Mapping[str, Scale]) -> list[Disturbance]:
    """The disturbances that mean something for these inputs."""
    kinds = {scale.kind for scale in found.values()}
    return [d for d in DISTURBANCES if kinds & set(d.kinds)]


class Disturbed:
    """Samples, each disturbed the same way whenever and in whatever batch it is read."""

    def __init__(self, samples: Samples, disturbance: Disturbance, found: Mapping[str, Scale], seed: int = 0) -> None:
        self.name, self.labels = samples.name, samples.labels
        self.classes = getattr(samples, "classes", ())
        self.digest = digest_json([samples.digest, disturbance.name, seed])
        self._samples, self._disturbance, self._seed = samples, disturbance, seed
        self._scales = {n: s for n, s in found.items() if s.kind in disturbance.kinds}

    def __len__(self) -> int:
        return len(self._samples)

    def batches(self, size: int) -> Iterator[Arrays]:
        """Inputs by name, each of shape (at most ``size``, ...), in order."""
        start = 0
        for batch in self._samples.batches(size):
            count = max((len(a) for a in batch.values() if a.ndim), default=1)
            yield {name: self._changed(name, array, start) for name, array in batch.items()}
            start += count

    def _changed(self, name: str, array: NDArray[Any], start: int) -> NDArray[Any]:
        scale = self._scales.get(name)
        if scale is None:
            return array
        made = np.empty(array.shape, np.float64)
        for i, row in enumerate(array.astype(np.float64)):
            made[i] = self._disturbance.change(row, scale, np.random.default_rng([self._seed, start + i]))
        if array.dtype == np.uint8:
            made = np.clip(np.rint(made), 0, 255)
        return made.astype(array.dtype)


def _scale(batch: NDArray[np.float64]) -> Scale:
    """The scale of an input from some samples (n, ...). NaN and infinities that are meant do not count."""
    kind, channels = _kind(batch.shape[1:])
    finite = np.where(np.isfinite(batch), batch, np.nan)
    if not np.isfinite(finite).any():
        return Scale(kind, np.zeros(()), 0.0, 0.0, channels)
    whole = float(np.nanstd(finite))
    if kind == "table":
        known = np.isfinite(finite).any(axis=0)
        spread = np.where(known, np.nanstd(np.where(known, finite, 0.0), axis=0), whole)
    else:
        spread = np.array(whole)
    return Scale(kind, spread, float(np.nanmin(finite)), float(np.nanmax(finite)), channels)


def _kind(shape: tuple[int, ...]) -> tuple[Kind, int]:
    """What one sample of this shape looks like, and the axis of its channels."""
    if len(shape) == 3 and min(shape[1:]) >= 4 and shape[0] in _CHANNELS:
        return "image", 0
    if len(shape) == 3 and min(shape[:2]) >= 4 and shape[2] in _CHANNELS:
        return "image", 2
    return ("table" if len(shape) == 1 else "series" if len(shape) == 2 else "other"), 0


__all__ = ["DISTURBANCES", "Disturbance", "Disturbed", "Scale", "applicable", "scales"]
