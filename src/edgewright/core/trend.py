"""Trends: whether a stream of times gets better or worse, by a test that knows that neighbours resemble each other.

Times come in blocks whose medians are kept, 64 at each of six scales: blocks of 16 values, of 64, and so on, each four
times as long as the one before. So a jump a minute ago and a drift since last week are both seen, in some 400 numbers.

At each scale the medians become normal scores (van der Waerden; outliers weigh no more than their rank), and the slope
over time is held against its standard error. What the slope leaves over, or the best single step where that fits
better, tells how alike neighbours are; the effective number of blocks shrinks accordingly: n (1 - r) / (1 + r) for a
lag-one correlation r (Bayley and Hammersley, Journal of the Royal Statistical Society 8, 1946; for trends Yue and Wang,
Water Resources Management 18, 2004). An estimate of r from 64 blocks is too low, so it is raised first. How far, and
the limit, come from simulation (tests/core/test_trend.py repeats it): whoever asks once is told of a trend that is not
there in less than 1 of 1,000 cases where blocks are independent or correlated up to 0.5, and in about 1 of 100 at 0.9.
Beyond that no 64 numbers tell a trend from a slow wave, but at a longer scale it is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Word = Literal["improving", "stable", "degrading", "unknown"]
_BLOCK, _FACTOR, _SCALES, _KEPT = 16, 4, 6, 64
_RAISE, _ADD, _MOST = 0.2, 0.2, 0.95
"""An estimated correlation r is taken for 1.2 r + 0.2, and for 0.95 at most."""
_LIMIT = 4.0
_NORMAL = NormalDist()
_TIME = np.arange(_KEPT) - (_KEPT - 1) / 2
_EDGE = 4
"""A step has so many blocks on either side at least."""

Windows = list[tuple[int, list[float]]]
"""Values in a block, and the medians of the latest blocks of that length, in order."""


@dataclass(frozen=True)
class Verdict:
    """``word``: improving means smaller. ``values`` so many of the latest ones show it; ``change`` is the ratio of the
    medians of their last and first quarter, less 1; ``statistic`` is the test's, beyond 4 either way for a trend."""

    word: Word
    values: int = 0
    change: float = 0.0
    statistic: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return asdict(self)


class Trend:
    """The latest medians at every scale. Not thread-safe: whoever adds and asks holds a lock."""

    def __init__(self) -> None:
        self._rest: NDArray[np.float64] = np.empty(0)
        self._kept: list[deque[float]] = [deque(maxlen=_KEPT) for _ in range(_SCALES)]
        self._parts: list[list[float]] = [[] for _ in range(_SCALES)]

    def add(self, values: ArrayLike) -> None:
        """Add numbers in the order in which they came; what is not finite is left out."""
        x = np.concatenate([self._rest, np.asarray(values, np.float64).ravel()])
        finite = np.isfinite(x)
        if not finite.all():
            x = x[finite]
        whole = len(x) // _BLOCK * _BLOCK
        self._rest = x[whole:]
        blocks = np.sort(x[:whole].reshape(-1, _BLOCK), axis=1)
        for median in ((blocks[:, _BLOCK // 2 - 1] + blocks[:, _BLOCK // 2]) / 2).tolist():
            self._push(median)

    def _push(self, median: float) -> None:
        for kept, parts in zip(self._kept, self._parts, strict=True):
            kept.append(median)
            parts.append(median)
            if len(parts) < _FACTOR:
                return
            parts.sort()
            median = (parts[1] + parts[2]) / 2
            parts.clear()

    def windows(self) -> Windows:
        """What ``judge`` takes: the scales, the shortest first."""
        return [(_BLOCK * _FACTOR**scale, list(kept)) for scale, kept in enumerate(self._kept)]


def judge(windows: Windows) -> Verdict:
    """The trend at the shortest scale that shows one: the most recent. Unknown before 64 blocks are there."""
    full = [(length, np.array(medians)) for length, medians in windows if len(medians) == _KEPT]
    if not full:
        return Verdict("unknown")
    quarter = _KEPT // 4
    found = [(length, medians, statistic(medians)) for length, medians in full]
    length, medians, value = next((one for one in found if abs(one[2]) > _LIMIT), found[0])
    first, last = float(np.median(medians[:quarter])), float(np.median(medians[-quarter:]))
    word: Word = "stable" if abs(value) <= _LIMIT else "improving" if value < 0 else "degrading"
    return Verdict(word, length * _KEPT, last / first - 1 if first else 0.0, value)


def statistic(medians: Sequence[float] | NDArray[np.float64]) -> float:
    """The slope of 64 medians over its standard error, both corrected as the module says. 0 where all are equal."""
    x = _scores(np.asarray(medians, np.float64))
    total = float(x @ x)
    if not total:
        return 0.0
    slope = float(x @ _TIME) / float(_TIME @ _TIME)
    left = x - slope * _TIME
    step = _step(x)
    if step @ step < left @ left:
        left = step
    error = float(left @ left)
    if error <= 1e-9 * total:  # nothing but a trend, or a step
        return float(np.sign(slope)) * 1e9
    alike = float(left[1:] @ left[:-1]) / error
    alike = min(max((1 + _RAISE) * alike + _ADD, 0.0), _MOST)
    deviation = np.sqrt(error / (_KEPT - 3) / float(_TIME @ _TIME) * (1 + alike) / (1 - alike))
    return slope / float(deviation)


def _scores(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal scores of mean 0; equal values get equal scores."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    scores = np.array([_NORMAL.inv_cdf((rank - 0.375) / (len(x) + 0.25)) for rank in ranks])
    scores -= scores.mean()
    return scores


def _step(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left of ``x`` (mean 0) when the best step is taken out."""
    n = len(x)
    before = np.arange(_EDGE, n - _EDGE + 1)
    sums = np.cumsum(x)[before - 1]
    cut = int(before[np.argmax(sums**2 / (before * (n - before)))])
    left = x.copy()
    left[:cut] -= x[:cut].mean()
    left[cut:] -= x[cut:].mean()
    return left
