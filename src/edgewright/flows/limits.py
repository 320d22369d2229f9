"""Limits: what the user asks for, as constraints with units, checked for sense."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from edgewright.core.candidate import Constraint
from edgewright.core.errors import InputError

KEPT_ACCURACY = 0.95
"""Share of the baseline's accuracy to keep unless told otherwise."""


def is_number(value: Any) -> bool:
    """Whether ``value``, which Python let through unchecked, is a real number of any kind."""
    return not isinstance(value, bool) and isinstance(value, Real)


@dataclass(frozen=True)
class Limits:
    """Upper limits; None where there is none. MB are 10^6 bytes.

    ``accuracy_drop`` is in points of the metric (its own unit for RMSE); None keeps 95% of the baseline.
    """

    latency_ms: float | None = None
    size_mb: float | None = None
    memory_mb: float | None = None
    energy_mj: float | None = None
    accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        for name, value in list(vars(self).items()):
            if value is None:
                continue
            if not is_number(value):
                raise InputError(f"the limit {name} must be a number, got {str(value)[:40]!r}")
            object.__setattr__(self, name, float(value))
            least = 0.0 if name == "accuracy_drop" else math.ulp(0.0)
            if not math.isfinite(value) or value < least:
                raise InputError(f"the limit {name}={value} can never be met; give a positive number or leave it out")

    def constraints(self, accuracy: float, unit: str, *, higher_is_better: bool = True) -> tuple[Constraint, ...]:
        """The constraints, given the baseline's ``accuracy`` in the metric's ``unit``."""
        made = []
        for metric, value, measure in (
            ("latency_ms", self.latency_ms, "ms"),
            ("size_bytes", None if self.size_mb is None else self.size_mb * 1e6, "B"),
            ("ram_bytes", None if self.memory_mb is None else self.memory_mb * 1e6, "B"),
            ("energy_mj", self.energy_mj, "mJ"),
        ):
            if value is not None:
                made.append(Constraint(metric, "max", value, measure))
        drop = self.accuracy_drop
        if drop is None:
            drop = abs(accuracy) * ((1 - KEPT_ACCURACY) if higher_is_better else (1 / KEPT_ACCURACY - 1))
        made.append(Constraint("accuracy_drop", "max", drop, unit))
        return tuple(made)
