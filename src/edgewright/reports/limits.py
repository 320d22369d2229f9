"""Limits: how much of each was used, which one bound, what came nearest beyond it, and what was refused."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from markupsafe import Markup

from edgewright.core.candidate import Clause
from edgewright.core.measurement import Measurement
from edgewright.reports.figures import Figure, figure, scale_for, span
from edgewright.reports.plots.bars import gauge
from edgewright.reports.reading import Entry, Report
from edgewright.reports.words import PASSES, brief, capital, count, limit, limit_name, percent, title_of, told_against

_FLAGS = {
    "latency_ms": ("--max-latency-ms", 1.0),
    "size_bytes": ("--max-size-mb", 1e6),
    "ram_bytes": ("--max-memory-mb", 1e6),
    "energy_mj": ("--max-energy-mj", 1.0),
    "accuracy_drop": ("--max-accuracy-drop", 1.0),
}
"""The command's flag for a limit, and what its unit is in the metric's."""


@dataclass(frozen=True)
class Limit:
    """A limit held against the candidate shown. ``state``: kept, broken or unknown; ``note``: what to know of it."""

    name: str
    asked: str
    found: Figure | None
    gauge: Markup
    state: str
    binding: bool
    note: str


@dataclass(frozen=True)
class Near:
    """A candidate just beyond a limit."""

    anchor: str
    title: str
    off: str


@dataclass(frozen=True)
class Bound:
    """The whole section. ``story`` in sentences; ``refusals`` as (reason, how many candidates)."""

    limits: tuple[Limit, ...]
    story: tuple[str, ...]
    nearest: tuple[Near, ...]
    refusals: tuple[tuple[str, str], ...]
    shown: str
    pressed: bool


def bound_of(report: Report) -> Bound:
    """What bound and why."""
    shown = report.best or (report.nearest[0] if report.nearest else None)
    clauses = [Clause(c, None, None) for c in report.constraints] if shown is None else shown.clauses
    limits = tuple(_limit(clause, shown or Entry("", ""), report) for clause in clauses)
    near = tuple(
        Near(c.anchor, brief(c.recipe, c.engine), "; ".join(_off(clause, report) for clause in c.broken))
        for c in report.nearest
    )
    alike: dict[str, list[str]] = {}
    for reason in (_kind(reason) for c in report.candidates for reason in c.refused):
        alike.setdefault(re.sub(r"[\d.]+", "#", reason), []).append(reason)
    refusals = tuple(
        (capital(found[0]), count(len(found), "candidate") + (", the figures differ" if len(set(found)) > 1 else ""))
        for found in sorted(alike.values(), key=lambda found: (-len(found), found[0]))
    )
    title = "" if shown is None else "the chosen candidate" if shown is report.best else "the nearest candidate"
    tight = report.binding
    pressed = tight is not None and not _unused(tight)
    return Bound(limits, tuple(_story(report)), near, refusals, title, pressed)


def _kind(reason: str) -> str:
    """A reason without the figures that differ from candidate to candidate."""
    start, _, rest = reason.partition(": ")
    first, _, more = start.partition(" ")
    if first in PASSES:
        return f"{title_of(first)} {more}" if more else f"{title_of(first)}: {rest}"
    return start


def _limit(clause: Clause, entry: Entry, report: Report) -> Limit:
    constraint = clause.constraint
    found = entry.metrics.get(constraint.metric)
    bound = report.binding
    binding = bound is not None and bound.constraint.metric == constraint.metric
    state = "unknown" if clause.value is None else "kept" if clause.kept else "broken"
    low, high = (None, None) if found is None else span(found)

    def used(value: float | None) -> float | None:
        if value is None:
            return None
        if constraint.sense == "min":
            return constraint.limit / value if value > 0 else 1.25
        return value / constraint.limit if constraint.limit > 0 else (0.0 if value <= 0 else 1.25)

    drawn = gauge(used(clause.value) or 0.0, used(low), used(high), kept=clause.kept)
    shown = None
    if found is not None:
        shown = figure(
            found, scale_for(constraint.unit, [constraint.limit]), signed=constraint.metric == "accuracy_drop"
        )
    return Limit(
        capital(limit_name(constraint.metric, report.metric)), limit(constraint), shown, drawn, state, binding,
        _caution(clause, found, entry),
    )  # fmt: skip


def _caution(clause: Clause, found: Measurement | None, entry: Entry) -> str:
    """Where a limit is kept by the value, but not by the whole interval, or by a figure nobody measured."""
    if found is None or clause.value is None:
        return "No figure, so the limit does not count as kept." if entry.id else ""
    told = []
    low, high = span(found)
    end = high if clause.constraint.sense == "max" else low
    if clause.kept and end is not None and clause.constraint.slack(end) < 0:
        shown = figure(found, scale_for(clause.constraint.unit, [clause.constraint.limit]), signed=True)
        reached = shown.interval.split(" to ")[0 if end == low else 1]
        more = ""
        if clause.constraint.metric == "accuracy_drop":
            more = f": {count(found.n, 'sample')} cannot tell it closer, more would"
        told.append(f"Kept by the value; the interval reaches {reached} {shown.unit}{more}.")
    if found.kind != "measured":
        told.append(f"This figure is {found.kind}, not measured.")
    return " ".join(told)


def _off(clause: Clause, report: Report) -> str:
    return f"{limit_name(clause.constraint.metric, report.metric)}: {told_against(clause)}"


def _story(report: Report) -> list[str]:
    bound = report.binding
    if report.best is None:
        return _stuck(report)
    if bound is None or bound.slack is None:
        return ["No limit was set."] if not report.constraints else []
    name = limit_name(bound.constraint.metric, report.metric)
    if _unused(bound):
        told = [f"No limit pressed: {name} came nearest to one, and nothing of it was used."]
    else:
        told = [f"The tightest limit was {name}: {percent(bound.slack)} of it was left."]
    if report.nearest:
        first = report.nearest[0]
        said = "; ".join(_off(clause, report) for clause in first.broken)
        told.append(f"The nearest beyond it: {brief(first.recipe, first.engine)} ({said}).")
    return told


def _unused(clause: Clause) -> bool:
    """Whether nothing of a limit was used."""
    return (clause.value is not None and clause.value <= 0) or (clause.slack is not None and clause.slack >= 1)


def _stuck(report: Report) -> list[str]:
    if not report.nearest:
        if report.candidates:
            return ["No candidate came as far as being held against the limits."]
        return ["Nothing was held against the limits that were set."] if report.constraints else []
    first = report.nearest[0]
    broken = first.broken
    told = [f"The nearest candidate, {brief(first.recipe, first.engine)}, breaks {count(len(broken), 'limit')}."]
    if len(broken) == 1 and broken[0].value is not None:
        clause = broken[0]
        flag, unit = _FLAGS.get(clause.constraint.metric, ("", 1.0))
        if flag and clause.value is not None:
            told.append(f"{flag} {_roomy(clause.value / unit)} would let it pass.")
    return told


def _roomy(value: float) -> str:
    """A round limit just above a value."""
    if value <= 0:
        return "0"
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step) * step:.6g}"
