"""Guardrails: whether a bundle on trial does as well as the one before it, from the runtime's own metrics. Pure.

They are the device's own, quick and coarse: what a fleet sees better than one device (confidence, drift, labels) the
hub's gates see.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.statistics import binomial_tail

_LINE = re.compile(r"edgewright_(\w+)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_STARTED = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)
_FAILED = {"failed", "not_ready"}
"""Outcomes of requests that are the model's fault; what clients do wrong, and what had no time, is not."""
_SURE, _FEW, _USUAL, _SLOWER = 0.001, 5, 0.01, 1.25


@dataclass(frozen=True)
class Counts:
    """What one model's requests came to since the runtime started at ``started_s``: ``good``, ``failed``, ``late``
    (deadlines missed), and ``runs``: how many took at most so many s, cumulative by upper bound."""

    good: float = 0.0
    failed: float = 0.0
    late: float = 0.0
    runs: Mapping[str, float] = field(default_factory=dict)
    started_s: float = 0.0

    @classmethod
    def read(cls, page: str, model: str) -> Counts:
        """From a metrics page (Prometheus's text format 0.0.4), over all versions of the model."""
        good = failed = late = 0.0
        runs: dict[str, float] = {}
        for name, inner, number in _LINE.findall(page):
            labels = dict(_LABEL.findall(inner))
            if labels.get("model") != model:
                continue
            value = _number(number)
            if name == "requests_total":
                outcome = labels.get("outcome", "")
                good += value * (outcome == "ok")
                failed += value * (outcome in _FAILED)
            elif name == "deadline_misses_total":
                late += value
            elif name == "compute_seconds_bucket":
                runs[labels.get("le", "")] = runs.get(labels.get("le", ""), 0.0) + value
        started = _STARTED.search(page)
        return cls(good, failed, late, runs, _number(started[1]) if started else 0.0)

    def since(self, before: Counts) -> Counts:
        """What came after ``before``; all of it where the runtime started anew meanwhile."""
        if before.started_s != self.started_s:
            return self
        runs = {bound: max(count - before.runs.get(bound, 0.0), 0.0) for bound, count in self.runs.items()}
        good, failed = max(self.good - before.good, 0.0), max(self.failed - before.failed, 0.0)
        return Counts(good, failed, max(self.late - before.late, 0.0), runs, self.started_s)

    @property
    def total(self) -> float:
        """Requests that count."""
        return self.good + self.failed

    def quantile_s(self, q: float) -> float:
        """The upper bound of the bucket that holds the ``q`` quantile of the runs, in s; NaN without runs."""
        ordered = sorted((float(bound.replace("+Inf", "inf")), count) for bound, count in self.runs.items() if bound)
        if not ordered or ordered[-1][1] <= 0:
            return math.nan
        return next(bound for bound, count in ordered if count >= q * ordered[-1][1])

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {**vars(self), "runs": dict(self.runs)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Counts:
        """What ``to_json`` gave. Raises InputError."""
        try:
            return cls(**told)
        except TypeError as error:
            raise InputError("these are no counts of an agent") from error


def judge(now: Counts, before: Counts, promised_ms: float = 0.0) -> str:
    """What a bundle on trial does worse than the one before, as a sentence; "" when nothing is seen.

    More failures, or more late answers, than chance explains at the rate before (1% at least; binomial, p below 0.001,
    five of them at least). A p95 of runs that is above what the contract promises of 99% and, where the one before had
    enough runs to tell, more than 1.25 of its own, with a median that rose as well: the one before did not run at the
    same moment, and a machine that is busy has long tails. Histogram buckets stand 1-2-5, so a step of one bucket is no
    evidence: two are.
    """
    for what, count, usual in (("failed", now.failed, before.failed), ("came too late", now.late, before.late)):
        share = max(_USUAL, (usual + 1) / (before.total + 2) if before.total else 0.0)
        total = round(max(now.total, now.failed + now.good, count))
        if count >= _FEW and binomial_tail(round(count), total, min(share, 1.0)) < _SURE:
            return f"{count:.0f} of {total} requests {what}; before it were {usual:.0f} of {before.total:.0f}"
    new, old = now.quantile_s(0.95), before.quantile_s(0.95)
    enough = now.total >= 20
    if not enough or math.isnan(new):
        return ""
    # The bucket's lower bound is at least 0.4 of its upper one: what surely lies above.
    surely_ms = 400.0 * new
    slower = before.total >= 20 and not math.isnan(old) and 0.4 * new > _SLOWER * old
    slower = slower and now.quantile_s(0.5) > before.quantile_s(0.5)
    promised = promised_ms > 0 and surely_ms > promised_ms
    if slower and (promised or not promised_ms):
        return f"95% of runs take up to {1e3 * new:.3g} ms; before it were {1e3 * old:.3g} ms"
    if promised and before.total < 20:
        return f"95% of runs take up to {1e3 * new:.3g} ms; its contract promises 99% within {promised_ms:.3g} ms"
    return ""


def breach(now: Counts, limits: Mapping[str, Any]) -> str:
    """Which of the hub's limits a bundle on trial surely breaks, as a sentence; "" for none. Pure.

    ``error_rate`` and ``miss_rate``: shares of the requests, held by the same test as ``judge``'s; ``latency_p50_ms``,
    ``latency_p95_ms``, ``latency_p99_ms``: of runs, 20 at least. Others are the hub's to look at.
    """
    for name, limit in sorted(limits.items()):
        count = {"error_rate": now.failed, "miss_rate": now.late}.get(name)
        if count is not None:
            total = round(max(now.total, count))
            share = min(max(float(limit), 1e-6), 1.0)
            if count >= _FEW and binomial_tail(round(count), total, share) < _SURE:
                return f"{name} is {count / total:.3g} over {total} requests, above the rollout's {limit:g}"
        quantile = {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}.get(name)
        if quantile is not None and now.total >= 20 and 400.0 * now.quantile_s(quantile) > float(limit):
            return f"{name} is above {400.0 * now.quantile_s(quantile):.3g} ms, the rollout allows {limit:g} ms"
    return ""


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
