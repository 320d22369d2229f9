"""Outcome: what a run found, ready to be written down, shown and sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.compression.contract import Context
from edgewright.compression.verdict import nearest
from edgewright.core.candidate import Candidate, Clause, Constraint
from edgewright.core.model import Model
from edgewright.core.session import Arrays
from edgewright.datasets import Splits
from edgewright.measurement.accuracy import AccuracyResult
from edgewright.targets import Target


@dataclass(frozen=True, eq=False)
class Result:
    """``best`` is None when nothing was feasible; ``nearest`` then says what came closest, ``binding`` what stood in
    the way. ``stopped`` says why a search ended early ("" when it had nothing left to try)."""

    source: Model
    splits: Splits
    target: Target
    settings: Any
    baseline: Candidate
    candidates: tuple[Candidate, ...]
    finals: tuple[Candidate, ...]
    best: Candidate | None
    pareto: tuple[Candidate, ...]
    constraints: tuple[Constraint, ...]
    stopped: str
    elapsed_s: float
    first_feasible_s: float | None
    facts: Mapping[str, Any]
    accuracies: Mapping[str, AccuracyResult]
    choice: Any
    context: Context
    inputs: tuple[Arrays, ...]

    @property
    def nearest(self) -> list[Candidate]:
        """Infeasible candidates that came closest."""
        return nearest(self.candidates)

    @property
    def binding(self) -> Clause | None:
        """The constraint that binds: the best one's tightest, or the broken one of the nearest."""
        if self.best is not None:
            return self.best.binding
        close = self.nearest
        return close[0].binding if close else None
