"""Gates: from devices' readings to halt, hold or advance.

Every look computes the e-values of all metrics anew from what is known now; they are e-processes, so the looks may come
at any time and as often as one likes. Their weighted sum is held against the wave's share of the error budget: the
rollout as a whole halts a harmless release with a probability of at most ``Budget.alpha``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from edgewright.core.sequential import above, combined, mean_sequence, normal_score, rejects
from edgewright.flows.release.effects import Effect, average, compare
from edgewright.flows.release.installs import Installs, judge_installs
from edgewright.flows.release.metrics import INSTALL_WEIGHT, METRICS, Metric
from edgewright.flows.release.panels import Table
from edgewright.flows.release.series import Reading

Action = Literal["halt", "hold", "advance"]

SUSPICION = math.log(10)
"""Log evidence from which on a gate does not advance, though it is not enough to halt: a wave waits for more."""
TOLERANCE = 3.0
"""Margins within which a gate wants to know the shift before it advances, while waiting can still help."""
DRIFT_ALPHA = 0.01
SHADOWED = "disagreement"
_LIKELIER = math.log(2)
_DISPLAY_ALPHA = 0.1


@dataclass(frozen=True)
class Budget:
    """``alpha``: the probability with which a whole rollout of a harmless release may be halted wrongly. The first wave
    is given half of it, the next a quarter, and so on."""

    alpha: float = 0.01

    def of_wave(self, wave: int) -> float:
        """The share of the wave (the first is 0)."""
        return self.alpha * 0.5 ** (wave + 1)


@dataclass(frozen=True)
class Finding:
    """What one metric says. ``shift``: canaries' change minus controls', with the bounds of its confidence sequence
    (90%); ``log_e``: evidence that it is worse than expected by more than the margin; ``drift``: the controls' own
    change against their past; ``drifting``: that is more than the margin."""

    metric: str
    shift: float
    low: float
    high: float
    log_e: float
    canaries: int
    controls: int
    settled: bool
    drift: float | None = None
    drifting: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON values; what is infinite is None."""
        return {
            "metric": self.metric, "shift": _short(self.shift), "low": _short(self.low), "high": _short(self.high),
            "log_e": _short(self.log_e), "canaries": self.canaries, "controls": self.controls, "settled": self.settled,
            "drift": None if self.drift is None else _short(self.drift), "drifting": self.drifting,
        }  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """``why`` is one plain sentence; ``evidence`` JSON values."""

    action: Action
    why: str
    log_e: float
    needed: float
    findings: tuple[Finding, ...] = ()
    drifts: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)


def judge(
    installs: Installs, readings: Iterable[Reading], wave: int = 0, metrics: Sequence[Metric] = METRICS,
    budget: Budget = Budget(), overdue: bool = False,
) -> Verdict:  # fmt: skip
    """One look at a wave. ``overdue``: waiting for more evidence has taken long enough; then no suspicion suffices."""
    readings = tuple(readings)
    seen = Table(readings)
    failing = judge_installs(installs)
    found: list[tuple[Metric, tuple[Finding, ...]]] = [(metric, _findings(metric, seen)) for metric in metrics]
    logs = [failing.log_e, *(_family(findings) for _, findings in found)]
    weights = [INSTALL_WEIGHT, *(metric.weight for metric in metrics)]
    total, alpha = combined(logs, weights), budget.of_wave(wave)
    every = tuple(finding for _, findings in found for finding in findings)
    drifts = tuple(_drift_told(metric, f) for metric, findings in found for f in findings if f.drifting)
    heaviest = max(range(len(logs)), key=lambda i: logs[i] + math.log(weights[i]) if weights[i] else -math.inf)
    if heaviest == 0:
        cause = failing.why
    else:
        metric, findings = found[heaviest - 1]
        cause = _told(metric, max(findings, key=lambda f: f.log_e)) if findings else ""
    action, why = _choose(
        total, alpha, cause, failing.holds, failing.why, found, overdue, installs.offered == 0, bool(readings)
    )
    if drifts and action != "halt":
        why = f"{why}; {drifts[0]}"
    evidence = {
        "wave": wave, "alpha": alpha, "log_e": _short(total), "log_e_needed": _short(-math.log(alpha)),
        "weights": {"installs": INSTALL_WEIGHT, **{m.name: m.weight for m in metrics}},
        "margins": {m.name: _short(m.margin) for m in metrics},
        "expected": {m.name: _short(m.expected) for m in metrics if m.expected},
        "installs": failing.to_json(), "findings": [finding.to_json() for finding in every], "drifts": list(drifts),
    }  # fmt: skip
    return Verdict(action, why, total, -math.log(alpha), every, drifts, evidence)


def doubted(verdict: Verdict) -> str:
    """Why a wave whose devices ran the release in their shadows is not to switch without a person, "" for nothing: it
    is twice as likely that they disagree more than is benign as that they do not."""
    for one in verdict.findings:
        if one.metric == SHADOWED and one.log_e >= _LIKELIER:
            margin = verdict.evidence.get("margins", {}).get(SHADOWED, 0.0)
            return (
                f"the release chooses otherwise than what serves on {100 * one.shift:.2g}% of shadowed inputs on "
                f"{_devices(one.canaries)}; {100 * margin:.2g} points are benign"
            )
    return ""


def _choose(
    total: float, alpha: float, cause: str, holds: bool, why_not: str,
    found: Sequence[tuple[Metric, tuple[Finding, ...]]], overdue: bool, unasked: bool,
    heard: bool,
) -> tuple[Action, str]:  # fmt: skip
    if rejects(total, alpha):
        return "halt", cause
    if holds:
        return "hold", f"{why_not}: no proof that there are too many, and too many to go on"
    if total >= SUSPICION:
        return "hold", f"{cause}: not yet proof (evidence {_power(total)} of {_power(-math.log(alpha))})"
    gated = [(m, f) for m, findings in found for f in findings if m.weight]
    vague = [(m, f) for m, f in gated if m.awaited and not f.settled]
    if not gated and not overdue:
        return "hold", "no canary has told yet how its model does"
    if vague and not overdue:
        metric, finding = max(vague, key=lambda pair: (pair[1].high - pair[1].low) / pair[0].margin)
        return "hold", f"too little is known yet of {finding.metric}: {_bounds(metric, finding)}"
    if unasked:
        return "advance", "no device has taken the release yet, so nothing speaks against it"
    if not gated:
        alone = "no device that runs on unchanged is left to compare its answers with"
        return "advance", f"installations went well; {alone if heard else 'nothing is known of its answers yet'}"
    if vague:
        metric, finding = max(vague, key=lambda pair: (pair[1].high - pair[1].low) / pair[0].margin)
        return "advance", f"nothing speaks against it, though little is known of {finding.metric}"
    return "advance", f"no worse than devices that run on unchanged, by {len({m.name for m, _ in gated})} metrics"


def _findings(metric: Metric, table: Table) -> tuple[Finding, ...]:
    made = []
    for name in table.parts(metric.name):
        if metric.alone:
            effect, drift = average(*table.levels(name), metric.margin), None
        else:
            effect = compare(table.panel(name), metric.margin)
            drift = average(*table.changes(name), metric.margin, canaries=False)
        if effect is not None:
            made.append(_finding(metric, name, effect, drift))
    return tuple(made)


def _finding(metric: Metric, name: str, effect: Effect, drift: Effect | None) -> Finding:
    scale = 2 * metric.margin
    shift = effect.estimate - metric.expected
    low, high = mean_sequence(shift, _variance(effect), _DISPLAY_ALPHA, scale)
    ups = _evidence(shift, effect, metric.margin, scale)
    downs = _evidence(-shift, effect, metric.margin, scale)
    if metric.worse == "either":
        log_e, worst = combined([ups, downs], [0.5, 0.5]), max(high, -low)
    else:
        log_e, worst = (ups, high) if metric.worse == "up" else (downs, -low)
    drifting = drift is not None and any(
        rejects(_evidence(side * drift.estimate, drift, metric.margin, scale), DRIFT_ALPHA / 2) for side in (1, -1)
    )
    return Finding(
        name, effect.estimate, low + metric.expected, high + metric.expected, log_e, effect.canaries, effect.controls,
        worst < TOLERANCE * metric.margin, drift.estimate if drift is not None else None, drifting,
    )  # fmt: skip


def _evidence(shift: float, effect: Effect, margin: float, scale: float) -> float:
    """Log evidence that a shift is above the margin, the small sample's tails taken out."""
    deviation = math.sqrt(effect.variance)
    z = normal_score((shift - margin) / deviation, effect.freedom)
    # What is looked for is of the margin's size; where little is known only much more can be seen.
    small, large = (above(z * deviation, effect.variance, width) for width in (scale, 5 * scale))
    return combined([small, large], [0.9, 0.1])


def _variance(effect: Effect) -> float:
    # Student's variance: the display of a small sample is wider in the same spirit.
    return effect.variance * effect.freedom / max(effect.freedom - 2, 1)


def _family(findings: Sequence[Finding]) -> float:
    """One e-value of a metric's parts: their average."""
    return combined([f.log_e for f in findings], [1 / len(findings)] * len(findings)) if findings else 0.0


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"


def _told(metric: Metric, finding: Finding) -> str:
    direction = "up" if finding.shift > 0 else "down"
    run = "runs" if finding.controls == 1 else "run"
    against = "on shadowed inputs" if metric.alone else f"against {_devices(finding.controls)} that {run} on unchanged"
    expected = f" ({metric.told(metric.expected)} expected)" if metric.expected else ""
    return (
        f"{finding.metric} is {direction} by {metric.told(finding.shift)}{expected} on {_devices(finding.canaries)} "
        f"{against}, more than the {metric.told(metric.margin)} that are benign"
    )


def _drift_told(metric: Metric, finding: Finding) -> str:
    moved = finding.drift or 0.0
    direction = "up" if moved > 0 else "down"
    return f"{finding.metric} went {direction} by {metric.told(moved)} on unchanged devices too: drift, not regression"


def _bounds(metric: Metric, finding: Finding) -> str:
    worst = max(finding.high - metric.expected, metric.expected - finding.low)
    return f"it may be off by {metric.told(worst)}"


def _power(log_e: float) -> str:
    return f"{math.exp(log_e):.3g}" if log_e < 60 else f"1e{log_e / math.log(10):.0f}"


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
