"""The two maps: latency against size, and latency against what accuracy it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from markupsafe import Markup

from edgewright.core.measurement import Measurement
from edgewright.reports.candidates import Row
from edgewright.reports.figures import Scale, span
from edgewright.reports.plots.scale import Axis, linear_axis, ratio_axis
from edgewright.reports.plots.scatter import Extent, Mark, Side, State, legend, scatter, shapes
from edgewright.reports.reading import Report
from edgewright.reports.words import capital, count, limit_name

_NEAR = 4.0
"""How many times beyond the figures a limit may lie and still be drawn to scale."""


@dataclass(frozen=True)
class Map:
    """A map with the name of its switch."""

    key: str
    title: str
    drawing: Markup


def maps_of(report: Report, rows: Sequence[Row]) -> list[Map]:
    """The maps that can be drawn."""
    made = []
    for key, title, metric in (("size", "Size", "size_bytes"), ("accuracy", "Accuracy lost", "accuracy_drop")):
        shown = [row for row in rows if "latency_ms" in row.entry.metrics and metric in row.entry.metrics]
        if len(shown) >= 2:
            made.append(Map(key, title, _draw(f"map-{key}", metric, shown, report)))
    return made


def _draw(name: str, metric: str, rows: Sequence[Row], report: Report) -> Markup:
    x = _ratios("latency_ms", rows, report, "Latency of a call")
    y = _losses(rows, report) if metric == "accuracy_drop" else _ratios(metric, rows, report, "Size on disk")
    marks = [_mark(row, metric, report) for row in rows]
    points = [
        (row.entry.metrics["latency_ms"].value, row.entry.metrics[metric].value) for row in rows if _on_front(row)
    ]
    summary = f"{count(len(rows), 'candidate')} by latency and {limit_name(metric, report.metric)}"
    return scatter(name, summary, marks, x, y, _lower_left(points))


def _on_front(row: Row) -> bool:
    return row.status.state in ("front", "best")


def _lower_left(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of the points that no other beats in both, from left to right."""
    made: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not made or y < made[-1][1]:
            made.append((x, y))
    return made


def _ratios(metric: str, rows: Sequence[Row], report: Report, title: str) -> Side:
    """An axis for a metric whose ratios matter, with its limit where that is near."""
    found = [row.entry.metrics[metric] for row in rows]
    values = [x for m in found for x in (m.value, *span(m)) if x is not None]
    limit = report.limit(metric)
    low, high = min(m.value for m in found), max(m.value for m in found)
    if limit is not None and low / _NEAR <= limit.limit <= high * _NEAR:
        values.append(limit.limit)
    scale = rows[0].cells[metric].scale
    original = report.baseline.value(metric)
    kinds = "/".join(dict.fromkeys(m.kind for m in found))
    return Side(f"{title}, {scale.unit} ({kinds})", ratio_axis(values), scale,
                None if limit is None else limit.limit, origin=original)  # fmt: skip


def _losses(rows: Sequence[Row], report: Report) -> Side:
    """What accuracy was lost, nothing at the top. Candidates that lost far more than anyone would take lie beyond."""
    found = [row.entry.metrics["accuracy_drop"] for row in rows]
    limit = report.limit("accuracy_drop")
    near = [0.0]
    if limit is not None:
        near += [limit.limit, limit.limit * 2]
    for row in rows:
        if row.entry.final and row.entry is not report.baseline:
            near += [end for end in span(row.entry.metrics["accuracy_drop"]) if end is not None]
    values = sorted(m.value for m in found)
    most = max(*near, values[3 * (len(values) - 1) // 4])
    axis = linear_axis([min(min(near), values[0]), min(most, max(values[-1], *near))], 0.06)
    unit = found[0].unit
    what = capital(limit_name("accuracy_drop", report.metric))
    return Side(f"{what}{f', {unit}' if unit else ''}", axis, Scale(1.0, unit), None if limit is None else limit.limit,
                down=True, origin=0.0)  # fmt: skip


def _mark(row: Row, metric: str, report: Report) -> Mark:
    entry = row.entry
    told = [str(row.cells[name].figure) for name in ("latency_ms", "size_bytes") if name in row.cells]
    if "accuracy_drop" in row.cells and entry is not report.baseline:
        lost = row.cells["accuracy_drop"].figure
        told.append(f"{limit_name('accuracy_drop', report.metric)}: {lost}")
    of_itself = entry is report.baseline and metric == "accuracy_drop"  # nothing is lost against oneself
    label = {"best": "chosen", "baseline": "original"}.get(row.status.state, "")
    why = f" ({row.status.why})" if row.status.state in ("refused", "broken") else ""
    about = f"{row.title} on {row.engine}. {row.status.word}{why}. {'; '.join(told)}"
    y = Extent(0.0) if of_itself else _extent(entry.metrics[metric])
    final = entry.final or entry is report.baseline
    state = cast(State, row.status.state)
    return Mark(entry.anchor, about, _extent(entry.metrics["latency_ms"]), y, state, final, _accurate(row), label)


def _accurate(row: Row) -> bool:
    """Whether the limit on accuracy, if there is one, is kept."""
    return all(c.kept for c in row.entry.clauses if c.constraint.metric == "accuracy_drop")


def _extent(found: Measurement) -> Extent:
    return Extent(found.value, *span(found))


def key_of(rows: Sequence[Row]) -> Markup:
    """The legend, of what there is to see."""
    states = {row.status.state for row in rows}
    kept = [row for row in rows if row.status.state in ("kept", "front")]
    entries = []
    if "best" in states:
        entries.append(("star", "best final", "chosen"))
    entries.append(("square", "baseline final", "original"))
    if any(row.entry.final for row in kept):
        entries.append(("circle", "front final", "keeps limits, held-out test"))
    if any(not row.entry.final for row in kept):
        entries.append(("circle", "kept", "keeps limits, search split"))
    if "broken" in states:
        broken = [row for row in rows if row.status.state == "broken"]
        if any(not _accurate(row) for row in broken):
            entries.append(("triangle", "broken inaccurate", "accuracy beyond its limit"))
        if any(_accurate(row) for row in broken):
            entries.append(("circle", "broken", "another limit broken"))
    if "refused" in states:
        entries.append(("cross", "refused", "refused"))
    return shapes() + legend(entries)


__all__ = ["Axis", "Map", "key_of", "maps_of"]
