"""Measurements as text: one row a metric, one column a model, intervals and ratios to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgewright.core.measurement import Measurement

if TYPE_CHECKING:
    from edgewright.measurement import Measured
    from edgewright.measurement.accuracy import AccuracyResult
    from edgewright.measurement.profile import OperatorTime

_LABELS = {
    "latency_ms": "latency p50", "latency_p95_ms": "latency p95", "latency_p99_ms": "latency p99",
    "latency_sustained_ms": "latency sustained", "throughput_per_s": "throughput", "cold_start_ms": "cold start",
    "ram_bytes": "memory, peak", "size_bytes": "size on disk", "download_bytes": "download", "energy_mj": "energy",
}  # fmt: skip
_WIDEST = 44


def summary(found: Mapping[str, Measured], accuracy: Mapping[str, AccuracyResult]) -> str:
    """The whole table."""
    names = list(found)
    rows = [["", *(name if len(name) <= _WIDEST else f"...{name[3 - _WIDEST :]}" for name in names)]]
    for metric, label in _LABELS.items():
        if any(metric in one.metrics for one in found.values()):
            rows.append([label, *(_cell(found[name].metrics.get(metric)) for name in names)])
        if metric == "latency_ms":
            rows.append(["  of the first", *(_ratio(found[name], names[0] == name) for name in names)])
    if accuracy:
        first = next(iter(accuracy.values()))
        level, lost = [first.choice.metric.name], ["  lost"]
        for name in names:
            one = accuracy.get(name)
            level.append(_cell(one.candidate if one else None))
            lost.append("" if name == names[0] else _cell(one.drop if one else None))
        rows += [level, lost]
    return aligned(rows)


def listed(rows: Sequence[Sequence[str]]) -> str:
    """Rows of words in columns, all to the left; no blanks at line ends."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns, the first to the left, the others to the right; no blanks at line ends."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def remarks(found: Mapping[str, Measured]) -> list[str]:
    """What a reader must know to trust the table: disturbances, and what is missing and why."""
    lines: list[str] = []
    first = next(iter(found.values()))
    if first.latency is not None:
        told = first.latency.conditions
        threads = told.get("threads", 1)
        lines.append(
            f"one interleaved run of {told['rounds']} rounds, {threads} thread{'s' if threads != 1 else ''}, "
            f"{told['inputs']} different inputs in rotation; intervals of 95%"
        )
        lines += [f"disturbance: {note}" for note in told.get("notes", [])]
    for name, one in found.items():
        reasons: dict[str, list[str]] = {}
        for metric, reason in one.missing.items():
            reasons.setdefault(reason, []).append(_LABELS[metric])
        lines += [f"{name}: no {', '.join(metrics)}: {reason}" for reason, metrics in reasons.items()]
    return lines


def operators(name: str, rows: Sequence[OperatorTime], most: int = 12) -> str:
    """Where the time goes: the slowest operators, and the rest in one line."""
    table = [[f"{name}, operator", "type", "kernel", "share", "ms"]]
    for row in rows[:most]:
        table.append([row.name[:_WIDEST], row.op_type, row.kernel, f"{row.share:.1%}", f"{row.ms:.4f}"])
    if rest := rows[most:]:
        table.append(
            [f"{len(rest)} more", "", "", f"{sum(r.share for r in rest):.1%}", f"{sum(r.ms for r in rest):.4f}"]
        )
    return aligned(table)


def _ratio(found: Measured, is_first: bool) -> str:
    if is_first or found.latency is None:
        return "1" if is_first else ""
    ratio = found.latency.ratio
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _cell(found: Measurement | None) -> str:
    if found is None:
        return "-"
    scale, unit = _scaled(found)
    value = f"{found.value * scale:.4g}"
    if found.low is not None and found.high is not None and found.low != found.high:
        value += f" [{found.low * scale:.4g}, {found.high * scale:.4g}]"
    label = "" if found.kind == "measured" else f" ({found.kind})"
    return f"{value} {unit}{label}"


def _scaled(found: Measurement) -> tuple[float, str]:
    if found.unit == "B":
        return next(((1 / size, unit) for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if found.value >= size),
                    (1.0, "B"))  # fmt: skip
    if found.unit == "ms" and found.value < 0.1:
        return 1e3, "µs"
    return 1.0, found.unit
