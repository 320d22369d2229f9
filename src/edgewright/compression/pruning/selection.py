"""Selection: which channels to drop, by what least squares over the rest cannot repair in the layers that read them.

Block optimal brain surgeon (Hassibi and Stork, NIPS 1992; Frantar and Alistarh, "Optimal Brain Compression", NeurIPS
2022, eq. 7 for blocks): removing the columns B of a layer's weight W, the others refitted, adds tr(W_B [H^-1_BB]^-1
W_B^T) to its squared error, with H the covariance of what it reads. Errors are divided by the layer's output power, so
that layers compare, and summed over the layers that read a channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.compression.pruning.channels import Channels, Group
from edgewright.compression.pruning.layers import Layer

Matrix = NDArray[np.float64]

_RIDGE = 1e-2
_STEPS = 64


@dataclass(frozen=True)
class Moments:
    """What a layer reads, summed up: covariance (channels*taps, channels*taps) over ``rows`` places."""

    covariance: Matrix
    rows: int


@dataclass(frozen=True)
class Order:
    """A group's atoms in the order of removal, and the summed error after each: ``errors[k]`` with k removed."""

    atoms: NDArray[np.int64]
    errors: Matrix


def moments(rows: Matrix) -> Moments:
    """Covariance of (rows, channels, taps); the mean is left to the bias."""
    flat = rows.reshape(rows.shape[0], -1)
    centred = flat - flat.mean(axis=0)
    return Moments(centred.T @ centred / max(flat.shape[0], 1), flat.shape[0])


class _Reader:
    """One layer's view while atoms of one group leave it."""

    def __init__(self, layer: Layer, seen: Moments, roots: NDArray[np.int64]) -> None:
        size = seen.covariance.shape[0]
        damped = seen.covariance + np.eye(size) * (_RIDGE * max(float(np.trace(seen.covariance)) / size, 1e-12))
        self.inverse: Matrix = np.linalg.inv(damped)
        weight = layer.array().astype(np.float64)
        self.weight: Matrix = weight.reshape(weight.shape[0], -1).copy()
        self.power = max(
            float(np.einsum("oi,ij,oj->", self.weight, seen.covariance, self.weight, optimize=True)), 1e-12
        )
        taps = layer.taps
        self.columns: dict[int, NDArray[np.int64]] = {}
        for position, root in enumerate(roots):
            columns = np.arange(position * taps, (position + 1) * taps)
            known = self.columns.get(int(root))
            self.columns[int(root)] = columns if known is None else np.concatenate([known, columns])

    def costs(self, atoms: list[int]) -> Matrix:
        """What removing each atom alone would add."""
        found = np.zeros(len(atoms))
        by_size: dict[int, list[int]] = {}
        for index, atom in enumerate(atoms):
            if atom in self.columns:
                by_size.setdefault(self.columns[atom].size, []).append(index)
        for indices in by_size.values():
            columns = np.stack([self.columns[atoms[i]] for i in indices])
            blocks = self.inverse[columns[:, :, None], columns[:, None, :]]
            weights = self.weight[:, columns].transpose(1, 2, 0)
            solved = np.linalg.solve(blocks, weights)
            found[indices] = np.einsum("abo,abo->a", weights, solved) / self.power
        return found

    def remove(self, atoms: list[int]) -> float:
        """Take the atoms out; what that added, the others refitted."""
        blocks = [self.columns.pop(a) for a in atoms if a in self.columns]
        if not blocks:
            return 0.0
        columns = np.concatenate(blocks)
        solved = np.linalg.solve(self.inverse[np.ix_(columns, columns)], self.inverse[columns])
        weights = self.weight[:, columns]
        added = float(np.einsum("ob,ob->", weights, np.linalg.solve(
            self.inverse[np.ix_(columns, columns)], weights.T).T)) / self.power  # fmt: skip
        self.weight -= weights @ solved
        self.inverse -= self.inverse[:, columns] @ solved
        return max(added, 0.0)


def order(group: Group, found: Channels, seen: dict[int, Moments]) -> Order:
    """The group's atoms, least missed first. ``seen`` holds moments by layer index."""
    readers = []
    members = set(group.atoms.tolist())
    for index, layer in enumerate(found.layers):
        if layer.kind == "depthwise" or index not in seen:
            continue
        roots = found.roots(found.lanes[layer.data].ids)
        if members & set(roots.tolist()):
            readers.append(_Reader(layer, seen[index], roots))
    left = [int(a) for a in group.atoms]
    removed: list[int] = []
    errors = [0.0]
    at_once = max(1, len(left) // _STEPS)
    while len(left) > 1:
        costs = np.sum([r.costs(left) for r in readers], axis=0) if readers else np.zeros(len(left))
        chosen = [left[i] for i in np.argsort(costs, kind="stable")[: min(at_once, len(left) - 1)]]
        added = sum(r.remove(chosen) for r in readers)
        for k, atom in enumerate(chosen):
            removed.append(atom)
            left.remove(atom)
            errors.append(errors[-1] + added / len(chosen) if k or len(chosen) > 1 else errors[-1] + added)
    return Order(np.array(removed, dtype=np.int64), np.array(errors))
