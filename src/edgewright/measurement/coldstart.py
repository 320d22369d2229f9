"""Cold start: from the decision to open a model to its first answer, in a process that has done nothing before."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays
from edgewright.measurement.fresh import Fresh, observe
from edgewright.measurement.intervals import interval_note, median_of
from edgewright.measurement.latency import Checkpoint
from edgewright.measurement.subject import Subject


def measure_cold_start(
    subjects: Mapping[str, Subject],
    inputs: Sequence[Arrays],
    *,
    runs: int = 7,
    seed: int = 0,
    cold_disk: bool = False,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Measurement]:
    """``cold_start_ms`` of every subject: reading, opening and the first answer, medians over fresh processes.

    The engine's library is loaded already; what loading it adds stands in the conditions (``import_ms``), as do the
    parts and the time from the start of the process. The model's files come from the page cache unless ``cold_disk``
    is asked for and the kernel obliges; ``page_cache`` says which. Raises as ``fresh.observe`` does.
    """
    seen = observe(subjects, inputs, runs=runs, seed=seed, cold_disk=cold_disk, checkpoint=checkpoint)
    return {name: cold_start(runs, subjects[name].model.digest) for name, runs in seen.items() if runs}


def cold_start(runs: Sequence[Fresh], subject: str = "", target: str = "host") -> Measurement:
    """``cold_start_ms`` from fresh processes; under six of them the interval is their range, and says so."""
    found = median_of([run.start_ms for run in runs])
    dropped = sum(run.cold_disk for run in runs)
    cache = "warm" if not dropped else "model dropped" if dropped == len(runs) else f"model dropped in {dropped} runs"

    def middle(name: str) -> float:
        return round(float(statistics.median(getattr(run, name) for run in runs)), 3)

    told = {
        **{name: middle(name) for name in ("read_ms", "open_ms", "first_ms", "second_ms", "import_ms", "process_ms")},
        "page_cache": cache,
        "provider": runs[0].provider,
        **interval_note(found.n),
    }
    return Measurement(found.value, "ms", "measured", found.n, found.low, found.high, told, target, subject)
