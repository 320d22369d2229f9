"""Peak memory: what a model adds to a process that holds the engine, and what that process takes altogether."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays
from edgewright.measurement.fresh import Fresh, observe
from edgewright.measurement.intervals import interval_note, median_of
from edgewright.measurement.latency import Checkpoint
from edgewright.measurement.subject import Subject


def measure_memory(
    subjects: Mapping[str, Subject],
    inputs: Sequence[Arrays],
    *,
    runs: int = 5,
    seed: int = 0,
    timeout_s: float = 120.0,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Measurement]:
    """``ram_bytes`` of every subject: see ``peak_memory``. Raises as ``fresh.observe`` does."""
    seen = observe(subjects, inputs, runs=runs, seed=seed, timeout_s=timeout_s, checkpoint=checkpoint)
    return {name: peak_memory(runs, subjects[name].model.digest) for name, runs in seen.items() if runs}


def peak_memory(runs: Sequence[Fresh], subject: str = "", target: str = "host") -> Measurement:
    """``ram_bytes``: peak resident memory of a fresh process that opens the model and answers requests, minus what the
    same process had with the engine's library loaded and no model. Medians over processes.

    That is the model's file, the engine's copies, packed weights, the arena and the engine's code that only a model
    touches: what choosing this model and engine costs. The conditions hold the whole process (``total_bytes``), the
    part with the engine alone (``engine_bytes``), what stays when the requests are answered and belongs to
    nobody else (``steady_bytes``), and how the peak is known.
    """
    found = median_of([float(run.peak_bytes - run.before_bytes) for run in runs])
    steady = [run.private_bytes for run in runs if run.private_bytes is not None]
    told = {
        "total_bytes": round(statistics.median(run.peak_bytes for run in runs)),
        "engine_bytes": round(statistics.median(run.before_bytes for run in runs)),
        **({"steady_bytes": round(statistics.median(steady))} if steady else {}),
        "source": runs[0].how,
        **interval_note(found.n),
    }
    return Measurement(found.value, "B", "measured", found.n, found.low, found.high, told, target, subject)
