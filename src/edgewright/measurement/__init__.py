"""Measurement: latency, memory, size, accuracy and energy that one can trust."""

from __future__ import annotations

from edgewright.measurement.decisions import faster, quick_latency
from edgewright.measurement.latency import LatencyResult, Plan, measure_latency

__all__ = ["LatencyResult", "Plan", "faster", "measure_latency", "quick_latency"]
