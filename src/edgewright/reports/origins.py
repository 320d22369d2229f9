"""Origins: the model, data, target, machine and settings behind a report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.reports.figures import Scale, duration, plain, scale_for
from edgewright.reports.gates import pairs
from edgewright.reports.reading import Report, clip, items, number, rows, table, text
from edgewright.reports.words import capital, count, engine_name, humanized

Pairs = tuple[tuple[str, str], ...]
"""Names with what is said of them."""


@dataclass(frozen=True)
class Part:
    """A split: what it is for, how many samples, its digest, and samples of each class."""

    name: str
    use: str
    n: int
    digest: str
    classes: str


_USES = {
    "calibration": "ranges, refits and sensitivity are learned here",
    "search": "candidates are compared here while searching",
    "test": "held out: finalists are judged here, once",
}


def splits_of(report: Report) -> list[Part]:
    """The three splits."""
    data = table(report.raw.get("data"))
    made = []
    for name, use in _USES.items():
        told = table(data.get(name))
        n = number(told.get("n"))
        if n is not None:
            made.append(Part(name, use, int(n), text(told.get("digest")), _classes(table(told.get("classes")))))
    return made


def _classes(counts: Mapping[str, Any]) -> str:
    found = [n for value in counts.values() if (n := number(value)) is not None]
    if not found:
        return "no classes"
    low, high = min(found), max(found)
    each = plain(low, 0) if low == high else f"{plain(low, 0)} to {plain(high, 0)}"
    return f"{count(len(found), 'class', 'classes')}, {each} of each"


def data_facts(report: Report) -> Pairs:
    """Where the samples came from and how they were split."""
    data = table(report.raw.get("data"))
    told = [("Source", text(data.get("source"))), ("Seed of the split", text(data.get("seed")))]
    unused = number(data.get("unused"))
    if unused:
        told.append(("Not used", count(unused, "sample")))
    preprocessing = data.get("preprocessing")
    if preprocessing:
        told.append(("Preprocessing", json.dumps(preprocessing, ensure_ascii=False)[:400]))
    told.append(("Judged by", f"{report.metric.title}{f' ({report.metric.reason})' if report.metric.reason else ''}"))
    return tuple((name, said) for name, said in told if said)


def data_notes(report: Report) -> list[str]:
    """What a reader should know of the data."""
    return [text(note) for note in items(table(report.raw.get("data")).get("notes"))]


def model_name(report: Report) -> str:
    """The model's file name; what its digest begins with where there is no name."""
    model = table(report.raw.get("model"))
    source = text(model.get("source"))
    last = re.split(r"[/\\]", source.rstrip("/\\"))[-1]
    return clip(last, 120) or (f"model {text(model.get('digest'))[:8]}" if model.get("digest") else "unnamed model")


def model_facts(report: Report) -> Pairs:
    """What the model is."""
    model = table(report.raw.get("model"))
    told: list[tuple[str, str]] = [("File", text(model.get("source"))), ("Format", text(model.get("format")))]
    for key, name, unit in (
        ("parameters", "Parameters", ""), ("macs", "Multiply-accumulates a call", ""), ("size_bytes", "Size", "B"),
        ("weight_bytes", "Weights", "B"), ("peak_activation_bytes", "Peak activations (liveness)", "B"),
    ):  # fmt: skip
        value = number(model.get(key))
        if value is not None:
            told.append((name, scale_for(unit, [value]).told(value) if unit else plain(value, 0)))
    signature = table(model.get("signature"))
    for key, name in (("inputs", "Input"), ("outputs", "Output")):
        for tensor in rows(signature.get(key))[:8]:
            shape = " × ".join(text(d) or "?" for d in items(tensor.get("shape"))) or "scalar"
            told.append((name, f"{text(tensor.get('name'))}: {text(tensor.get('dtype'))}, {shape}"))
    told.append(("Digest", text(model.get("digest"))))
    return tuple((name, said) for name, said in told if said)


def settings_facts(report: Report) -> Pairs:
    """What was asked for."""
    settings = table(report.raw.get("settings"))
    told = [("Edgewright", text(report.raw.get("edgewright")))]
    budget = number(settings.get("budget_s"))
    if budget is not None:
        told.append(("Budget", duration(budget)))
    told += [("Seed", text(settings.get("seed"))), ("Threads", text(settings.get("threads")))]
    if settings.get("only"):
        told.append(("Searched", "nothing: one candidate alone was asked for"))
    told.append(("Structure", "kept as it is" if settings.get("keep_structure") is True else "free to shrink"))
    engines = [engine_name(text(e)) for e in items(settings.get("engines"))]
    told.append(("Engines", ", ".join(engines) or "all that are installed"))
    weights = {k: w for k, v in table(settings.get("preference")).items() if (w := number(v))}
    told.append(("Choice from the front", ", ".join(f"{humanized(k)} × {w:g}" for k, w in weights.items())))
    return tuple((name, said) for name, said in told if said)


_MACHINE = {"cpu": "CPU", "isa": "Instruction sets", "cpu_quota": "CPU quota", "python": "Python", "boost": "Boost"}


def machine_facts(report: Report) -> Pairs:
    """The machine that measured."""
    told = []
    for key, value in table(report.raw.get("environment")).items():
        found = number(value)
        if key.endswith("_bytes") and found is not None:
            told.append((capital(humanized(key.removesuffix("_bytes"))), scale_for("B", [found]).told(found)))
        else:
            told += [(_MACHINE.get(key, capital(name)), said) for name, said in pairs(value, humanized(key))]
    return tuple(told[:60])


def target_facts(report: Report) -> tuple[tuple[str, str, str], ...]:
    """The target's figures: name, value with unit, source."""
    target = table(report.raw.get("target"))
    made = []
    for group in ("figures", "compute", "caches", "energy"):
        for key, told in table(target.get(group)).items():
            value = number(table(told).get("value"))
            if value is not None:
                unit = text(told.get("unit"))
                scale = scale_for(unit, [value]) if unit else Scale()
                name = humanized(key) if group == "figures" else f"{humanized(key)} ({group})"
                made.append((capital(name), scale.told(value), text(told.get("source"))))
    return tuple(made[:60])


def target_notes(report: Report) -> list[str]:
    """What the target's description says besides."""
    target = table(report.raw.get("target"))
    listed = [
        f"{title}: {', '.join(text(n) for n in items(table(target.get(key)).get('names')))}"
        for key, title in (("isa", "Instruction sets"), ("engines", "Engines"), ("number_types", "Number types"))
        if items(table(target.get(key)).get("names"))
    ]
    return [*(text(note) for note in items(target.get("notes"))), *listed]
