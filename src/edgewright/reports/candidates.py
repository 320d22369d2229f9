"""Candidates: what each one is, what it reached, and what became of it; the table, its cards and the map's marks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgewright.core.measurement import Measurement
from edgewright.reports.figures import Figure, Scale, figure, quick, scale_for
from edgewright.reports.ratios import Ratio, shrink, speed_of
from edgewright.reports.reading import Entry, Report, text
from edgewright.reports.words import (
    METRICS,
    brief,
    capital,
    engine_name,
    limit_name,
    metric_name,
    sentence,
    told_against,
)

FULL_CARDS = 60
FIRST = 12
"""Rows of the table that are shown before anyone asks for all."""
"""Candidates that get a card with all they have; what comes after them in the table gets the essentials."""
_MAIN = ("latency_ms", "size_bytes", "ram_bytes", "accuracy", "accuracy_drop")
_OF_ITSELF = ("accuracy_drop", "worst_class_drop", "agreement", "sqnr_db")
"""What the original's figures would say of the original beside itself."""
_SIGNED = ("accuracy_drop", "worst_class_drop")
_ALIKE = {
    "latency_p95_ms": "latency_ms", "latency_p99_ms": "latency_ms", "latency_sustained_ms": "latency_ms",
    "download_bytes": "size_bytes",
}  # fmt: skip
Scales = Mapping[tuple[str, str], Scale]


@dataclass(frozen=True)
class Status:
    """What became of a candidate: ``state`` for drawings, ``word`` and ``tone`` for people, ``why`` in a sentence."""

    state: str
    word: str
    tone: str
    why: str
    rank: int


@dataclass(frozen=True)
class Cell:
    """A metric of a candidate on the page. ``ratio``: times better than the original; ``note``: which split or look."""

    name: str
    metric: str
    figure: Figure
    scale: Scale
    ratio: Ratio | None
    note: str

    @property
    def main(self) -> bool:
        """Whether it is one of the few that are always shown."""
        return self.metric in _MAIN

    @property
    def gain(self) -> str:
        """The ratio in words."""
        if self.ratio is None:
            return ""
        return self.ratio.gain("as fast") if self.metric == "latency_ms" else self.ratio.gain("less", "more")


@dataclass(frozen=True)
class Row:
    """A candidate in the table. ``cells`` by metric, ``limits`` as (words, kept or not)."""

    entry: Entry
    title: str
    engine: str
    sentence: str
    status: Status
    cells: Mapping[str, Cell]
    limits: tuple[tuple[str, bool], ...]
    speed: Ratio | None
    smaller: Ratio | None
    full: bool
    command: str
    told: tuple[Cell, ...]
    sort: str


def rows_of(report: Report) -> list[Row]:
    """The chosen candidate, the original, then all others by what became of them and by latency."""
    scales = scales_of(report)
    statuses = {entry.anchor: status_of(entry, report) for entry in report.everyone}

    def order(entry: Entry) -> tuple[int, float, str]:
        latency = entry.value("latency_ms")
        return statuses[entry.anchor].rank, math.inf if latency is None else latency, entry.id

    ranked = sorted(report.everyone, key=order)
    return [_row(entry, statuses[entry.anchor], report, scales, index) for index, entry in enumerate(ranked)]


def scales_of(report: Report) -> Scales:
    """One scale a metric and unit, for all candidates alike; times of calls share theirs, and so do sizes."""
    found: dict[tuple[str, str], list[float]] = {}
    for entry in report.everyone:
        for metric, m in entry.metrics.items():
            found.setdefault((_ALIKE.get(metric, metric), m.unit), []).append(m.value)
    return {key: scale_for(key[1], values) for key, values in found.items()}


def status_of(entry: Entry, report: Report) -> Status:
    """What became of a candidate."""
    if entry is report.baseline:
        return Status("baseline", "Original", "plain", "what everything is compared with", 1)
    if entry is report.best:
        why = "; ".join(("keeps every limit and scores best", *entry.doubts))
        return Status("best", "Chosen", "accent", why, 0)
    if entry.refused:
        return Status("refused", "Refused", "bad", "; ".join(entry.refused), 5)
    broken = entry.broken
    if broken:
        said = "; ".join(f"{limit_name(c.constraint.metric, report.metric)}: {told_against(c)}" for c in broken)
        word = "Over a limit" if any(c.value is not None for c in broken) else "Not known"
        return Status("broken", word, "attention" if word == "Over a limit" else "unknown", said, 4)
    if entry.doubts:
        return Status("kept", "In doubt", "attention", "; ".join(entry.doubts), 3)
    if any(entry is one for one in report.front):
        return Status("front", "On the front", "good", "keeps every limit; none is better in everything", 2)
    if entry.final:
        return Status("kept", "Keeps limits", "good", "keeps every limit; another is better in everything", 3)
    return Status(
        "kept", "Passed over", "unknown", "keeps every limit as far as the search saw; not measured further", 3
    )


def _row(entry: Entry, status: Status, report: Report, scales: Scales, index: int) -> Row:
    original = entry is report.baseline
    cells = {
        name: cell(name, m, entry, report, scales)
        for name, m in entry.metrics.items()
        if not (original and name in _OF_ITSELF)
    }
    ordered = {
        name: cells[name] for name in [*(n for n in METRICS if n in cells), *sorted(cells.keys() - METRICS.keys())]
    }
    size, before = entry.metrics.get("size_bytes"), report.baseline.metrics.get("size_bytes")
    speed = None if original else speed_of(entry, report.baseline)
    full = entry.final or entry in report.nearest or index < FULL_CARDS
    numbers = [
        None if m is None else m.value
        for m in (entry.metrics.get(n) for n in ("latency_ms", "size_bytes", "accuracy_drop"))
    ]
    sort = [index + 1, numbers[0], None if speed is None else speed.value, numbers[1], None if original else numbers[2]]
    return Row(
        entry=entry,
        title="The original model" if original else capital(brief(entry.recipe)),
        engine=engine_name(entry.engine),
        sentence=sentence(entry.recipe, entry.engine, entry.options),
        status=status,
        cells=ordered,
        limits=tuple(
            (f"{capital(limit_name(c.constraint.metric, report.metric))}: {told_against(c)}", c.kept)
            for c in entry.clauses
        ),
        speed=speed,
        smaller=None if original or size is None or before is None else shrink(size, before),
        full=full,
        command="" if original else f"edgewright reproduce report.json --candidate {entry.id} -o again/",
        # What finalists have besides stands in the comparison of the finalists.
        told=tuple(c for c in ordered.values() if c.main or not (entry.final or original)) if full else (),
        sort=",".join("" if x is None else f"{x:.6g}" for x in sort),
    )


def cell(metric: str, found: Measurement, entry: Entry, report: Report, scales: Scales) -> Cell:
    """One figure of one candidate."""
    scale = scales[_ALIKE.get(metric, metric), found.unit]
    ratio = None
    if entry is not report.baseline:
        before = report.baseline.metrics.get(metric)
        if metric == "latency_ms":
            ratio = speed_of(entry, report.baseline)
        elif before is not None and metric in ("size_bytes", "download_bytes", "ram_bytes", "energy_mj"):
            ratio = shrink(found, before)
    signed = metric in _SIGNED and entry is not report.baseline
    shown = figure(found, scale, signed=signed)
    return Cell(metric_name(metric, report.metric), metric, shown, scale, ratio, note_of(metric, found, entry))


def note_of(metric: str, found: Measurement, entry: Entry) -> str:
    """Which split, or how careful a look, stands behind a figure."""
    if quick(found):
        return "quick look"
    split = text(found.conditions.get("split"))
    if split == "test":
        return "held-out test"
    if split:
        return f"{split} split"
    if metric == "latency_ms" and found.kind == "measured" and entry.final:
        return "side by side"
    return ""
