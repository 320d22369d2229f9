"""Candidate: a recipe, the model it made, the engine it runs on, what was measured, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgewright.core.digests import digest_json
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions

Steps = tuple[Mapping[str, Any], ...]
"""A recipe as data: pass calls in order, each ``{"pass": name, **options}``; JSON values only."""


_TOLD = ("latency_ms", "size_bytes", "accuracy_drop")


@dataclass(frozen=True)
class Constraint:
    """A limit on one metric. ``metric`` is a key of ``Candidate.metrics`` or ``accuracy_drop`` (points)."""

    metric: str
    sense: Literal["max", "min"]
    limit: float
    unit: str

    def slack(self, value: float) -> float:
        """How far ``value`` is inside the limit, as a share of it; negative outside."""
        scale = abs(self.limit) or 1.0
        return (self.limit - value if self.sense == "max" else value - self.limit) / scale

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.sense == 'max' else '>='} {self.limit:g} {self.unit}"


@dataclass(frozen=True)
class Clause:
    """One constraint held against one candidate: ``slack`` < 0 means broken, None means not known (and not kept)."""

    constraint: Constraint
    value: float | None
    slack: float | None

    @property
    def kept(self) -> bool:
        """Whether the constraint is known to hold."""
        return self.slack is not None and self.slack >= 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        c = self.constraint
        return {
            "metric": c.metric, "sense": c.sense, "limit": c.limit, "unit": c.unit,
            "value": self.value, "slack": self.slack, "kept": self.kept,
        }  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """One way to run the model. ``refused`` holds the reasons for which it may not be chosen whatever its figures,
    ``doubts`` those for which it is chosen only where nothing else will do."""

    id: str
    recipe: Steps
    model: Model
    engine: str
    options: EngineOptions
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    clauses: tuple[Clause, ...] = ()
    refused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        made = " + ".join(str(step["pass"]) for step in self.recipe) or "as it came"
        told = (f"{self.metrics[name]} {name}" for name in _TOLD if name in self.metrics)
        return f"<Candidate {self.id}: {', '.join((f'{made} on {self.engine}', *told))}>"

    @property
    def feasible(self) -> bool:
        """Every constraint is kept and nothing was refused."""
        return not self.refused and all(clause.kept for clause in self.clauses)

    @property
    def binding(self) -> Clause | None:
        """The broken constraint that is furthest off, or, when all hold, the one with the least slack."""
        return min(self.clauses, key=lambda c: -1e9 if c.slack is None else c.slack, default=None)

    def to_json(self, path: str) -> dict[str, Any]:
        """The report's entry; ``path`` is where the candidate lies, relative to the report."""
        return {
            "id": self.id,
            "path": path,
            "recipe": [dict(step) for step in self.recipe],
            "engine": self.engine,
            "engine_options": self.options.to_json(),
            "format": self.model.format,
            "digest": self.model.digest,
            "feasible": self.feasible,
            "verdict": [clause.to_json() for clause in self.clauses],
            "refused": list(self.refused),
            "doubts": list(self.doubts),
            "metrics": {name: m.to_json() for name, m in self.metrics.items()},
        }


def candidate_id(source: str, recipe: Steps, data: str, engine: str, options: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits naming a candidate by what makes it: source digest, recipe, data digest, engine and
    its options as JSON values."""
    return digest_json([source, [dict(s) for s in recipe], data, engine, dict(options)])[:12]
