"""Answers: what accuracy was kept, in all and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgewright.reports.figures import Figure, Scale, between, figure, plain
from edgewright.reports.plots.bars import dumbbell
from edgewright.reports.reading import Report, clip, items, measurement, number, rows, text
from edgewright.reports.words import capital, count, listed

SHOWN, MORE = 12, 120
"""Classes shown at once, and those that can be unfolded; report.json holds them all."""


@dataclass(frozen=True)
class Class:
    """One class before and after, in points; ``drop`` with the interval that holds for all classes together."""

    name: str
    n: int
    before: str
    after: str
    drop: str
    interval: str
    drawing: Markup
    worst: bool


@dataclass(frozen=True)
class Answers:
    """The section: figures as (name, figure), classes from the worst, and what makes the figures doubtful."""

    who: str
    metric: str
    reason: str
    split: str
    figures: tuple[tuple[str, Figure], ...]
    first: tuple[Class, ...]
    more: tuple[Class, ...]
    total: int
    summary: str
    worst: str
    flags: tuple[str, ...]


def answers_of(report: Report) -> Answers | None:
    """What is known of the chosen candidate's answers, else of the nearest that was tested; None without any."""
    near = [*([report.best] if report.best is not None else []), *report.nearest, *report.finals[1:]]
    entry = next((e for e in near if e.accuracy), None)
    if entry is None:
        return None
    told = entry.accuracy
    lost = "lost" if report.metric.higher_is_better else "added"
    title = capital(report.metric.title)
    named = {
        "baseline": f"{title}, original",
        "candidate": f"{title}, now",
        "drop": capital(lost),
        "agreement": "Same answer as the original",
        "sqnr_db": "Signal to noise (SQNR)",
    }
    shown = []
    for key, name in named.items():
        found = measurement(told.get(key))
        if found is not None and not (key == "agreement" and "agreement" in report.metric.title):
            shown.append((name, figure(found, Scale(1.0, found.unit), signed=key == "drop")))
    classes = _classes(told.get("per_class"))
    worst = measurement(told.get("worst_class"))
    named_worst = "" if worst is None else text(worst.conditions.get("class"))
    made = [_class(one, classes, named_worst) for one in classes[: SHOWN + MORE]]
    who = "The chosen candidate" if entry is report.best else f"Candidate {entry.id}"
    return Answers(
        who, report.metric.title, report.metric.reason, text(told.get("split")), tuple(shown), tuple(made[:SHOWN]),
        tuple(made[SHOWN:]), len(classes), _summary(classes), named_worst,
        tuple(text(flag) for flag in items(told.get("flags"))),
    )  # fmt: skip


_Found = dict[str, float | str]


def _classes(value: object) -> list[_Found]:
    """Classes with all their numbers, the largest drop first."""
    found: list[_Found] = []
    for one in rows(value):
        numbers = {key: number(one.get(key)) for key in ("n", "before", "after", "drop", "low", "high")}
        if all(v is not None for v in numbers.values()):
            found.append({"name": text(one.get("name")), **{k: v for k, v in numbers.items() if v is not None}})
    return sorted(found, key=lambda c: (-float(c["drop"]), float(c["after"]), str(c["name"])))


def _class(one: _Found, everyone: Sequence[_Found], worst: str) -> Class:
    before, after, drop = float(one["before"]), float(one["after"]), float(one["drop"])
    low, high = float(one["low"]), float(one["high"])
    least = min(min(float(c["before"]), float(c["after"])) for c in everyone)
    floor = max(min(least - 5.0, 90.0), 0.0) if least >= 0 else least
    reach = (max(before - high, floor), min(before - low, 100.0))
    name = str(one["name"])
    return Class(
        clip(name, 72), int(one["n"]), plain(before, 1), plain(after, 1), plain(drop, 1, signed=True),
        between(low, high, 1, signed=True), dumbbell(before, after, floor, 100.0, reach), drop > 0 and name == worst,
    )  # fmt: skip


def _summary(classes: Sequence[_Found]) -> str:
    if not classes:
        return ""
    lost = sum(float(c["drop"]) > 0 for c in classes)
    gained = sum(float(c["drop"]) < 0 for c in classes)
    same = len(classes) - lost - gained
    if not lost and not gained:
        return f"None of {count(len(classes), 'class', 'classes')} lost or gained anything"
    parts = [f"{n} {word}" for n, word in ((lost, "lost"), (same, "stayed as they were"), (gained, "gained")) if n]
    return f"Of {count(len(classes), 'class', 'classes')} {listed(parts)}"
