"""Finals: which candidates are measured with care, and what may be said of them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from edgewright.compression.search import acceptable
from edgewright.compression.verdict import judge
from edgewright.core.candidate import Candidate
from edgewright.core.errors import EdgewrightError
from edgewright.core.measurement import Measurement
from edgewright.flows.bench import Bench

_NOTICED = 0.99
"""Share of the original's size or memory that is no gain worth a change."""


def tested(bench: Bench, ranked: list[Candidate], enough: int, late: Callable[[], bool]) -> list[Candidate]:
    """Candidates with their held-out accuracy, the best first, until ``enough`` have passed without a doubt or
    three times as many at all, one of each engine among them where there is one, or it is ``late``."""
    made: list[Candidate] = []
    seen: set[tuple[str, str, str]] = set()
    for c in ranked:
        same = (c.model.digest, c.engine, repr(c.options))
        if same in seen:
            continue  # two shares may leave the same channels
        passed = [m for m in made if acceptable(m)]
        full = sum(not m.doubts for m in passed) >= enough or len(passed) >= 3 * enough
        if full and c.engine in {m.engine for m in passed}:
            continue  # only engines of which none has passed are looked for now
        seen.add(same)
        try:
            made.append(bench.test(c))
        except EdgewrightError as error:
            made.append(replace(c, refused=(str(error),)))
        if late():
            break
    return made


def finalists(seen: list[Candidate], enough: int) -> list[Candidate]:
    """About ``enough`` of those that passed, the ones without a doubt first; the fastest and each engine's best are
    among them.

    A score may be won by size; measured with care such a candidate may turn out slower than the original, and then
    there must be another.
    """
    passed = sorted((c for c in seen if acceptable(c)), key=lambda c: bool(c.doubts))
    timed = [c for c in passed if "latency_ms" in c.metrics]
    fastest = min(timed, key=lambda c: (bool(c.doubts), c.metrics["latency_ms"].value), default=None)
    heads = {c.engine: c for c in reversed(passed)}.values()
    needed = [c for c in passed if c is fastest or any(c is head for head in heads)]
    others = [c for c in passed if not any(c is one for one in needed)][: max(enough - len(needed), 0)]
    return [c for c in passed if any(c is one for one in (*needed, *others))]


def choose(finals: list[Candidate], base: Candidate, score: Callable[[Candidate], float]) -> Candidate | None:
    """The feasible candidate with the least score among those that gain something and raise no doubt, or, without
    such, among all."""
    feasible = [c for c in finals if c.feasible]
    sure = [c for c in feasible if not c.doubts and gains(c, base)]
    return min(sure or feasible, key=score, default=None)


def one_of_each_engine(ranked: list[Candidate]) -> list[Candidate]:
    """``ranked`` with the best of each engine first: what only finalists are measured for (memory, cold start) differs
    most between engines, and a choice needs something to choose from."""
    heads = list({c.engine: c for c in reversed(ranked)}.values())
    heads.sort(key=ranked.index)
    return [*heads, *(c for c in ranked if c not in heads)]


def again(
    ranked: list[Candidate], seen: list[Candidate], finals: list[Candidate], best: Candidate | None,
    score: Callable[[Candidate], float],
) -> list[Candidate]:  # fmt: skip
    """Who deserves a second round: all others when nothing was feasible; and when an engine was shut out, those of
    other engines that promise more than the best, whose places it had taken."""
    known, shut = {c.id for c in seen}, shut_out(finals)
    others = [c for c in ranked if c.id not in known and c.engine not in shut]
    return others if best is None else [c for c in others if shut and score(c) < score(best)]


def shut_out(finals: list[Candidate]) -> set[str]:
    """Engines all of whose finalists break the limit on memory, which is measured there for the first time: what an
    engine's library holds it holds for every candidate."""
    over = {c.id for c in finals for clause in c.clauses if clause.constraint.metric == "ram_bytes" and not clause.kept}
    return {c.engine for c in finals} - {c.engine for c in finals if c.id not in over}


def rescaled(candidate: Candidate, base: Candidate, bench: Bench) -> Candidate:
    """A latency that was found as a ratio, told against the baseline's last and best figure."""
    found = candidate.metrics.get("latency_ms")
    ratio = None if found is None else found.conditions.get("over_baseline")
    if found is None or ratio is None:
        return candidate
    scale = ratio * base.metrics["latency_ms"].value / found.value
    moved = replace(found, value=found.value * scale, low=(found.low or 0.0) * scale, high=(found.high or 0.0) * scale)
    return judge(replace(candidate, metrics={**candidate.metrics, "latency_ms": moved}), bench.constraints)


def slower(candidate: Candidate, base: Candidate | None) -> bool:
    """Whether its latency, as far as it is known, lies above the original's."""
    mine, theirs = _pair("latency_ms", candidate.metrics, {} if base is None else base.metrics)
    return mine is not None and theirs is not None and mine.value > theirs.value


def gains(candidate: Candidate, base: Candidate) -> bool:
    """Whether the candidate is certainly faster, or visibly smaller on the disk or in memory, than the original."""
    mine, theirs = _pair("latency_ms", candidate.metrics, base.metrics)
    if mine is not None and theirs is not None:
        ratio = mine.conditions.get("over_baseline", mine.value / theirs.value)
        high = mine.value if mine.high is None else mine.high
        if high / mine.value * ratio < 1:
            return True
    pairs = (_pair(metric, candidate.metrics, base.metrics) for metric in ("size_bytes", "ram_bytes", "energy_mj"))
    return any(a is not None and b is not None and a.value < _NOTICED * b.value for a, b in pairs)


def _pair(
    metric: str, mine: Mapping[str, Measurement], theirs: Mapping[str, Measurement]
) -> tuple[Measurement | None, Measurement | None]:
    return mine.get(metric), theirs.get(metric)
