"""Measurement: a value that is never a bare float."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["measured", "estimated", "predicted"]
"""measured: seen on this machine. estimated: computed from measured parts and a target's figures.
predicted: from a model of a machine that is not here."""


@dataclass(frozen=True)
class Measurement:
    """``value`` with its interval [``low``, ``high``] (95% unless ``conditions`` say otherwise), ``n`` and unit.

    ``subject`` is the digest of what was measured, ``target`` the name of the machine it holds for.
    """

    value: float
    unit: str
    kind: Kind
    n: int = 1
    low: float | None = None
    high: float | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    target: str = "host"
    subject: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a measurement must be finite, got {self.value}")
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {get_args(Kind)}, got {self.kind!r}")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} lies outside its interval [{self.low}, {self.high}]")

    def to_json(self) -> dict[str, Any]:
        """A JSON value with the keys value, low, high, n, unit, kind, conditions, target and subject."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "unit": self.unit,
            "kind": self.kind,
            "conditions": dict(self.conditions),
            "target": self.target,
            "subject": self.subject,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measurement:
        """The measurement that ``to_json`` wrote."""
        return cls(**value)

    def __str__(self) -> str:
        interval = f" [{self.low:.4g}, {self.high:.4g}]" if self.low is not None and self.high is not None else ""
        label = "" if self.kind == "measured" else f" ({self.kind})"
        return f"{self.value:.4g} {self.unit}{interval}{label}"
