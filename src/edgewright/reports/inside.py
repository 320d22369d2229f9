"""Inside the model: where the time goes, what each pass did, and which layers mind small numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from edgewright.reports.figures import SPACE, Scale, plain, scale_for
from edgewright.reports.plots.bars import MOST_COLUMNS, bar, channels
from edgewright.reports.reading import Entry, Report, clip, items, number, rows, table, text
from edgewright.reports.words import DOES, capital, count, humanized, percent, title_of

LAYERS, TYPES, SLOWEST = 24, 10, 10
FACTS = {
    "macs_kept": "Multiplies kept", "layers_refitted": "Layers refitted", "samples": "Samples used",
    "kernels": "Layers made integer", "activations": "Tensors made integer", "float_layers": "Left in float",
    "kept_float32": "Operators left in float32", "nodes": "Operators changed", "weights": "Weights halved",
    "quantized": "Made integer", "compensated": "Layers with errors made up for", "fused": "Joined",
    "ranks": "Ranks", "mended": "Mended",
}  # fmt: skip
"""What passes tell, in words."""
CEILING_DB = 199.0
"""SQNR from which answers are the same: where the measurement ends."""


@dataclass(frozen=True)
class Operator:
    """Time of an operator, or of all of one type. ``share`` in words."""

    name: str
    detail: str
    ms: str
    share: str
    bar: Markup


@dataclass(frozen=True)
class Profile:
    """Where one model's time goes."""

    title: str
    total: str
    unit: str
    by_type: tuple[Operator, ...]
    slowest: tuple[Operator, ...]
    left_out: int


def profiles_of(report: Report) -> list[Profile]:
    """The original's profile and the chosen one's, on one scale."""
    found = table(report.raw.get("profiles"))
    chosen = [(title, table(found[e.id])) for title, e in _shown(report) if e.id in found]
    everything = [rows(p.get("by_type")) for _, p in chosen]
    most = max((number(r.get("ms")) or 0.0 for part in everything for r in part), default=0.0)
    scale = scale_for("ms", [most])
    made = []
    for title, told in chosen:
        kinds = rows(told.get("by_type"))
        if kinds:
            total = sum(number(r.get("ms")) or 0.0 for r in kinds)
            made.append(
                Profile(
                    title, scale.told(total), scale.unit,
                    tuple(_operator(r, most, scale, types=True) for r in kinds[:TYPES]),
                    tuple(_operator(r, most, scale, types=False) for r in rows(told.get("slowest"))[:SLOWEST]),
                    max(len(kinds) - TYPES, 0),
                )
            )  # fmt: skip
    return made


def _shown(report: Report) -> list[tuple[str, Entry]]:
    both = [("The original", report.baseline)]
    return both if report.best is None else [*both, ("The chosen candidate", report.best)]


def _operator(row: Mapping[str, Any], most: float, scale: Scale, *, types: bool) -> Operator:
    ms = number(row.get("ms")) or 0.0
    number_of = number(row.get("count")) or 1
    sources = [text(s) for s in items(row.get("sources"))]
    detail = count(number_of, "operator") if types else text(row.get("op_type"))
    if not types and len(sources) > 1:
        detail += f", for {count(len(sources), 'node')} of the model"
    return Operator(
        clip(text(row.get("op_type" if types else "name")), 72), detail, scale.of(ms), percent(row.get("share")),
        bar(ms / most if most else 0.0),
    )  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """How much a layer minds INT8: its SQNR, and its noise beside the noisiest layer's."""

    name: str
    op_type: str
    sqnr: str
    bar: Markup


@dataclass(frozen=True)
class Sensitivity:
    """The most sensitive layers first, and how many are left out."""

    layers: tuple[Layer, ...]
    left_out: int
    calmest: str


def sensitivity_of(report: Report) -> Sensitivity | None:
    """Per-layer sensitivity, None where it was not measured."""
    found = [
        (row, sqnr) for row in rows(report.raw.get("sensitivity")) if (sqnr := number(row.get("sqnr_db"))) is not None
    ]
    if not found:
        return None
    found.sort(key=lambda one: (one[1], text(one[0].get("layer"))))
    worst = found[0][1]
    layers = tuple(
        Layer(
            clip(text(row.get("layer")), 72), text(row.get("op_type")), plain(sqnr, 1), bar(10 ** ((worst - sqnr) / 10))
        )
        for row, sqnr in found[:LAYERS]
    )
    left = found[LAYERS:]
    return Sensitivity(layers, len(left), plain(left[0][1], 1) if left else "")


@dataclass(frozen=True)
class StepView:
    """What one pass did. ``facts`` as (name, words); ``drawing``: channels kept, where some were removed."""

    title: str
    does: str
    options: str
    status: str
    reason: str
    sqnr: str
    facts: tuple[tuple[str, str], ...]
    drawing: Markup | None


def steps_of(entry: Entry) -> list[StepView]:
    """The passes of a candidate in order, each with what it told."""
    return [_step(told) for told in entry.steps]


def _step(told: Mapping[str, Any]) -> StepView:
    step = table(told.get("step"))
    name = text(step.get("pass"))
    groups = _groups(told.get("channels"))
    known = {"step", "status", "reason", "sqnr_db", "channels", "digest"}
    facts = [
        (FACTS.get(key, capital(humanized(key))), _said(key, value)) for key, value in told.items() if key not in known
    ]
    drawing = None
    if groups:
        kept, total = (sum(g[k] for g in groups) for k in (0, 1))
        facts.insert(0, ("Channels", f"{plain(kept, 0)} of {plain(total, 0)} in {count(len(groups), 'group')}"))
        told_of = f"Channels kept in each of {count(len(groups), 'group')}: "
        told_of += ", ".join(f"{plain(a, 0)} of {plain(b, 0)}" for a, b in groups[:24])
        if len(groups) > MOST_COLUMNS:
            told_of += f"; the first {MOST_COLUMNS} are drawn"
        drawing = channels(groups, told_of)
    options = ", ".join(_option(k, v) for k, v in step.items() if k != "pass" and text(v))
    return StepView(
        title_of(name), DOES.get(name, ""), options, text(told.get("status")), text(told.get("reason")),
        sqnr_words(number(told.get("sqnr_db"))), tuple((k, v) for k, v in facts if v), drawing,
    )  # fmt: skip


def _option(key: str, value: Any) -> str:
    """A pass's option in words."""
    if key == "contrib":
        return "the engine's own operators too" if value is True else "standard operators only"
    if key == "keep":
        return f"keep {percent(value)} of the multiplies"
    if key == "align":
        return f"in steps of {text(value)} channels"
    return f"{humanized(key)} {clip(text(value), 40)}"


def sqnr_words(sqnr: float | None) -> str:
    """What an SQNR means for answers."""
    if sqnr is None:
        return ""
    return "the same answers" if sqnr >= CEILING_DB else f"{plain(sqnr, 1)}{SPACE}dB"


def _groups(value: object) -> list[tuple[float, float]]:
    """(kept, all) for each group of channels; empty when that is not what it is."""
    made = []
    for pair in items(value):
        ends = [number(x) for x in items(pair)]
        if len(ends) != 2 or ends[0] is None or ends[1] is None or not 0 <= ends[0] <= ends[1] or ends[1] <= 0:
            return []
        made.append((ends[0], ends[1]))
    return made


def _said(key: str, value: object) -> str:
    """A fact in words, whatever a pass chose to tell."""
    found = number(value)
    if found is not None:
        return (
            percent(found, 1)
            if key.endswith("_kept") and found <= 1
            else plain(found, 0 if found == int(found) else None)
        )
    if isinstance(value, Mapping):
        return ", ".join(f"{humanized(str(k))} {_said('', v)}" for k, v in list(value.items())[:12])
    if isinstance(value, list):
        shown = [_said("", v) for v in value[:8]]
        more = f" and {len(value) - 8} more" if len(value) > 8 else ""
        return ", ".join(shown) + more
    return text(value)
