"""Panels: readings of many devices as arrays, one metric at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.flows.release.effects import Panel
from edgewright.flows.release.series import Reading, Series

Floats = NDArray[np.float64]

MOST_PARTS = 100
"""Parts of one metric (classes of a histogram) that are looked at; the rarest beyond are left out."""


@dataclass(frozen=True)
class Column:
    """One metric in one window, of all devices (N,): means, NaN where not told; variances of the means, 0 where
    unknown; ``n`` values behind them."""

    mean: Floats
    variance: Floats
    n: Floats


class Table:
    """All metrics of all devices, in the order of the devices' names."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        rows = sorted(readings, key=lambda reading: reading.device)
        self.canary = np.array([r.arm == "canary" for r in rows], np.bool_)
        names = {stratum: i for i, stratum in enumerate(sorted({r.stratum for r in rows}))}
        self.stratum = np.array([names[r.stratum] for r in rows], np.int64)
        self.after = _columns([r.after for r in rows])
        self.before = _columns([r.before for r in rows])

    def parts(self, name: str) -> list[str]:
        """The metric itself or its parts ``name/...``, as far as unchanged devices (or, without any, canaries) told
        them.

        What canaries alone send does not decide what is looked at: a forger cannot thin the evidence out with names.
        """
        mine = {k: c for k, c in self.after.items() if k == name or k.startswith(f"{name}/")}
        sizes = {key: _size(column, ~self.canary) for key, column in mine.items()}
        if not any(sizes.values()):
            sizes = {key: _size(column, self.canary) for key, column in mine.items()}
        told = [key for key in sorted(sizes, key=lambda key: (-sizes[key], key)) if sizes[key] > 0]
        return sorted(told[:MOST_PARTS])

    def panel(self, name: str) -> Panel:
        """All devices that told ``name`` after the switch."""
        after, before = self.after[name], self.before.get(name, _untold(self.canary.size))
        use = ~np.isnan(after.mean)
        return Panel(
            after.mean[use], after.variance[use], before.mean[use], before.variance[use],
            self.stratum[use], self.canary[use],
        )  # fmt: skip

    def levels(self, name: str) -> tuple[Floats, Floats]:
        """Canaries' means after the switch, and the variances of those means."""
        column = self.after[name]
        use = self.canary & ~np.isnan(column.mean)
        return column.mean[use], column.variance[use]

    def changes(self, name: str) -> tuple[Floats, Floats]:
        """Controls' change against their own past, with its sampling variance; those without a past are left out."""
        after, before = self.after[name], self.before.get(name, _untold(self.canary.size))
        use = ~self.canary & ~np.isnan(after.mean) & ~np.isnan(before.mean)
        return after.mean[use] - before.mean[use], after.variance[use] + before.variance[use]


def _columns(rows: Sequence[Mapping[str, Series]]) -> dict[str, Column]:
    found: dict[str, list[tuple[int, float, float, int]]] = {}
    for i, row in enumerate(rows):
        for name, series in row.items():
            if series.usable:
                found.setdefault(name, []).append((i, series.mean, (series.variance or 0.0) / series.n, series.n))
    made = {}
    for name, told in found.items():
        column = made[name] = _untold(len(rows))
        at = np.array([one[0] for one in told], np.int64)
        column.mean[at] = [one[1] for one in told]
        column.variance[at] = [one[2] for one in told]
        column.n[at] = [min(one[3], 2**53) for one in told]
    return made


def _untold(n: int) -> Column:
    return Column(np.full(n, np.nan), np.zeros(n), np.zeros(n))


def _size(column: Column, rows: NDArray[np.bool_]) -> float:
    # One device's say in which parts are common is bounded, too. A mean of zero was told as well.
    weight = np.minimum(np.abs(np.nan_to_num(column.mean)), 1.0) + 1e-6
    return float((weight * np.minimum(column.n, 1000.0))[rows].sum())
