"""Comparisons: how far two versions' answers to the same requests lie apart, in bounded memory, mergeable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.sketches import Sketch

Arrays = Mapping[str, NDArray[Any]]
_BINS = 512


class OutputComparison:
    """One output. ``absolute``: the largest difference in each answer; ``relative``: that over the answer's largest
    magnitude. ``choices`` counts rows of the last axis, ``other_choices`` those whose largest element is another one.
    ``unlike``: answers that differ in shape or kind, or, for strings, at all. One NaN against a number is an infinite
    difference, two NaNs are none.
    """

    def __init__(self) -> None:
        self.absolute, self.relative = Sketch(bins=_BINS), Sketch(bins=_BINS)
        self.choices = self.other_choices = self.unlike = 0

    def add(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        """One answer of each; ``first`` is the one that was given."""
        numbers = first.dtype.kind in "biuf" and second.dtype.kind in "biuf"
        if first.shape != second.shape or not numbers:
            self.unlike += not (first.shape == second.shape and np.array_equal(first, second))
            return
        if not first.size:
            return
        a, b = first.astype(np.float64), second.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(a - b)
        apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
        apart[np.isnan(apart)] = np.inf
        worst = float(apart.max())
        size = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
        self.absolute.add(worst)
        self.relative.add(worst / size if size and np.isfinite(worst / size) else np.inf if worst else 0.0)
        if a.ndim > 1 and a.shape[-1] > 1:
            self.choices += a.size // a.shape[-1]
            self.other_choices += int((a.argmax(-1) != b.argmax(-1)).sum())

    def merge(self, other: OutputComparison) -> None:
        """Add all that ``other`` has seen."""
        self.absolute.merge(other.absolute)
        self.relative.merge(other.relative)
        self.choices += other.choices
        self.other_choices += other.other_choices
        self.unlike += other.unlike

    def to_json(self) -> dict[str, Any]:
        """A JSON value; ``share_of_other_choices`` is None where nothing is chosen."""
        return {
            "choices": self.choices, "other_choices": self.other_choices, "unlike": self.unlike,
            "share_of_other_choices": self.other_choices / self.choices if self.choices else None,
            "absolute": self.absolute.to_json(), "relative": self.relative.to_json(),
        }  # fmt: skip


class Comparison:
    """All outputs, and what the second version's runs took in s; ``total_ns`` is their sum, whole so that parts merge
    to it in any order."""

    def __init__(self) -> None:
        self.outputs: dict[str, OutputComparison] = {}
        self.latency = Sketch(bins=_BINS)
        self.compared = self.failed = self.total_ns = 0

    def add(self, first: Arrays, second: Arrays, seconds: float) -> None:
        """One answer of each. An output that only one of them has is unlike every time."""
        self.compared += 1
        self.latency.add(seconds)
        self.total_ns += round(1e9 * seconds)
        for name in first.keys() | second.keys():
            one = self.outputs.setdefault(name, OutputComparison())
            if name in first and name in second:
                one.add(first[name], second[name])
            else:
                one.unlike += 1

    def merge(self, other: Comparison) -> None:
        """Add all that ``other`` has seen."""
        self.compared += other.compared
        self.failed += other.failed
        self.latency.merge(other.latency)
        self.total_ns += other.total_ns
        for name, output in other.outputs.copy().items():  # another thread may be adding to it
            self.outputs.setdefault(name, OutputComparison()).merge(output)

    def as_one(self) -> Comparison:
        """The same with all outputs taken together, under no name: of the same size whatever they were called."""
        made = Comparison()
        made.merge(self)
        outputs, made.outputs = made.outputs, {"": OutputComparison()}
        for output in outputs.values():
            made.outputs[""].merge(output)
        return made

    def to_json(self) -> dict[str, Any]:
        """A JSON value; times in s."""
        usual = {f"p{round(100 * q)}_s": self.latency.quantile(q) for q in (0.5, 0.99)} if self.latency.count else {}
        outputs = {name: output.to_json() for name, output in sorted(self.outputs.items())}
        return {"compared": self.compared, "failed": self.failed, **usual, "latency": self.latency.to_json(),
                "outputs": outputs}  # fmt: skip
