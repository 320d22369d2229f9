"""Outcome: what a run found, ready to be written down, shown and sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgewright.bundles import Bundle, HeldOut
from edgewright.compression.contract import Context
from edgewright.compression.verdict import Preference, nearest
from edgewright.core.candidate import Candidate, Clause, Constraint
from edgewright.core.errors import InputError
from edgewright.core.files import write_file
from edgewright.core.model import Model
from edgewright.core.session import Arrays
from edgewright.datasets import Bound, Splits
from edgewright.flows.budget import HASTY, Budget
from edgewright.measurement.accuracy import AccuracyResult
from edgewright.targets import Target

INTERRUPTED = "interrupted"
"""``Result.stopped`` after Ctrl-C."""
NOTHING_WON = "nothing was won over the original"
"""How the note begins that says so."""


@dataclass(frozen=True, eq=False)
class Result:
    """``best`` is None when nothing was feasible; ``nearest`` then says what came closest, ``binding`` what stood in
    the way. ``stopped`` says why a search ended early ("" when it had nothing left to try)."""

    source: Model
    bound: Bound
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
    notes: tuple[str, ...] = ()
    held_out: Mapping[str, HeldOut] = field(default_factory=dict)

    def __repr__(self) -> str:
        best = "none" if self.best is None else repr(self.best)
        return f"<Result of {len(self.candidates)} candidates for {self.target.name}, best: {best}>"

    @property
    def budget(self) -> Budget:
        """What time there is for gates and report."""
        return HASTY if self.stopped == INTERRUPTED else Budget(self.settings.budget_s)

    @property
    def nearest(self) -> list[Candidate]:
        """Infeasible candidates that came closest."""
        return nearest(self.candidates)

    def choose(self, **weights: float) -> Candidate | None:
        """Another choice from the Pareto front: weights of ``latency``, ``size``, ``memory``, ``energy``, ``accuracy``.

        Weights left out are 0. None when nothing is feasible. Raises InputError for weights that make no sense.
        """
        unknown = sorted(set(weights) - set(Preference.__dataclass_fields__))
        if unknown:
            raise InputError(
                f"no weight is named {unknown[0]!r}; there are: {', '.join(Preference.__dataclass_fields__)}"
            )
        preference = Preference(**{**dict.fromkeys(Preference.__dataclass_fields__, 0.0), **weights})
        return min(self.pareto, key=lambda c: preference.score(c, self.baseline.metrics), default=None)

    @property
    def binding(self) -> Clause | None:
        """The constraint that binds: the best one's tightest, or the broken one of the nearest. Where there was time
        for nothing else, the original's."""
        close = [self.best] if self.best is not None else self.nearest or [self.baseline]
        return close[0].binding

    def report(self, path: str | Path) -> Path:
        """Write the page to ``path``, and the same as JSON beside it when ``path`` ends in ``.json``."""
        from edgewright.flows.record import Origin, document, encode
        from edgewright.reports import render

        path = Path(path)
        found = document(self, Origin(target=self.target.name))
        write_file(path, encode(found) if path.suffix == ".json" else render(found).encode())
        return path

    def seal(self, folder: str | Path, name: str = "model", candidate: Candidate | None = None) -> Bundle:
        """Seal the best candidate, or another of the Pareto front (``choose``), into ``folder`` with the user's own
        key. Raises InputError when there is none, and for one that was not measured with care or keeps not every limit.
        """
        from edgewright.flows.readiness import ready
        from edgewright.flows.record import Origin, document
        from edgewright.flows.ship import seal_best

        if candidate is not None and candidate.id not in {c.id for c in self.finals if c.feasible}:
            raise InputError(
                f"candidate {candidate.id} is none of the finalists that keep every limit; choose another, or have it "
                "made and judged alone: edgewright optimize --only"
            )
        told = self if candidate is None else replace(self, best=candidate)
        readiness = ready(told)
        report = {**document(told, Origin(target=self.target.name)), "readiness": readiness}
        return seal_best(told, Path(folder), {"report.json": report, "readiness.json": readiness}, name)
