"""The finalists: every figure side by side, and the distributions of their times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgewright.reports.candidates import Cell, Row
from edgewright.reports.figures import Scale
from edgewright.reports.plots.ridges import Ridge, ridge, ruler
from edgewright.reports.plots.scale import Axis, ratio_axis
from edgewright.reports.ratios import Ratio
from edgewright.reports.reading import Entry, Report, Table, items, number, table, text
from edgewright.reports.words import METRICS, count, metric_name

MOST = 7
"""Columns of the comparison, the original included."""


@dataclass(frozen=True)
class Line:
    """A metric across the finalists; a cell is None where it is missing, ``why`` then says why."""

    name: str
    cells: tuple[Cell | None, ...]
    why: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Comparison:
    """The finalists' figures: columns and lines."""

    columns: tuple[Row, ...]
    lines: tuple[Line, ...]
    left_out: int


def comparison(report: Report, rows: Sequence[Row]) -> Comparison | None:
    """The finalists side by side; None when there is nothing but the original."""
    by_anchor = {row.entry.anchor: row for row in rows}
    columns = [by_anchor[entry.anchor] for entry in report.finals]
    if len(columns) < 2:
        return None
    shown = columns[:MOST]
    present = {name for row in shown for name in (*row.cells, *row.entry.missing)}
    ordered = [*(n for n in METRICS if n in present), *sorted(present - METRICS.keys())]
    lines = tuple(
        Line(
            metric_name(metric, report.metric),
            tuple(row.cells.get(metric) for row in shown),
            tuple(
                row.entry.missing.get(metric, "" if row.status.state == "baseline" else "not measured") for row in shown
            ),
            _common(row.cells[metric].note for row in shown if metric in row.cells),
        )
        for metric in ordered
    )
    return Comparison(tuple(shown), lines, len(columns) - len(shown))


def _common(notes: Iterable[str]) -> str:
    """The note that all share, "" when they differ."""
    seen = set(notes)
    return seen.pop() if len(seen) == 1 else ""


@dataclass(frozen=True)
class Spread:
    """One candidate's times: its drawing, and the figures beside it."""

    row: Row
    drawing: Markup
    p50: str
    p95: str
    p99: str
    speed: Ratio | None


@dataclass(frozen=True)
class Times:
    """The section on times: distributions over one axis, how they were taken, and what disturbed them."""

    spreads: tuple[Spread, ...]
    ruler: Markup
    scale: Scale
    how: str
    disturbed: tuple[str, ...]


def times(report: Report, rows: Sequence[Row]) -> Times | None:
    """The distributions of what was timed side by side; None where nothing was."""
    by_anchor = {row.entry.anchor: row for row in rows}
    found = [(by_anchor[e.anchor], _quantiles(e)) for e in report.finals]
    timed = [(row, quantiles) for row, quantiles in found if len(quantiles) >= 5 and "latency_ms" in row.cells]
    if not timed:
        return None
    axis = ratio_axis([q for _, quantiles in timed for q in (quantiles[0], quantiles[-1])], 0.03)
    scale = timed[0][0].cells["latency_ms"].scale
    spreads = tuple(_spread(row, quantiles, axis, scale, report) for row, quantiles in timed)
    conditions = table(timed[0][0].entry.latency.get("conditions"))
    disturbed = dict.fromkeys(note for row, _ in timed for note in _notes(row.entry))
    return Times(spreads, ruler(axis, scale), scale, _how(conditions), tuple(disturbed))


def _quantiles(entry: Entry) -> tuple[float, ...]:
    found = [number(q) for q in items(entry.latency.get("distribution_ms"))][:2001]
    good = sorted(q for q in found if q is not None and q > 0)
    return tuple(good)


def _spread(row: Row, quantiles: tuple[float, ...], axis: Axis, scale: Scale, report: Report) -> Spread:
    def of(name: str, key: str = "value") -> float | None:
        return number(table(row.entry.latency.get(name)).get(key))

    middle = of("p50")
    p50 = middle if middle is not None else quantiles[len(quantiles) // 2]
    p95, p99 = of("p95"), of("p99")
    told = [
        f"{name} {scale.told(value)}" for name, value in (("p50", p50), ("p95", p95), ("p99", p99)) if value is not None
    ]
    about = f"{row.title} on {row.engine}: {', '.join(told)}"
    tone = {"best": "best", "baseline": "baseline"}.get(row.status.state, "")
    drawn = ridge(Ridge(quantiles, p50, of("p50", "low"), of("p50", "high"), p95, p99, about, tone), axis)
    tails = ["" if tail is None else scale.of(tail) for tail in (p95, p99)]
    return Spread(row, drawn, row.cells["latency_ms"].figure.text, tails[0], tails[1], row.speed)


def _notes(entry: Entry) -> list[str]:
    return [text(note) for note in items(table(entry.latency.get("conditions")).get("notes"))]


def _how(told: Table) -> str:
    """How the times were taken, from the conditions of the original's."""
    parts = []
    rounds, openings, threads = (number(told.get(key)) for key in ("rounds", "openings", "threads"))
    if rounds:
        parts.append(f"{count(rounds, 'round')}, each visiting every candidate once in turning order")
    if openings:
        parts.append(f"{count(openings, 'opening')} of each")
    if threads:
        parts.append(count(threads, "thread"))
    pinned = items(told.get("pinned"))
    if pinned:
        parts.append(f"pinned to CPU {', '.join(text(cpu) for cpu in pinned)}")
    return "; ".join(parts)


def gaps(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """Figures that are missing, with the reason: by reason, what and whose."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry in report.finals:
        who = "the original" if entry is report.baseline else entry.id
        for metric, why in entry.missing.items():
            found.setdefault(why or "no reason given", {}).setdefault(metric, []).append(who)
    return [
        (why, [(metric_name(metric, report.metric), ", ".join(who)) for metric, who in metrics.items()])
        for why, metrics in found.items()
    ]
