"""The readiness gates a result went through, with whatever evidence their authors gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.reports.figures import figure, plain, scale_for
from edgewright.reports.reading import Report, measurement, number, rows, table, text
from edgewright.reports.words import capital, humanized

MOST_PAIRS = 24
_ORDER = ("bad", "unknown", "good")
_STATES = {"passed": "good", "failed": "bad", "not checked": "unknown"}


@dataclass(frozen=True)
class Gate:
    """A readiness gate as its author told it. ``tone`` is unknown for a state that is none of the three."""

    name: str
    title: str
    state: str
    tone: str
    reason: str
    evidence: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Readiness:
    """All gates, those that failed first, how many are in each state, and what follows."""

    gates: tuple[Gate, ...]
    summary: str
    word: str
    tone: str


def readiness_of(report: Report) -> Readiness:
    """The gates; none when the run checked none."""
    gates = []
    for told in rows(table(report.raw.get("readiness")).get("gates")):
        state = text(told.get("state")).replace("_", " ") or "not checked"
        name = text(told.get("name"))
        gates.append(
            Gate(
                name, capital(text(told.get("title")) or humanized(name)), state, _STATES.get(state, "unknown"),
                capital(text(told.get("reason"))), tuple(pairs(told.get("evidence"))),
            )
        )  # fmt: skip
    counts = {
        state: sum(g.state == state for g in gates) for state in dict.fromkeys([*_STATES, *(g.state for g in gates)])
    }
    summary = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    return Readiness(tuple(sorted(gates, key=lambda gate: _ORDER.index(gate.tone))), summary, *_verdict(report, gates))


def _verdict(report: Report, gates: list[Gate]) -> tuple[str, str]:
    """Whether the candidate may ship, in a word and a tone."""
    failed = [gate for gate in gates if gate.tone == "bad"]
    if failed:
        return f"Not ready: {failed[0].name or failed[0].title} failed{' and more' if len(failed) > 1 else ''}", "bad"
    if not gates or report.best is None:
        return "", "unknown"
    ready = table(report.raw.get("readiness")).get("ready") is True
    return ("Ready to ship", "good") if ready else ("Not ready yet: gates not checked", "unknown")


def pairs(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Any JSON value as names and words, the first 24 of them; measurements keep unit, interval and kind."""
    made: list[tuple[str, str]] = []
    for pair in _flat(value, prefix):
        if len(made) == MOST_PAIRS:
            made.append(("and more", "in report.json"))
            break
        made.append(pair)
    return made


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    found = measurement(value)
    if found is not None:
        yield name, str(figure(found, scale_for(found.unit, [found.value])))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{name} · {humanized(str(key))}" if name else humanized(str(key)))
    elif isinstance(value, list):
        if not any(isinstance(one, Mapping | list) for one in value):
            shown = ", ".join(_scalar(one) for one in value[:16])
            yield name, shown + (f" and {len(value) - 16} more" if len(value) > 16 else "")
        else:
            for index, one in enumerate(value, 1):
                yield from _flat(one, f"{name} {index}".strip())
    elif value is not None:
        yield name, _scalar(value)


def _scalar(value: Any) -> str:
    found = number(value)
    return text(value) if found is None else plain(found, 0 if found == int(found) else None)
