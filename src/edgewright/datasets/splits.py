"""Splits: calibration, search and held-out test; disjoint, stratified, and a function of content and seed alone.

Rows are ordered by a hash of their content and the seed, not by their place: the same samples in another order, or in
another file, fall into the same splits. Samples of equal content fall into the same split, so that the test never
holds one the search has seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.digests import digest_array, digest_bytes, digest_json
from edgewright.core.errors import InputError
from edgewright.core.session import Arrays
from edgewright.datasets.readers import Fingerprints, Reader, Rows

FEWEST = 16
"""Distinct samples below which three splits say nothing."""
SHARES = {"calibration": 0.3, "search": 0.3, "test": 0.4}
CAPS = {"calibration": 600, "search": 4000, "test": 10000}


class Split:
    """Some rows of a dataset, read in batches: the Samples of one split. ``rows`` are places in the source.

    Any beginning of a split is stratified like the whole, see ``head``.
    """

    def __init__(
        self, name: str, rows: Rows, reader: Reader, fingerprints: Fingerprints,
        labels: NDArray[Any] | None, classes: tuple[str, ...], content: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.name, self.rows, self.classes = name, rows, classes
        self.labels = None if labels is None else labels[rows]
        self.digest = digest_json(
            {
                **content,
                "rows": digest_bytes(fingerprints[rows].tobytes()),
                "labels": None if self.labels is None else digest_array(self.labels),
            }
        )
        self._parts = (reader, fingerprints, labels, classes, content)
        self._reader = reader

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> Iterator[Arrays]:
        """Inputs by name, each of shape (at most ``size``, ...), in order."""
        for start in range(0, len(self.rows), max(size, 1)):
            yield self._reader.read(self.rows[start : start + max(size, 1)])

    def head(self, count: int) -> Split:
        """The first ``count`` samples (all when there are fewer), for a quick look with the same class balance."""
        return self if count >= len(self) else Split(self.name, self.rows[:count], *self._parts)

    def to_json(self) -> dict[str, Any]:
        """What the report says of it."""
        value: dict[str, Any] = {"n": len(self), "digest": self.digest}
        if self.labels is not None and self.labels.ndim == 1 and self.labels.dtype.kind == "i":
            found, counts = np.unique(self.labels, return_counts=True)
            if found.size <= 1000:
                value["classes"] = {self._named(int(k)): int(c) for k, c in zip(found, counts, strict=True)}
        return value

    def _named(self, label: int) -> str:
        return self.classes[label] if 0 <= label < len(self.classes) else str(label)


@dataclass(frozen=True, eq=False)
class Splits:
    """The three splits, the seed that made them, how many rows none of them uses, and what a reader should know."""

    calibration: Split
    search: Split
    test: Split
    seed: int
    unused: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What the report says of them."""
        parts = {part.name: part.to_json() for part in (self.calibration, self.search, self.test)}
        return {"seed": self.seed, **parts, "unused": self.unused, "notes": list(self.notes)}


def split(
    reader: Reader, fingerprints: Fingerprints, labels: NDArray[Any] | None, classes: tuple[str, ...],
    content: Mapping[str, Any], seed: int,
) -> Splits:  # fmt: skip
    """The splits of all rows. Raises InputError when there are too few distinct samples for three."""
    _, first, group = np.unique(fingerprints.view("V16").ravel(), return_index=True, return_inverse=True)
    if first.size < FEWEST:
        what = f"{first.size} distinct samples" if first.size < len(fingerprints) else f"{first.size} samples"
        raise InputError(f"the data has {what}; give at least {FEWEST} (a few hundred make an accuracy gate worth it)")
    strata = strata_of(labels, len(fingerprints))
    assigned = allocate(fingerprints, group.ravel(), first, strata, seed)
    made = {name: Split(name, rows, reader, fingerprints, labels, classes, content) for name, rows in assigned.items()}
    unused = len(fingerprints) - sum(len(part) for part in made.values())
    notes = tuple(_notes(made, group.ravel(), first.size, labels, strata, unused))
    return Splits(made["calibration"], made["search"], made["test"], seed, unused, notes)


def strata_of(labels: NDArray[Any] | None, count: int) -> NDArray[np.intp]:
    """A class index per row (n,) when the labels are classes, else zeros: whole numbers that repeat."""
    if labels is None or labels.ndim != 1 or labels.dtype.kind != "i":
        return np.zeros(count, np.intp)
    found, codes = np.unique(labels, return_inverse=True)
    return codes.ravel() if found.size <= count // 2 else np.zeros(count, np.intp)


def shares(count: int) -> dict[str, float]:
    """What share of ``count`` rows each split takes; the test at least a third until it reaches its cap."""
    left, weight, made = float(count), sum(SHARES.values()), dict[str, float]()
    for name, share in SHARES.items():
        take = min(left * share / weight, CAPS[name])
        made[name] = take / count
        left, weight = left - take, weight - share
    return made


def allocate(
    fingerprints: Fingerprints, group: NDArray[np.intp], first: NDArray[np.intp], strata: NDArray[np.intp], seed: int
) -> dict[str, Rows]:
    """Rows by split. ``group`` (n,) numbers rows of equal content, ``first`` gives a row of each group.

    Systematic sampling: stratum after stratum, each in hash order, every group goes where most is owed. So totals and
    every stratum come out within a sample or two of their share, and the sum of the rounding does not drift.
    """
    key = hashlib.sha256(f"edgewright split {seed}".encode()).digest()
    hashes = np.array(
        [int.from_bytes(hashlib.sha256(key + f.tobytes()).digest()[:8], "big") for f in fingerprints[first]], np.uint64
    )
    sizes = np.bincount(group)
    stratum = np.full(first.size, np.iinfo(np.intp).max)
    np.minimum.at(stratum, group, strata)
    names, wanted = list(shares(group.size)), list(shares(group.size).values())
    owed, bins = [0.0] * (len(names) + 1), np.empty(first.size, np.intp)
    wanted.append(1.0 - sum(wanted))
    for g in np.lexsort((hashes, stratum)):
        size = int(sizes[g])
        owed = [o + w * size for o, w in zip(owed, wanted, strict=True)]
        best = max(range(len(owed)), key=owed.__getitem__)
        owed[best] -= size
        bins[g] = best
    return {
        name: _interleaved(np.flatnonzero(bins[group] == i), stratum[group], hashes[group])
        for i, name in enumerate(names)
    }


def _interleaved(rows: Rows, strata: NDArray[np.intp], hashes: NDArray[np.uint64]) -> Rows:
    """``rows`` ordered so that every beginning has each stratum in proportion."""
    rows = rows[np.lexsort((rows, hashes[rows], strata[rows]))]
    _, start, count = np.unique(strata[rows], return_index=True, return_counts=True)
    place = (np.arange(rows.size) - np.repeat(start, count) + 0.5) / np.repeat(count, count)
    ordered: Rows = rows[np.lexsort((hashes[rows], place))]
    return ordered


def _notes(
    made: Mapping[str, Split], group: NDArray[np.intp], distinct: int, labels: NDArray[Any] | None,
    strata: NDArray[np.intp], unused: int,
) -> Iterator[str]:  # fmt: skip
    if distinct < group.size:
        yield f"{group.size - distinct} samples repeat others exactly; equal samples are kept in the same split"
        low, high = np.full(distinct, np.iinfo(np.intp).max), np.full(distinct, -1)
        np.minimum.at(low, group, strata)
        np.maximum.at(high, group, strata)
        if torn := int((low != high).sum()):
            yield f"{torn} samples occur with different labels; no model can be right on all of them"
    test = made["test"]
    if len(test) < 200:
        yield f"the test split has only {len(test)} samples: one answer is {100 / max(len(test), 1):.2g} points"
    if labels is not None and strata.any() and test.labels is not None:
        lacking = np.setdiff1d(labels, test.labels)
        if lacking.size:
            names = ", ".join(test._named(int(k)) for k in lacking[:5]) + (" ..." if lacking.size > 5 else "")
            yield f"{lacking.size} label values have no sample in the test split: {names}"
    elif labels is not None and labels.dtype.kind == "i" and labels.ndim == 1 and np.unique(labels).size > 1:
        yield "most labels occur once, so the splits could not be stratified by class"
    if unused:
        yield f"{unused} samples are beyond what the splits take and were left out"
