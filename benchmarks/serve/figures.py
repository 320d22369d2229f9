"""From latencies to what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}


def quantiles(latency_s: NDArray[np.float64]) -> dict[str, float | None]:
    """p50, p99 and p99.9 in us; None where fewer than five requests lie beyond (p50: where there are none)."""
    count, found = len(latency_s), dict[str, float | None]()
    for name, q in QUANTILES.items():
        enough = count > 0 if q == 0.5 else count * (1 - q) >= 4.999
        found[name] = round(1e6 * float(np.quantile(latency_s, q)), 2) if enough else None
    return found


def pooled(turns: Sequence[dict[str, Any]], latency_s: Sequence[NDArray[np.float64]]) -> dict[str, Any]:
    """One row of several turns (each: ``asked``, ``failed``, ``elapsed_s``, ``cpu_s``): all requests together.

    ``p50_turns_us``: each turn's own p50, so that a reader sees how far they lie apart. CPU is over all that was asked,
    the warm-up included, as it is in the CPU time.
    """
    whole = np.concatenate(latency_s) if latency_s else np.array([])
    asked = sum(turn["asked"] for turn in turns)
    elapsed = sum(turn["elapsed_s"] for turn in turns)
    return {
        "requests": len(whole), "failed": sum(turn["failed"] for turn in turns), **quantiles(whole),
        "p50_turns_us": [round(1e6 * float(np.median(one)), 2) for one in latency_s if len(one)],
        "rate": round(len(whole) / elapsed, 1) if elapsed else 0.0,
        "cpu_us": round(1e6 * sum(turn["cpu_s"] for turn in turns) / asked, 2) if asked else None,
    }  # fmt: skip
