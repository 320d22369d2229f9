"""Measurement: latency, memory, size, accuracy and energy that one can trust.

Times of one run are compared, never times of two: see ``docs/explanation/measurement.md``.
"""

from __future__ import annotations

from edgewright.core.samples import drawn_requests
from edgewright.measurement.decisions import faster, quick_latency
from edgewright.measurement.latency import LatencyResult, Plan, measure_latency
from edgewright.measurement.subject import Subject, requests
from edgewright.measurement.suite import METRICS, Effort, Measured, measure_all

__all__ = [
    "METRICS",
    "Effort",
    "LatencyResult",
    "Measured",
    "Plan",
    "Subject",
    "drawn_requests",
    "faster",
    "measure_all",
    "measure_latency",
    "quick_latency",
    "requests",
]
