"""Readiness: the gates a result went through."""

from __future__ import annotations

from typing import Any

from edgewright.flows.outcome import Result


def ready(result: Result) -> dict[str, Any]:
    """The readiness report of the best candidate: a finding for each gate."""
    return {
        "schema": "edgewright.readiness/1",
        "candidate": None if result.best is None else result.best.id,
        "gates": [],
    }
