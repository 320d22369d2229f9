"""Sketches: what a stream of numbers looked like, in bounded memory, mergeable in any order.

DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees",
VLDB 2019), with a store that collapses the smallest magnitudes first. Its state is a function of the multiset of
values alone: adding in any order, or merging parts in any grouping, gives the same sketch, bit for bit.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bins = dict[int, int]
"""Count by index; index i holds the magnitudes in (gamma^(i-1), gamma^i]."""
MOST = 2**53
"""Merging counts no further: what every JSON reader keeps whole (RFC 7493, 2.2). Sums that stop there are still the
same in any order."""


@dataclass
class Sketch:
    """Quantiles of the finite values added, each within ``accuracy`` of a true one, relative to its magnitude.

    The bound holds for every quantile whose magnitude lies within a factor gamma^(``bins`` - 1) of the largest one on
    its side of zero (1.02^1023, eight and a half decades, by default); smaller magnitudes share the last bin and are
    only known to be smaller. At most 2 x ``bins`` counts are kept. NaN and infinities are counted apart.
    """

    accuracy: float = 0.01
    bins: int = 1024
    positive: Bins = field(default_factory=dict)
    negative: Bins = field(default_factory=dict)
    zeros: int = 0
    nans: int = 0
    infinities: int = 0
    low: float = math.inf
    high: float = -math.inf

    def __post_init__(self) -> None:
        if not 0 < self.accuracy < 1 or not 1 <= self.bins <= 65536:
            raise ValueError("a sketch needs 0 < accuracy < 1 and 1 to 65,536 bins")
        self._log_gamma = math.log1p(self.accuracy) - math.log1p(-self.accuracy)

    @property
    def count(self) -> int:
        """Finite values added."""
        return self.zeros + sum(self.positive.values()) + sum(self.negative.values())

    def add(self, values: ArrayLike) -> None:
        """Add numbers of any shape, integers and booleans included; floats are taken as float64."""
        x = np.asarray(values).astype(np.float64, copy=False).ravel()
        finite = x[np.isfinite(x)]
        nans = int(np.isnan(x).sum())
        self.nans += nans
        self.infinities += x.size - finite.size - nans
        if not finite.size:
            return
        self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        self.zeros += int((finite == 0).sum())
        self._count(self.positive, finite[finite > 0])
        self._count(self.negative, -finite[finite < 0])

    def count_one(self, value: float, times: int = 1) -> None:
        """``add`` for one positive finite number, so many times: the same state, without arrays."""
        index = math.ceil(math.log(value) / self._log_gamma)
        seen = self.positive.get(index)
        if seen is None:
            self.positive[index] = times
            self._collapse(self.positive)
        else:
            self.positive[index] = seen + times
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def merge(self, other: Sketch) -> None:
        """Add all that ``other`` has seen, each count up to MOST. Raises ValueError when the two differ in accuracy or
        bins."""
        if (self.accuracy, self.bins) != (other.accuracy, other.bins):
            raise ValueError("only sketches of the same accuracy and bins can be merged")
        for mine, theirs in ((self.positive, other.positive), (self.negative, other.negative)):
            for index, n in theirs.copy().items():  # another thread may be adding to it
                mine[index] = min(mine.get(index, 0) + n, MOST)
            self._collapse(mine)
        self.zeros = min(self.zeros + other.zeros, MOST)
        self.nans = min(self.nans + other.nans, MOST)
        self.infinities = min(self.infinities + other.infinities, MOST)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def quantile(self, q: float) -> float:
        """The ``q``-quantile (the value of rank floor(q (n - 1)), the paper's section 2). ValueError when empty."""
        return self.quantiles([q])[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Several of them at the cost of one."""
        count = self.count
        if not count or not all(0 <= q <= 1 for q in shares):
            raise ValueError("a quantile needs values and 0 <= q <= 1")
        # Items, not keys: another thread may be adding to it.
        below, above = sorted(self.negative.items(), reverse=True), sorted(self.positive.items())
        counts = [*(n for _, n in below), self.zeros, *(n for _, n in above)]
        ends, found = list(accumulate(counts)), list[float]()
        for q in shares:
            place = bisect_right(ends, math.floor(q * (count - 1))) - len(below)
            value = (
                0.0 if not place else -self._middle(below[place][0]) if place < 0 else self._middle(above[place - 1][0])
            )
            found.append(min(max(value, self.low), self.high))
        return found

    def within(self, share: float) -> float:
        """What at least this share of the values, none of them negative, does not exceed: the end of the bin that the
        value of rank ceil(share n) lies in, at most some 2 x ``accuracy`` too much. ValueError when empty."""
        left = max(math.ceil(share * self.count), 1) - self.zeros
        if self.negative or not self.count or not 0 <= share <= 1:
            raise ValueError("a share needs values, none of them negative, and 0 <= share <= 1")
        if left <= 0:
            return 0.0
        for index, n in sorted(self.positive.items()):
            left -= n
            if left <= 0:
                return min(math.exp(index * self._log_gamma), self.high)
        return self.high

    def to_json(self) -> dict[str, Any]:
        """A JSON value; bins as [index, count] pairs in ascending order."""
        return {
            "kind": "ddsketch",
            "accuracy": self.accuracy,
            "bins": self.bins,
            "positive": [list(pair) for pair in sorted(self.positive.items())],
            "negative": [list(pair) for pair in sorted(self.negative.items())],
            "zeros": self.zeros,
            "nans": self.nans,
            "infinities": self.infinities,
            "low": self.low if self.count else None,
            "high": self.high if self.count else None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Sketch:
        """The sketch that ``to_json`` wrote. Raises ValueError for anything that is not one."""
        try:
            empty = value["low"] is None
            sketch = cls(
                accuracy=float(value["accuracy"]),
                bins=int(value["bins"]),
                positive=_bins(value["positive"]),
                negative=_bins(value["negative"]),
                zeros=_counted(value["zeros"]),
                nans=_counted(value["nans"]),
                infinities=_counted(value["infinities"]),
                low=math.inf if empty else float(value["low"]),
                high=-math.inf if empty else float(value["high"]),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"not a sketch: {error}") from error
        if value.get("kind") != "ddsketch" or sketch.to_json() != dict(value):
            raise ValueError("not a sketch of kind 'ddsketch' in its one spelling")
        if sketch.count and not -math.inf < sketch.low <= sketch.high < math.inf:
            raise ValueError("a sketch whose lowest value is not its lowest")
        if any(len(b) and max(b) - min(b) >= sketch.bins for b in (sketch.positive, sketch.negative)):
            raise ValueError("a sketch with more bins than it says")
        return sketch

    def _count(self, store: Bins, magnitudes: NDArray[np.float64]) -> None:
        if not magnitudes.size:
            return
        indices = np.ceil(np.log(magnitudes) / self._log_gamma).astype(np.int64)
        for index, n in zip(*np.unique(indices, return_counts=True), strict=True):
            store[int(index)] = store.get(int(index), 0) + int(n)
        self._collapse(store)

    def _collapse(self, store: Bins) -> None:
        # The window hangs from the largest index ever seen, so that what is folded does not depend on the order.
        last = max(store, default=0) - self.bins + 1
        for index in [i for i in store if i < last]:
            store[last] = min(store.get(last, 0) + store.pop(index), MOST)

    def _middle(self, index: int) -> float:
        # 2 gamma^i / (gamma + 1): the point of the bin whose relative distance to both ends is the accuracy.
        shift = math.log(2.0) - math.log1p(math.exp(self._log_gamma))
        return math.exp(min(index * self._log_gamma + shift, 709.0))


def _bins(pairs: Any) -> Bins:
    found = {_whole(pair[0]): _counted(pair[1]) for pair in pairs}
    if len(found) != len(pairs) or any(n == 0 for n in found.values()):
        raise ValueError("a sketch's bins must be distinct and hold something")
    return found


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) > 10**9:
        raise ValueError(f"{value!r} is not a bin's index")
    return value


def _counted(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value
