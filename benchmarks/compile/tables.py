"""The results as a page of markdown: conditions first, then every model, the goals, the path and the predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TOLD = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "neon_dotprod")
LEGEND = (
    "Latency is the ratio to fp32 in ONNX Runtime, all rows of a model in one interleaved run, with its 95% interval. "
    "Accuracy is on samples that no tool saw; lost points are paired, with their 95% interval (Newcombe). Seconds are "
    "the tool's whole process. Peers calibrate on the same 300 samples; labels serve accuracy control and Edgewright's "
    "own check of what it chose. `!` marks a row that loses more than half a point."
)


def page(found: Mapping[str, Any]) -> str:
    """``found`` is the results file's value."""
    return "\n".join(_page(found)) + "\n"


def _page(found: Mapping[str, Any]) -> Iterator[str]:
    machine = found["environment"]
    yield f"# Compile benchmark, {found['date']}{', quick' if found['quick'] else ''}"
    yield ""
    isa = ", ".join(name for name in TOLD if name in machine.get("isa", []))
    yield (
        f"Conditions: {machine.get('cpu', 'unknown CPU')}, {machine.get('cores', '?')} cores, {isa}; "
        f"{machine.get('system', '')}, Python {machine.get('python', '')}; 1 thread, batch 1, seed {found['seed']}; "
        f"load average {machine.get('load_average', ['?'])[0]} at the start, {found['load_average_end'][0]} at the end."
    )
    yield ""
    for name, versions in found["versions"].items():
        yield f"- {name}: {', '.join(f'{k} {v}' for k, v in versions.items())}"
    yield ""
    yield LEGEND
    for model in found["models"]:
        yield from _model(model)
    yield from _goals(found["goals"])
    if found.get("path"):
        yield from _path(found["path"])
    yield from _predictions(found["models"])


def _model(model: Mapping[str, Any]) -> Iterator[str]:
    facts = model["facts"]
    yield ""
    yield f"## {facts['model']} on {facts['set']}"
    yield ""
    yield f"{facts['parameters']:,} parameters; {facts['heldout']['samples']} held-out samples."
    yield ""
    yield from _table(
        ("", "latency / fp32", "ms", "bytes", "accuracy", "lost", "seconds"), [_row(row) for row in model["rows"]]
    )
    for row in model["rows"]:
        if row["recipe"]:
            yield f"- {row['name']}: {row['engine']}; {row['recipe']}"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
    if row["failure"]:
        return row["name"], f"failed: {row['failure']}", "", "", "", "", seconds
    ratio, lost = row["ratio"], row["lost_points"]
    return (
        row["name"],
        f"{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]",
        f"{row['latency_ms']['value']:.3f}",
        f"{row['size_bytes']:,}",
        f"{row['accuracy_points']:.2f}",
        f"{lost['value']:+.2f} [{lost['low']:+.2f}, {lost['high']:+.2f}]{' !' if lost['value'] > 0.5 else ''}",
        seconds,
    )


def _goals(goals: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield ""
    yield "## What it must reach"
    yield ""
    words = {True: "met", False: "NOT MET", None: "not judged"}
    yield from _table(
        ("model", "what", "wanted", "found", ""),
        [(g["model"], g["what"], g["wanted"], g["found"], words[g["met"]]) for g in goals],
    )


def _path(path: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## One whole path: a tile's JPEG to its decision"
    yield ""
    stages = list(next(iter(path.values()))["stages_ms"])
    rows = [
        (name, *(f"{told['stages_ms'][s]:.3f}" for s in stages), f"{told['total_ms']:.3f}", f"{told['p95_ms']:.3f}",
         f"{told['right']:.1f}%")
        for name, told in path.items()
    ]  # fmt: skip
    yield from _table(("ms, median", *stages, "whole", "p95", "right"), rows)


def _predictions(models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    told = [(m["name"], p) for m in models for p in m["predictions"] if "error" in p]
    if not told:
        return
    yield ""
    yield "## The roofline prediction's error on this host"
    yield ""
    rows = [
        (name, p["name"], f"{p['predicted_ms']:.3f} [{p['low_ms']:.3f}, {p['high_ms']:.3f}]", f"{p['measured_ms']:.3f}",
         f"{p['error']:.2f}x", "yes" if p["inside"] else "no")
        for name, p in told
    ]  # fmt: skip
    yield from _table(("model", "variant", "predicted ms", "measured ms", "predicted / measured", "inside"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
