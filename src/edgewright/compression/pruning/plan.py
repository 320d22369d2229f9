"""Plan: how many channels each group keeps, spread so that each multiply saved costs as little error as possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgewright.compression.pruning.channels import Channels, Group
from edgewright.compression.pruning.selection import Order


@dataclass(frozen=True)
class Plan:
    """Roots to remove, what share of the multiplies stays, and kept over all channels by group."""

    removed: frozenset[int]
    macs_kept: float
    counts: tuple[tuple[int, int], ...]


class _Costs:
    """Multiplies as a function of how many atoms each group keeps."""

    def __init__(self, found: Channels, groups: list[Group], places: dict[int, int]) -> None:
        owner = {int(a): g for g, group in enumerate(groups) for a in group.atoms}
        self._sizes = np.array([group.atoms.size for group in groups], float)
        self._terms = []
        for index, layer in enumerate(found.layers):
            sides = []
            for value in (layer.data, layer.output):
                share = np.zeros(len(groups) + 1)
                for root in found.roots(found.lanes[value].ids):
                    share[owner.get(int(root), len(groups))] += 1
                sides.append(share)
            self._terms.append((places[index] * layer.taps, sides[0], sides[1], layer.kind == "depthwise"))

    def macs(self, kept: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        """Multiply-accumulates when group g keeps ``kept[g]`` atoms."""
        fraction = np.append(kept / self._sizes, 1.0)
        total = 0.0
        for places, read, made, depthwise in self._terms:
            total += places * float(made @ fraction) * (1.0 if depthwise else float(read @ fraction))
        return total


def plan(
    found: Channels, groups: list[Group], orders: list[Order], places: dict[int, int], keep: float, align: int
) -> Plan:
    """Take blocks of ``align`` channels, the cheapest error per multiply first, until ``keep`` of them is left.

    ``places``: output positions per sample by layer index. A group keeps at least ``align`` channels, or all it has.
    """
    costs = _Costs(found, groups, places)
    kept = np.array([group.atoms.size for group in groups], float)
    full = costs.macs(kept)
    now = full
    while now > keep * full:
        best: tuple[float, int, float, float] | None = None
        for g, chosen in enumerate(orders):
            size, have = groups[g].atoms.size, int(kept[g])
            less = (have - 1) // align * align
            if less < align:
                continue
            trial = kept.copy()
            trial[g] = less
            macs = costs.macs(trial)
            error = chosen.errors[size - less] - chosen.errors[size - have]
            score = error / max(now - macs, 1.0)
            if best is None or score < best[0]:
                best = (score, g, float(less), macs)
        if best is None:
            break
        _, g, kept[g], now = best
    removed = frozenset(
        int(a) for g, chosen in enumerate(orders) for a in chosen.atoms[: groups[g].atoms.size - int(kept[g])]
    )
    counts = tuple((int(k), group.atoms.size) for k, group in zip(kept, groups, strict=True))
    return Plan(removed, now / full, counts)
