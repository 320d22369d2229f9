"""Figures for a machine that is not here: predicted by a roofline, and labelled so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from edgewright.core.candidate import Candidate
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.graphs.costs import workload
from edgewright.targets import Target, estimate_energy, predict_latency


def prediction(target: Target, threads: int) -> Callable[[Candidate], dict[str, Measurement]]:
    """From a candidate to its ``latency_ms`` (predicted) and, where the target states its power, ``energy_mj``."""

    def predict(candidate: Candidate) -> dict[str, Measurement]:
        latency = predict_latency(workload(candidate.model), target, threads=min(threads, target.usable_cores))
        found = {"latency_ms": replace(latency, subject=candidate.model.digest)}
        with suppress(InputError):  # the target states no power: no figure is better than a made-up one
            found["energy_mj"] = estimate_energy(latency, target, threads=min(threads, target.usable_cores))
        return found

    return predict
