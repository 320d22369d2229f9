"""Finding: what a gate says of a candidate, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["passed", "failed", "not checked"]


@dataclass(frozen=True)
class Finding:
    """``reason`` is one sentence for people, ``evidence`` JSON values for whoever wants to check it."""

    state: State
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def passed(reason: str, **evidence: Any) -> Finding:
    """The gate holds."""
    return Finding("passed", reason, evidence)


def failed(reason: str, **evidence: Any) -> Finding:
    """The gate does not hold."""
    return Finding("failed", reason, evidence)


def unchecked(reason: str, **evidence: Any) -> Finding:
    """The gate could not be held against the candidate."""
    return Finding("not checked", reason, evidence)


def short(value: float) -> float:
    """A figure of six digits, for evidence that people read."""
    return float(f"{value:.6g}")
