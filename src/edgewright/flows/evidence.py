"""Evidence: what all samples that a candidate was not fitted on say together of the limit on its accuracy.

Many candidates are looked at, and the luckiest on a small test split would win. So the search split's samples count as
well, near misses count in part, and a loss that is within the limit only by luck raises a doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from edgewright.measurement.accuracy import AccuracyResult, Evaluation
from edgewright.measurement.smoothed import smoothed_drop

_INTERVAL = 2 * 1.96  # a 95% interval in standard errors
_ODDS = 0.6745
"""Standard errors that a drop is allowed upwards: the odds are three to one that it stays below (normal quartile)."""


@dataclass(frozen=True)
class Part:
    """One split of ``n`` samples: the drop counted, smoothed over the margins (None where there are none), and the
    standard error of the counted one, all in the metric's unit."""

    n: int
    counted: float
    smoothed: float | None
    error: float


def part(before: Evaluation, after: Evaluation, found: AccuracyResult) -> Part:
    """What one split says. ``found`` is the comparison of the two."""
    drop = found.drop
    error = 0.0 if drop.low is None or drop.high is None else (drop.high - drop.low) / _INTERVAL
    if found.choice.metric.name in ("top1", "agreement") and before.predictions is not None:
        # Each answer that turned right or wrong moves the count by one, and they are as good as independent (McNemar's
        # variance); the interval around no change at all would be wide from prior belief alone.
        error = 100 * sqrt(_turned(before, after)) / len(before)
    return Part(len(before), drop.value, smoothed_drop(before, after), error)


def _turned(before: Evaluation, after: Evaluation) -> int:
    """How many answers are right in one and wrong in the other."""
    if before.predictions is None or after.predictions is None:
        return 0
    truth = before.predictions if before.choice.metric.against_original else before.labels
    return int(((before.predictions == truth) != (after.predictions == truth)).sum())


def weigh(parts: Sequence[Part], limit: float, unit: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why the limit is broken, and why it may be on other samples: at most one reason in either, never in both.

    A gain is taken for luck: compression that answers better than its original by design is not known.
    """
    total = sum(p.n for p in parts)
    counted = sum(p.n * p.counted for p in parts) / total
    smooth = sum(p.n * p.smoothed for p in parts if p.smoothed is not None) / total
    worst = max(counted, smooth, 0.0)
    error = sqrt(sum((p.n * p.error) ** 2 for p in parts)) / total
    if worst > limit:
        how = "counted" if counted > limit else "smoothed over the margins"
        return (f"loses {worst:.2g} on all {total} samples it was not fitted on ({how}), above {limit:g}",), ()
    if worst + _ODDS * error > limit:
        return (), (
            f"the odds are less than three to one that it loses at most {limit:g} {unit} on other samples ({worst:.2g} "
            f"with a standard error of {error:.2g} on all {total} it was not fitted on); more samples would tell",
        )
    return (), ()
