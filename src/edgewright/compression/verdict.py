"""Verdicts: constraints held against figures, false wins refused, the Pareto front, and a weighted choice from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log

from edgewright.core.candidate import Candidate, Clause, Constraint
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.statistics import Interval

_NARROW = {"int8_static", "int8_dynamic", "int4_weights", "mixed_precision", "fp16"}
_NO_WIN = 1.02  # beyond this a latency is called slower even where its interval reaches below the original's
_SMALLER_IS_BETTER = ("latency_ms", "size_bytes", "ram_bytes", "energy_mj", "accuracy_drop")


@dataclass(frozen=True)
class Preference:
    """Weights of a choice from the Pareto front; a weight of 2 counts a halving twice. Accuracy is per point lost.

    Memory and energy weigh nothing unless asked for: where they are scarce a limit says so.
    """

    latency: float = 1.0
    size: float = 0.3
    memory: float = 0.0
    energy: float = 0.0
    accuracy: float = 0.2

    def __post_init__(self) -> None:
        given = list(vars(self).values())
        if not all(isfinite(w) and w >= 0 for w in given) or not any(given):
            raise InputError("preference weights must be finite and not negative, and one must be above 0")

    def score(self, candidate: Candidate, baseline: Mapping[str, Measurement]) -> float:
        """Weighted logarithms of the ratios to the baseline, plus points lost; less is better."""
        total = 0.0
        weights = {
            "latency_ms": self.latency,
            "size_bytes": self.size,
            "ram_bytes": self.memory,
            "energy_mj": self.energy,
        }
        for metric, weight in weights.items():
            mine, theirs = candidate.metrics.get(metric), baseline.get(metric)
            # Nothing predicted is held against what was measured.
            if weight and mine is not None and theirs is not None and mine.kind == theirs.kind:
                total += weight * log(max(mine.value, 1e-12) / max(theirs.value, 1e-12))
        if "accuracy_drop" in candidate.metrics:
            total += self.accuracy * max(candidate.metrics["accuracy_drop"].value, 0.0)
        return total


def judge(candidate: Candidate, constraints: Sequence[Constraint]) -> Candidate:
    """The candidate with a clause for every constraint."""
    clauses = []
    for constraint in constraints:
        found = candidate.metrics.get(constraint.metric)
        value = None if found is None else found.value
        clauses.append(Clause(constraint, value, None if value is None else constraint.slack(value)))
    return replace(candidate, clauses=tuple(clauses))


def structure_of(candidate: Candidate) -> str:
    """What names the float network a candidate is made of, and the engine it runs on.

    A float network that is faster on another engine makes no false win of this one: there may be reasons, memory above
    all, for which that engine will not do.
    """
    steps = [dict(step) for step in candidate.recipe if step["pass"] in ("prune_channels", "low_rank")]
    return repr([candidate.engine, steps])


def refuse_false_wins(candidates: Iterable[Candidate], baseline: Measurement) -> list[Candidate]:
    """Candidates whose measured latency shows them slower than the original, or than their own float network, refused.

    Slower means that the whole interval lies above the other's. Figures are compared as ratios to the baseline they
    were measured beside, for those hold where absolute times of two moments do not.
    """
    everyone = list(candidates)
    floats: dict[str, Interval] = {}
    for c in everyone:
        found = _relative(c, baseline)
        if found is not None and not _NARROW & {step["pass"] for step in c.recipe}:
            known = floats.get(structure_of(c))
            if known is None or found.value < known.value:
                floats[structure_of(c)] = found
    judged = []
    for c in everyone:
        found, reasons = _relative(c, baseline), list(c.refused)
        narrow = sorted(_NARROW & {step["pass"] for step in c.recipe})
        twin = floats.get(structure_of(c))
        if found is not None and c.recipe and (found.low > 1 or found.value > _NO_WIN):
            reasons.append(f"slower than the original: {found.value:.2f} times its latency")
        elif found is not None and narrow and twin is not None and found.low > twin.high:
            reasons.append(
                f"{narrow[0]} is slower here than float: {found.value:.2f} times the original's latency "
                f"where the same network takes {twin.value:.2f} times in float"
            )
        judged.append(replace(c, refused=tuple(dict.fromkeys(reasons))))
    return judged


def _relative(candidate: Candidate, baseline: Measurement) -> Interval | None:
    """The latency over the baseline's."""
    found = candidate.metrics.get("latency_ms")
    if found is None:
        return None
    scale = found.conditions.get("over_baseline", found.value / baseline.value) / found.value
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    return Interval(found.value * scale, low * scale, high * scale, found.n)


def pareto(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those that no other beats in latency, size and accuracy together (and memory, energy where both have them)."""
    pool = [c for c in candidates if not c.refused and "latency_ms" in c.metrics]

    def beats(a: Candidate, b: Candidate) -> bool:
        shared = [m for m in _SMALLER_IS_BETTER if m in a.metrics and m in b.metrics]
        pairs = [(a.metrics[m].value, b.metrics[m].value) for m in shared]
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    return [c for c in pool if not any(beats(other, c) for other in pool)]


def nearest(candidates: Iterable[Candidate], count: int = 3) -> list[Candidate]:
    """Infeasible candidates whose worst clause is least broken, best first."""

    def worst(c: Candidate) -> float:
        return min((clause.slack if clause.slack is not None else -1e9 for clause in c.clauses), default=0.0)

    broken = [c for c in candidates if not c.feasible and not c.refused]
    return sorted(broken, key=worst, reverse=True)[:count]
