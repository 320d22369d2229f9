"""Reading ``report.json``: a stranger's values become clean text, finite numbers and a few frozen records.

A report may have come by mail. Nothing in it is believed: text loses what could deceive the eye, numbers that are not
finite count as missing, parts of the wrong shape count as empty. So a page is made of any report of a known schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from edgewright.core.candidate import Clause, Constraint
from edgewright.core.errors import InputError
from edgewright.core.measurement import Kind, Measurement

SCHEMA = "edgewright.report/1"
LONGEST = 2000
"""Characters of a text that are kept."""
_DEEPEST = 24
# Control characters, lone surrogates, and the marks that turn or hide text (Unicode TR 36, 2.6; CVE-2021-42574).
_DECEIVING = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff]"
)

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A candidate, or the original: what the report says of it, cleaned. ``anchor`` names it within the page."""

    id: str
    anchor: str
    recipe: tuple[Table, ...] = ()
    engine: str = ""
    options: Table = field(default_factory=dict)
    format: str = ""
    digest: str = ""
    path: str = ""
    final: bool = False
    feasible: bool = False
    clauses: tuple[Clause, ...] = ()
    refused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    steps: tuple[Table, ...] = ()
    latency: Table = field(default_factory=dict)
    accuracy: Table = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def value(self, metric: str) -> float | None:
        """A metric's value, None where there is none."""
        return self.metrics[metric].value if metric in self.metrics else None

    @property
    def broken(self) -> list[Clause]:
        """The limits that are not known to be kept."""
        return [clause for clause in self.clauses if not clause.kept]


@dataclass(frozen=True)
class Metric:
    """How answers were judged."""

    title: str = "accuracy"
    unit: str = "points"
    higher_is_better: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """The whole of ``report.json``, cleaned; ``raw`` holds what has no record of its own."""

    raw: Table
    baseline: Entry
    candidates: tuple[Entry, ...]
    best: Entry | None
    front: tuple[Entry, ...]
    nearest: tuple[Entry, ...]
    binding: Clause | None
    constraints: tuple[Constraint, ...]
    metric: Metric
    target: str
    target_title: str

    @property
    def everyone(self) -> tuple[Entry, ...]:
        """The original first, then the candidates."""
        return (self.baseline, *(c for c in self.candidates if c.id != self.baseline.id))

    @property
    def finals(self) -> tuple[Entry, ...]:
        """The original and the finalists, the best one next to the original, then by latency."""

        def order(entry: Entry) -> tuple[bool, float, str]:
            found = entry.value("latency_ms")
            return (entry is not self.best, math.inf if found is None else found, entry.id)

        return (self.baseline, *sorted((c for c in self.everyone[1:] if c.final), key=order))

    @property
    def elsewhere(self) -> bool:
        """Whether the target is a machine that was not there."""
        return self.target not in ("", "host")

    def limit(self, metric: str) -> Constraint | None:
        """The limit on a metric, if one was set."""
        return next((c for c in self.constraints if c.metric == metric), None)


def read(report: Any) -> Report:
    """The report behind a parsed ``report.json``. Raises InputError for anything that is no report of this schema."""
    if not isinstance(report, Mapping):
        raise InputError("a report is a JSON object; pass the content of a report.json")
    schema = report.get("schema")
    if schema != SCHEMA:
        told = repr(schema)[:60]
        raise InputError(f"the report's schema is {told}, and this version shows {SCHEMA}; run the search again")
    raw = table(clean(report))
    entries, used = [], set[str]()
    for index, value in enumerate(rows(raw.get("candidates")), 1):
        entry = _entry(value, _anchor(text(value.get("id")), index, used))
        entries.append(entry)
    base = table(raw.get("baseline"))
    baseline = _entry(base, _anchor(text(base.get("id")), 0, used))
    known: dict[str, Entry] = {}
    for entry in (*entries, baseline):
        known.setdefault(entry.id, entry)

    def those(key: str) -> tuple[Entry, ...]:
        return tuple(known[name] for name in dict.fromkeys(map(text, items(raw.get(key)))) if name in known)

    metric, target = table(raw.get("metric")), table(raw.get("target"))
    named = raw.get("best")
    binding = raw.get("binding")
    return Report(
        raw=raw,
        baseline=baseline,
        candidates=tuple(entries),
        best=known.get(named) if isinstance(named, str) else None,
        front=those("pareto"),
        nearest=those("nearest"),
        binding=_clause(binding) if isinstance(binding, Mapping) else None,
        constraints=tuple(made for c in rows(raw.get("constraints")) if (made := _constraint(c)) is not None),
        metric=Metric(
            title=text(metric.get("title")) or "accuracy",
            unit=text(metric.get("unit")),
            higher_is_better=metric.get("higher_is_better") is not False,
            reason=text(metric.get("reason")),
        ),
        target=text(target.get("name")) or "host",
        target_title=text(target.get("title")),
    )


def clean(value: Any, depth: int = 0) -> Any:
    """A JSON value as plain Python: safe text, finite numbers, None for whatever else, no deeper than 24 levels."""
    if isinstance(value, str):
        return _DECEIVING.sub("\ufffd", value[:LONGEST]) + ("…" if len(value) > LONGEST else "")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 1e30 else None  # NaN is below nothing; no figure here comes near
    if depth >= _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one, depth + 1) for one in value]
    return None


def text(value: Any) -> str:
    """A cleaned value as text; "" for None and for what has parts."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def clip(words: str, most: int = 60) -> str:
    """Words of at most ``most`` characters, the middle left out: names tell most at their ends."""
    if len(words) <= most:
        return words
    tail = (most - 1) // 3
    return f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}"


def number(value: Any) -> float | None:
    """A cleaned number; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def table(value: Any) -> Table:
    """An object, {} for anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """A list, [] for anything else."""
    return value if isinstance(value, list) else []


def rows(value: Any) -> list[Table]:
    """A list's objects."""
    return [one for one in items(value) if isinstance(one, Mapping)]


def measurement(value: Any) -> Measurement | None:
    """A cleaned measurement; None where there is no number, unit or known kind. An interval that misses is left out."""
    found = table(value)
    size, kind = number(found.get("value")), found.get("kind")
    if size is None or kind not in get_args(Kind):
        return None
    low, high = number(found.get("low")), number(found.get("high"))
    if low is None or high is None or not low <= size <= high:
        low = high = None
    n = number(found.get("n"))
    return Measurement(
        size, text(found.get("unit")), cast(Kind, kind), int(n or 0), low, high, table(found.get("conditions")),
        text(found.get("target")), text(found.get("subject")),
    )  # fmt: skip


def _entry(value: Table, anchor: str) -> Entry:
    metrics = {name: made for name, m in table(value.get("metrics")).items() if (made := measurement(m)) is not None}
    clauses = tuple(held for c in rows(value.get("verdict")) if (held := _clause(c)) is not None)
    return Entry(
        id=text(value.get("id")),
        anchor=anchor,
        recipe=tuple(rows(value.get("recipe"))),
        engine=text(value.get("engine")),
        options=table(value.get("engine_options")),
        format=text(value.get("format")),
        digest=text(value.get("digest")),
        path=text(value.get("path")),
        final=value.get("final") is True,
        feasible=value.get("feasible") is True,
        clauses=clauses,
        refused=tuple(text(reason) for reason in items(value.get("refused"))),
        doubts=tuple(text(reason) for reason in items(value.get("doubts"))),
        metrics=metrics,
        steps=tuple(rows(value.get("steps"))),
        latency=table(value.get("latency")),
        accuracy=table(value.get("accuracy")),
        missing={name: text(why) for name, why in table(value.get("missing")).items()},
    )


def _constraint(value: Table) -> Constraint | None:
    limit = number(value.get("limit"))
    if limit is None:
        return None
    sense = "min" if value.get("sense") == "min" else "max"
    return Constraint(text(value.get("metric")), sense, limit, text(value.get("unit")))  # type: ignore[arg-type]


def _clause(value: Table) -> Clause | None:
    constraint = _constraint(value)
    return None if constraint is None else Clause(constraint, number(value.get("value")), number(value.get("slack")))


def _anchor(identity: str, index: int, used: set[str]) -> str:
    """What names an entry in the page: its id where that is one, else its place."""
    name = f"c-{identity}" if re.fullmatch(r"[0-9a-z]{1,40}", identity) else f"n-{index}"
    name = f"n-{index}" if name in used else name
    used.add(name)
    return name
