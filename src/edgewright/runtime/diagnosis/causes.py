"""Causes: from what a model did lately to one sentence that names the largest cause, with its evidence. Pure.

Nothing here is held against a limit of our making. Requests that were not answered in time come before those that were,
and of either the largest share is named: whether a share is too large is for the reader to say. A time is compared with
what was promised, asked for, or seen before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgewright.core.sketches import Sketch
from edgewright.core.trend import Verdict
from edgewright.runtime.diagnosis.readings import Window
from edgewright.runtime.diagnosis.words import many, percent, time
from edgewright.runtime.stats import SAMPLED

READ, WAIT, IMAGES, RUN, WRITE = "reading", "waiting", "images", "running", "writing"
TOO_SHORT, UNSURE, LATE = "too_short", "unsure", "late"


_LEARNT = "; that was learnt before, none ran in this time"


@dataclass(frozen=True)
class Facts:
    """What is known of a model besides its counters. ``usual_s``: its median run, 0.0 before the first, and ``mean_s``;
    ``margin_s`` is kept free before deadlines; ``longest_s``:
    the longest ever, ``running_s``: how long the present one goes on, 0.0 for none; ``others_busy``: the share of the
    executors' time that other models' runs took; ``deadline_s`` of requests that name none, ``promised_s``: what the
    bundle promises 99% of runs, both None where nothing is said; ``reason``: why it does not answer now, ``step_down``:
    which provider runs it where another was asked for; ``load`` as ``machine`` tells it."""

    engine: str
    provider: str
    threads: int = 1
    usual_s: float = 0.0
    mean_s: float = 0.0
    margin_s: float = 0.0
    longest_s: float = 0.0
    running_s: float = 0.0
    others_busy: float = 0.0
    most_rows: int = 1
    delay_s: float = 0.0
    deadline_s: float | None = None
    promised_s: float | None = None
    reason: str = ""
    step_down: str = ""
    trend: Verdict = field(default_factory=lambda: Verdict("unknown"))
    load: Mapping[str, Any] = field(default_factory=dict)


def explain(window: Window, facts: Facts) -> dict[str, Any]:
    """The section ``why`` of a model's statistics, as a JSON value; ``summary`` is the sentence."""
    asked = window.counts["requests"] + window.counts["hits"] + sum(window.faults.values())
    refused, parts = refusals(window, facts), times(window)
    sentences = [_now(facts), _refused(asked, refused), _slow(parts, window, facts), _quiet(asked, window)]
    return {
        "summary": next(sentence for sentence in sentences if sentence),
        "window_s": round(window.seconds, 3),
        "requests": {
            "asked": asked, "answered": window.counts["requests"], "from_cache": window.counts["hits"],
            "fail_safe": window.counts["safe"], "deadlines_missed": window.counts["missed"],
        },
        "refused": refused,
        "refused_because": sentences[1],
        "time_ms": {name: round(1e3 * seconds, 6) for name, seconds in parts.items()},
        "slow_because": sentences[2],
        "p99_ms": {WAIT: _within_ms(window.waits, 0.99), RUN: _within_ms(window.runs, 0.99)},
        "longest_ms": {WAIT: _within_ms(window.waits, 1.0), RUN: _within_ms(window.runs, 1.0)},
        "busy": _share(window.sums.get("compute", 0.0), window.seconds),
        "others_busy": facts.others_busy,
        "rows_per_run": _share(window.counts["rows"], window.counts["compute"]),
        "max_batch": facts.most_rows,
        "engine": facts.engine, "provider": facts.provider, "step_down": facts.step_down, "threads": facts.threads,
        "deadline_ms": None if facts.deadline_s is None else 1e3 * facts.deadline_s,
        "promised_p99_ms": None if facts.promised_s is None else 1e3 * facts.promised_s,
        "running_s": facts.running_s,
    }  # fmt: skip


def refusals(window: Window, facts: Facts) -> list[dict[str, Any]]:
    """Requests that were refused, failed or late: ``cause``, ``count`` and what it ``says``, the most frequent
    first."""
    counts = dict(window.faults)
    alone = min(window.counts["alone"], counts.get("infeasible", 0))
    unsure = min(window.counts["unsure"], counts.get("infeasible", 0) - alone)
    counts[TOO_SHORT], counts[UNSURE] = alone, unsure
    counts["infeasible"] = counts.get("infeasible", 0) - alone - unsure
    told = counts["infeasible"] + alone + unsure + counts.get("expired", 0)
    counts[LATE] = max(window.counts["missed"] - told, 0)
    busy = _busy(window, facts)
    usual = f"one run, which usually takes {time(facts.usual_s)}" if facts.usual_s else "one run"
    limit = ""
    if facts.deadline_s is not None and facts.deadline_s < facts.usual_s:
        limit = f" (deadline_ms gives {time(facts.deadline_s)} to who names none)"
    says = {
        TOO_SHORT: f"their deadline was shorter than {usual}{limit}{'' if window.runs.count else _LEARNT}",
        UNSURE: "it was not sure that they would be done in time, which by the latest run they would have been: "
        f"a run is reckoned with {time(facts.usual_s)}, and {time(facts.margin_s)} kept free before deadlines",
        "infeasible": f"too much was ahead of them for their deadline; {busy}{_slower(window, facts)}",
        "expired": f"their deadline came too near while they waited; {busy}",
        LATE: "their answer came after their deadline: it took longer than was predicted",
        "overloaded": f"the line was full; {busy}",
        "not_ready": "the model could not answer: its process was being replaced, or the server was ending",
        "bad_request": "they did not fit the model: names, shapes, datatypes or values; the reply says which",
        "failed": "their run failed; the reply says why",
        "cancelled": "their client went away before they were answered",
    }
    ranked = sorted(counts.items(), key=lambda one: -one[1])
    return [{"cause": cause, "count": n, "says": says.get(cause, cause)} for cause, n in ranked if n]


def times(window: Window) -> dict[str, float]:
    """Where the time of a request that is answered goes, in s on average, the most first; {} where none was.

    Who shares a run waits for all of it, and so its whole time counts for each. Reading and writing are timed over HTTP
    only, of one request in ``SAMPLED``, which stands for as many; those of other lanes count as nothing.
    """
    if not window.counts["requests"] or not window.counts["compute"]:
        return {}
    run = (window.sums.get("compute", 0.0) + window.sums.get("shared", 0.0)) / window.counts["requests"]
    images = run * min(_share(window.sums.get("beside", 0.0), window.sums.get("compute", 0.0)), 1.0)
    parts = {
        READ: _sampled(window, "parse"),
        WAIT: window.sums.get("queue", 0.0) / window.waited,
        IMAGES: images,
        RUN: run - images,
        WRITE: _sampled(window, "write"),
    }
    return dict(sorted(parts.items(), key=lambda one: -one[1]))


def _sampled(window: Window, name: str) -> float:
    return min(SAMPLED * window.sums.get(name, 0.0) / window.counts["requests"], window.mean_s(name))


def _now(facts: Facts) -> str:
    if facts.reason:
        return f"It does not answer now: {facts.reason}."
    if facts.running_s <= (facts.longest_s or facts.usual_s):
        return ""
    before = "it is the first"
    if facts.longest_s:
        before = f"none before took longer than {time(facts.longest_s)}"
    elif facts.usual_s:
        before = f"when it was loaded one took {time(facts.usual_s)}"
    return f"A run has been going on for {time(facts.running_s)}; {before}."


def _refused(asked: int, refused: list[dict[str, Any]]) -> str:
    if not refused:
        return ""
    total, first = sum(one["count"] for one in refused), refused[0]
    most = "because" if first["count"] == total else f"{first['count']:,} of these because"
    what = "request was" if total == asked == 1 else "requests were" if total != 1 else "requests was"
    return f"{total:,} of {asked:,} {what} refused, failed or late ({percent(total / asked)}), {most} {first['says']}."


def _slow(parts: Mapping[str, float], window: Window, facts: Facts) -> str:
    total = sum(parts.values())
    if not total:
        return ""
    name, seconds = next(iter(parts.items()))
    says = {
        READ: "reading it; tensors as bytes are read faster than JSON",
        WAIT: f"waiting in line{_ahead(seconds, parts, window, facts)}{_load(facts)}",
        IMAGES: f"decoding images and ranking classes{_load(facts)}",
        RUN: f"the model's run on {_engine(facts)}{_worse(window, facts)}{_load(facts)}",
        WRITE: "writing the reply; tensors as bytes are written faster than JSON",
    }
    return f"{time(seconds)} of the {time(total)} that a request takes ({percent(seconds / total)}) is {says[name]}."


def _quiet(asked: int, window: Window) -> str:
    if asked:
        return f"All {asked:,} answers came from the cache."
    return f"Nobody has asked in the last {time(window.seconds)}."


def _ahead(wait_s: float, parts: Mapping[str, float], window: Window, facts: Facts) -> str:
    """How long the line is, and how long it would be if requests came one by one at random: the mean wait of a queue
    with one server and exponential times is rho / (1 - rho) runs at the load rho (Kleinrock, Queueing Systems 1,
    1975)."""
    run_s = parts[RUN] + parts[IMAGES]
    told = f", as long as {wait_s / run_s:.3g} runs of it take; {_busy(window, facts)}" if run_s else ""
    rho = _share(window.sums.get("compute", 0.0), window.seconds) + facts.others_busy
    if run_s and rho < 1:
        told += f"; had they come at random, they would have waited some {time(run_s * rho / (1 - rho))}"
    return told


def _busy(window: Window, facts: Facts) -> str:
    told = f"its own runs took {percent(_share(window.sums.get('compute', 0.0), window.seconds))} of the time"
    if facts.others_busy:
        told += f", other models' {percent(facts.others_busy)} of the executors'"
    if facts.delay_s and facts.most_rows > 1:
        told += f"; a batch waits up to {time(facts.delay_s)} for company"
    return told


def _slower(window: Window, facts: Facts) -> str:
    """Where runs are reckoned with more than any took."""
    if not window.runs.count or facts.mean_s <= (longest_s := window.runs.within(1.0)):
        return ""
    return f"; a run is reckoned with {time(facts.mean_s)}, though none took longer than {time(longest_s)}"


def _engine(facts: Facts) -> str:
    down = f" ({facts.step_down})" if facts.step_down else ""
    return f"{facts.engine}'s {facts.provider} with {many(facts.threads, 'thread')}{down}"


def _worse(window: Window, facts: Facts) -> str:
    p99_ms, told = _within_ms(window.runs, 0.99), ""
    if facts.promised_s is not None and p99_ms is not None and p99_ms > 1e3 * facts.promised_s:
        told += f"; 99% are within {time(p99_ms / 1e3)}, its bundle promises {time(facts.promised_s)}"
    if facts.trend.word == "degrading":
        told += f"; runs became {percent(facts.trend.change)} slower over the latest {facts.trend.values:,}"
    return told


def _load(facts: Facts) -> str:
    """Only where more programs want processors than there are."""
    load, cores = facts.load.get("load_1m", 0.0), facts.load.get("cores", 0)
    return f"; {load:.3g} programs wanted the {many(cores, 'core')} in the last minute" if load > cores else ""


def _within_ms(sketch: Sketch, share: float) -> float | None:
    return round(1e3 * sketch.within(share), 6) if sketch.count else None


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole > 0 else 0.0
