"""``/metrics``: what the server did, in Prometheus's text format (exposition format 0.0.4).

Times are histograms of fixed buckets, filled from the sketches in ``stats.py``: they can be summed over models and
servers, and differences of two scrapes give the quantiles of any window. A time is put into the bucket that surely
holds it, so near a bound up to 2% of its value may count one bucket higher.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright import __version__
from edgewright.core.sketches import Sketch
from edgewright.runtime.lanes.http import Reply
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served
from edgewright.runtime.stats import Stats, Times

TYPE = b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
QUANTILES = (0.5, 0.9, 0.99)
BUCKETS_S = (*(factor * 10.0**power for power in range(-6, 1) for factor in (1, 2, 5)), 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_STARTED = time.time()
Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""What follows the family's name (as ``_sum``), labels, value."""
Family = tuple[str, str, str, Sequence[Sample]]
"""Name, kind, help, samples."""


class Metrics:
    """``server`` tells what only the server knows."""

    def __init__(self, repository: Repository, server: Callable[[], Iterable[Family]]) -> None:
        self._repository, self._server = repository, server

    def reply(self) -> Reply:
        """The page."""
        return 200, TYPE, "".join(self._lines()).encode("utf-8", "replace")

    def _lines(self) -> Iterator[str]:
        tallies = self._repository.tallies.stats().items()
        models = [({"model": name, "version": version}, stats) for (name, version), stats in tallies]
        for name, kind, told, samples in (*_of_models(models), *_of_all(self._repository), *self._server()):
            yield from family(f"edgewright_{name}", kind, told, samples)
        for name, kind, told, value in _process():
            yield from family(f"process_{name}", kind, told, [("", {}, value)])


def family(name: str, kind: str, told: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One metric family's lines."""
    yield f"# HELP {name} {_escaped(told, quotes=False)}\n# TYPE {name} {kind}\n"
    for suffix, labels, value in samples:
        inner = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        yield f"{name}{suffix}{{{inner}}} {_number(value)}\n" if inner else f"{name}{suffix} {_number(value)}\n"


def histogram(times: Times, labels: Labels) -> Iterator[Sample]:
    """A histogram of times in s."""
    sketch = times.sketch
    positive, zeros = list(sketch.positive.items()), sketch.zeros
    counts = sorted(positive)
    place, total = 0, zeros
    for bound in BUCKETS_S:
        last = _last(sketch, bound)
        while place < len(counts) and counts[place][0] <= last:
            total += counts[place][1]
            place += 1
        yield "_bucket", {**labels, "le": f"{bound:g}"}, total
    total += sum(n for _, n in counts[place:])
    yield "_bucket", {**labels, "le": "+Inf"}, total
    yield "_sum", labels, times.sum_s
    yield "_count", labels, total


def summary(sketch: Sketch, labels: Labels) -> Iterator[Sample]:
    """The quantiles and the count of what a sketch has seen since the start; NaN where that is nothing."""
    finite = sketch.count
    count = finite + sketch.infinities
    for q in QUANTILES:
        rank = math.floor(q * (count - 1))
        value = math.nan if not count else math.inf if rank >= finite else sketch.quantile(rank / max(finite - 1, 1))
        yield "", {**labels, "quantile": f"{q:g}"}, value
    yield "_count", labels, count


def _last(sketch: Sketch, bound: float) -> int:
    """The last of the sketch's bins that lies below ``bound`` as a whole."""
    log_gamma = math.log1p(sketch.accuracy) - math.log1p(-sketch.accuracy)
    return math.floor(math.log(bound) / log_gamma + 1e-9)


def _of_models(models: Sequence[tuple[Labels, Stats]]) -> Iterator[Family]:
    times = (
        ("queue_seconds", "Time requests waited in line.", "queue"),
        ("compute_seconds", "Time of runs, of one request or of a batch.", "compute"),
        ("parse_seconds", "Time to read a request, of every 16th or so.", "parse"),
        ("write_seconds", "Time to write a reply, of every 16th or so.", "write"),
    )
    for name, told, which in times:
        yield name, "histogram", told, [s for labels, m in models for s in histogram(getattr(m, which), labels)]
    yield "batch_rows", "histogram", "Rows of a run.", [s for labels, m in models for s in _batches(m, labels)]
    outcomes = [
        ("", {**labels, "outcome": outcome}, count)
        for labels, m in models
        for outcome, count in (("ok", m.requests), *sorted(m.faults.items()))
    ]
    yield "requests_total", "counter", "Requests by what became of them.", outcomes
    plain = (
        ("rows_total", "Rows that were run.", "rows"),
        ("deadline_misses_total", "Deadlines that were not met: answered late, fail-safe, or not at all.", "missed"),
        ("cache_hits_total", "Requests answered from the cache.", "hits"),
        ("cache_misses_total", "Requests that the cache had no answer for.", "misses"),
        ("fail_safe_total", "Requests that were given the declared fail-safe outputs.", "safe"),
    )
    for name, told, which in plain:
        yield name, "counter", told, [("", labels, getattr(m, which)) for labels, m in models]


def _batches(stats: Stats, labels: Labels) -> Iterator[Sample]:
    counts = list(stats.batches.items())
    for bound in _ROWS:
        yield "_bucket", {**labels, "le": str(bound)}, sum(n for rows, n in counts if rows <= bound)
    runs = sum(n for _, n in counts)
    yield "_bucket", {**labels, "le": "+Inf"}, runs
    yield "_sum", labels, stats.rows
    yield "_count", labels, runs


def _of_all(repository: Repository) -> Iterator[Family]:
    totals = repository.totals
    index = [({"model": e.name, "version": e.version, "state": e.state}, 1.0) for e in repository.index()]
    yield "model_info", "gauge", "1 for each version that answers: what runs, of which files.", [
        ("", {**_labels(served), "engine": served.source.engine, "provider": served.session.provider,
              "digest": served.source.digest}, 1)
        for served in repository.ready()
    ]  # fmt: skip
    yield "build_info", "gauge", "Always 1.", [("", {"version": __version__, "python": sys.version.split()[0]}, 1)]
    yield "model_state", "gauge", "1 for each version in the index.", [("", labels, one) for labels, one in index]
    reloads = [("", {"outcome": outcome}, float(n)) for outcome, n in sorted(totals.reloads.items())]
    yield "reloads_total", "counter", "Models replaced while serving, by outcome.", reloads
    told = "The longest a request waited for a reload."
    yield "reload_longest_pause_seconds", "gauge", told, [("", {}, totals.longest_pause_s)]


def _process() -> Iterator[tuple[str, str, str, float]]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "cpu_seconds_total", "counter", "Processor time.", used.ru_utime + used.ru_stime
    yield "start_time_seconds", "gauge", "When the process started, since the epoch.", _STARTED
    yield "resident_memory_bytes", "gauge", "Memory in use.", resident_bytes()
    yield "open_fds", "gauge", "Open file handles.", sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident_bytes() -> int:
    """This process's memory that is in RAM (Linux: proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _labels(served: Served) -> dict[str, Any]:
    return {"model": served.source.name, "version": served.source.version}


def _escaped(text: str, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
