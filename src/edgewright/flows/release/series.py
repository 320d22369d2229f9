"""Readings: what one device saw of each metric, in a window before the switch and in one after it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Arm = Literal["canary", "control"]


@dataclass(frozen=True)
class Series:
    """``n`` values with their mean, and the variance of a single one (None where it is not known, as of a quantile)."""

    n: int
    mean: float
    variance: float | None = None

    @property
    def usable(self) -> bool:
        """Whether it is something to compute with: devices may send anything."""
        known = self.variance is None or (math.isfinite(self.variance) and self.variance >= 0)
        return self.n > 0 and math.isfinite(self.mean) and known


@dataclass(frozen=True)
class Reading:
    """One device. ``canary``: it runs the new release; ``control``: it goes on unchanged.

    ``after`` is the same stretch of time in both arms, from when the wave's soak began; ``before`` ends where the
    rollout began. A device without a past of its own has no ``before``. Metrics are named as in ``metrics``.
    """

    device: str
    arm: Arm
    stratum: str = ""
    before: Mapping[str, Series] = field(default_factory=dict)
    after: Mapping[str, Series] = field(default_factory=dict)


def share(count: int, n: int) -> Series:
    """``count`` of ``n`` inferences, requests or labels, as a series of zeros and ones."""
    if not 0 <= count <= n:
        raise ValueError("a share needs 0 <= count <= n")
    # One more of each kind, for the variance only: none seen in few is not never.
    p = (count + 1) / (n + 2)
    return Series(n, count / n if n else 0.0, p * (1 - p))


def shares(name: str, counts: Mapping[str, int] | Sequence[int]) -> dict[str, Series]:
    """A histogram of answers as one series for each class, ``name/CLASS``: the prediction distribution."""
    pairs = counts.items() if isinstance(counts, Mapping) else ((str(i), c) for i, c in enumerate(counts))
    found = list(pairs)
    total = sum(count for _, count in found)
    return {f"{name}/{key}": share(count, total) for key, count in found}
