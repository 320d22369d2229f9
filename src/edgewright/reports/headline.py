"""The verdict in one sentence, and the few figures under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.core.measurement import Measurement
from edgewright.reports.figures import TIMES, Figure, Scale, between, duration, figure, plain, scale_for, span
from edgewright.reports.ratios import Ratio, shrink, speed_of
from edgewright.reports.reading import Entry, Metric, Report, number, text
from edgewright.reports.words import brief, capital, count, limit, limit_name, metric_name, told_against

_TILES = ("latency_ms", "size_bytes", "accuracy", "ram_bytes", "energy_mj")


@dataclass(frozen=True)
class Piece:
    """A stretch of the sentence; ``aside`` pieces (intervals) are set lighter."""

    text: str
    aside: bool = False


@dataclass(frozen=True)
class Bar:
    """A bar's length and interval as shares of the scale."""

    share: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tile:
    """One figure before and after. ``bars``: share of the larger one, with the ends of the interval."""

    title: str
    gist: str
    gist_after: str
    tone: str
    before: Figure
    after: Figure
    bars: tuple[Bar, Bar]
    note: str
    kind: str


def verdict(report: Report) -> list[Piece]:
    """What was won, or what stood in the way, in one sentence."""
    best = report.best
    if best is None:
        return _stuck(report)
    if best.id == report.baseline.id:
        return [Piece("The original stays: nothing that was tried keeps every limit and is better.")]
    parts: list[list[Piece]] = []
    ratio = speed_of(best, report.baseline)
    if ratio is not None:
        parts.append(_speed(ratio))
    before, after = report.baseline.metrics.get("size_bytes"), best.metrics.get("size_bytes")
    if before is not None and after is not None and (smaller := shrink(after, before)) is not None:
        parts.append([Piece(_size(smaller))])
    drop = best.metrics.get("accuracy_drop")
    if drop is not None:
        parts.append(_lost(drop, report.metric))
    if not parts:
        return [Piece("A candidate keeps every limit.")]
    return _joined(parts)


def _speed(ratio: Ratio) -> list[Piece]:
    aside = [Piece(f" ({ratio.interval})", aside=True)] if ratio.interval else []
    start = "predicted to be " if ratio.kind == "predicted" else ""
    if not ratio.sure:
        return [Piece(f"{start}about as fast"), *aside]
    return [Piece(f"{start}{ratio.text} times as fast"), *aside]


def _size(ratio: Ratio) -> str:
    if abs(ratio.value - 1) < 0.005:
        return "the same size"
    if ratio.value > 1:
        return f"{ratio.text} times smaller"
    return f"{Ratio(1 / ratio.value).text} times larger"


def _lost(drop: Measurement, metric: Metric) -> list[Piece]:
    scale = Scale(1.0, drop.unit)
    gained = figure(drop, scale).text.startswith("\u2212")
    size = figure(drop, scale).text.removeprefix("\u2212")
    low, high = span(drop)
    if gained and low is not None and high is not None:
        low, high = -high, -low
    aside = []
    if low is not None and high is not None:
        places = 1 if drop.unit == "points" and drop.n < 2000 else None
        aside = [Piece(f" ({between(low, high, places, signed=True)})", aside=True)]
    what = f"{size} {drop.unit}".strip()
    if metric.higher_is_better:
        return [Piece(f"{what} of {metric.title} {'gained' if gained else 'lost'}"), *aside]
    return [Piece(f"{metric.title} {'lower' if gained else 'higher'} by {what}"), *aside]


def _joined(parts: Sequence[list[Piece]]) -> list[Piece]:
    made: list[Piece] = []
    for index, part in enumerate(parts):
        if index:
            made.append(Piece(" and " if index == len(parts) - 1 else ", "))
        made.extend(part)
    return [Piece(capital(made[0].text), made[0].aside), *made[1:], Piece(".")]


def _stuck(report: Report) -> list[Piece]:
    if not report.candidates:
        stopped = text(report.raw.get("stopped"))
        return [Piece(f"Nothing was tried{f': {stopped}' if stopped else ''}.")]
    start = f"None of {count(len(report.candidates), 'candidate')} keeps every limit"
    bound = report.binding
    if bound is None:
        refused = sum(bool(c.refused) for c in report.candidates)
        why = "every one was refused" if refused == len(report.candidates) else "no single limit stood in the way"
        return [Piece(f"{start}: {why}.")]
    what = limit_name(bound.constraint.metric, report.metric)
    return [Piece(f"{start}: {what} stood in the way, with {told_against(bound)}.")]


def means(report: Report) -> str:
    """The sentence under the verdict: what the figures rest upon."""
    if report.best is None:
        if report.nearest:
            nearest = report.nearest[0]
            return f"The nearest one: {brief(nearest.recipe, nearest.engine)}."
        return ""
    drop = report.best.metrics.get("accuracy_drop")
    told = []
    if drop is not None and drop.n > 1:
        split = "held-out samples" if text(drop.conditions.get("split")) == "test" else "samples"
        told.append(f"Accuracy on {count(drop.n, 'sample').replace('samples', split)} that no step has seen")
    where = report.target_title or report.target
    latency = report.best.metrics.get("latency_ms")
    if latency is not None:
        told.append(f"times {latency.kind} {'for' if latency.kind == 'predicted' else 'on'} {where}")
    brackets = " In brackets: 95% intervals." if latency is None or latency.kind == "measured" else ""
    return f"{'; '.join(told)}.{brackets}" if told else ""


def tiles(report: Report) -> list[Tile]:
    """Latency, size, accuracy, memory and energy, before and after, where both are known."""
    best = report.best or (report.nearest[0] if report.nearest else None)
    if best is None:
        return []
    made = []
    for metric in _TILES:
        before, after = report.baseline.metrics.get(metric), best.metrics.get(metric)
        if before is not None and after is not None:
            made.append(_tile(metric, before, after, report, best))
    return made


def _tile(metric: str, before: Measurement, after: Measurement, report: Report, best: Entry) -> Tile:
    scale = scale_for(after.unit, [before.value, after.value])
    one, two = figure(before, scale), figure(after, scale)
    most = max(x for m in (before, after) for x in (m.value, m.high or m.value)) or 1.0

    def bar(m: Measurement) -> Bar:
        low, high = span(m)
        return Bar(
            min(max(m.value / most, 0.0), 1.0),
            None if low is None else max(low / most, 0.0),
            None if high is None else min(high / most, 1.0),
        )

    gist, gist_after, tone, note = _gist(metric, before, after, report, best)
    kind = two.kind if one.kind == two.kind else f"{one.kind}, then {two.kind}"
    return Tile(
        metric_name(metric, report.metric), gist, gist_after, tone, one, two, (bar(before), bar(after)), note, kind
    )


def _gist(
    metric: str, before: Measurement, after: Measurement, report: Report, best: Entry
) -> tuple[str, str, str, str]:
    """The tile's large figure, the words behind it, its tone, and the line below."""
    if metric == "accuracy":
        drop = best.metrics.get("accuracy_drop")
        if drop is None:
            return figure(after, Scale(1.0, after.unit)).text, after.unit, "plain", ""
        told = figure(drop, Scale(1.0, drop.unit), signed=True)
        lost = "lost" if report.metric.higher_is_better else "added"
        allowed = report.limit("accuracy_drop")
        tone = "good" if allowed is None or drop.value <= allowed.limit else "bad"
        note = f"{told.interval}{f'; limit {limit(allowed)}' if allowed is not None else ''}"
        return plain(drop.value, 1) if drop.unit == "points" else told.text, f"{drop.unit} {lost}".strip(), tone, note
    ratio = speed_of(best, report.baseline) if metric == "latency_ms" else shrink(after, before)
    if ratio is None:
        return figure(after, Scale(1.0, after.unit)).text, after.unit, "plain", ""
    faster = metric == "latency_ms"
    if not ratio.sure:
        return f"≈ 1{TIMES}", "as fast" if faster else "the same", "plain", ratio.interval
    better = ratio.value > 1
    words = ("as fast" if faster else "less") if better or faster else "more"
    shown = ratio if better or faster else Ratio(1 / ratio.value)
    note = f"{ratio.interval} times, same run" if ratio.interval else ""
    if metric == "size_bytes" and "download_bytes" in best.metrics:
        packed = best.metrics["download_bytes"]
        note = f"{scale_for('B', [packed.value]).told(packed.value)} to download"
    if metric == "energy_mj" and (source := text(after.conditions.get("source"))):
        note = source
    held = next((c for c in best.clauses if c.constraint.metric == metric), None)
    if held is not None:
        note = f"{note}{'; ' if note else ''}limit {limit(held.constraint)}"
    broken = held is not None and not held.kept
    return f"{shown.text}{TIMES}", words, "bad" if broken else "good" if better else "attention", note


def tagline(report: Report) -> str:
    """What was run and how long it took, in a line."""
    told = [f"{count(len(report.candidates), 'candidate')} tried"]
    elapsed, first = number(report.raw.get("elapsed_s")), number(report.raw.get("first_feasible_s"))
    if elapsed is not None:
        told.append(f"in {duration(elapsed)}")
    said = " ".join(told)
    if first is not None:
        said += f", the first that kept every limit on the search split after {duration(first)}"
    return said
