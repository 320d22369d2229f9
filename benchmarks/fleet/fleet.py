"""A simulated fleet: devices that see harder or easier inputs than others, days that do, and what they report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from benchmarks.fleet.models import CLASSES, Answers, Case
from numpy.typing import NDArray

from edgewright.flows.release import Reading, Series, draw, fit_doubt, parse_waves, share, shares

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """``inferences`` a device after the switch, in ``looks``, and ``past`` before it;
    ``shadowed``: the share of them that both models see;
    ``labelled``: the share whose label comes back."""

    devices: int = 1000
    canary: float = 0.05
    inferences: int = 200
    looks: int = 20
    past: int = 200
    shadowed: float = 0.0
    labelled: float = 0.0
    drift: float = 0.15


class Fleet:
    """One run. ``hardness`` of each device (random effect), of each day (drift, both arms alike) and of each device's
    day: exponents that bend where in the pool, sorted from easy to hard, inputs are drawn from."""

    def __init__(self, running: Case, release: Case, classes: NDArray[np.int64], setting: Setting, seed: int) -> None:
        self.rng, self.setting, self.running, self.release = np.random.default_rng(seed), setting, running, release
        n = setting.devices
        self.order = np.argsort(-running.live.lead)
        self.by_class = [self.order[classes[self.order] == c] for c in range(CLASSES)]
        self.own = self.rng.normal(0, 0.5, n)
        self.favourite = self.rng.integers(0, CLASSES, n)
        self.strata = [f"{'abc'[self.rng.integers(0, 3)]}" for _ in range(n)]
        self.own += np.array([{"a": -0.2, "b": 0.0, "c": 0.3}[s] for s in self.strata])
        self.speed, self.error_rate = self.rng.normal(3.0, 0.3, n), self.rng.beta(0.5, 250, n)
        names = {f"d{i}": s for i, s in enumerate(self.strata)}
        sizes = parse_waves(f"{100 * setting.canary:g},100")
        first = {p.device for p in draw(names, sizes, str(seed)) if p.wave == 0}
        self.canary = np.array([f"d{i}" in first for i in range(n)])
        self.day = self.rng.normal(0, setting.drift)
        self.before = self._summaries(self._draw(setting.past), np.zeros(n, np.bool_))
        self.seen: NDArray[np.int64] = np.empty((n, 0), np.int64)

    def look(self) -> list[Reading]:
        """The next look: some more inferences on every device, on a day that is a little harder or easier."""
        self.day += self.rng.normal(0, self.setting.drift / 3) + self.setting.drift / self.setting.looks
        self.seen = np.hstack([self.seen, self._draw(self.setting.inferences // self.setting.looks)])
        after = self._summaries(self.seen, self.canary)
        return [
            Reading(f"d{i}", "canary" if c else "control", s, b, a)
            for i, (c, s, b, a) in enumerate(zip(self.canary, self.strata, self.before, after, strict=True))
        ]

    def _draw(self, count: int) -> NDArray[np.int64]:
        n = self.setting.devices
        bend = np.exp(-(self.own + self.day + self.rng.normal(0, 0.1, n)))[:, None]
        where = self.rng.random((n, count)) ** bend
        picked = self.order[(where * len(self.order)).astype(np.int64)]
        home = self.rng.random((n, count)) < 0.3
        for c in range(CLASSES):
            mine = home & (self.favourite == c)[:, None]
            picked[mine] = self.by_class[c][(where[mine] * len(self.by_class[c])).astype(np.int64)]
        return picked

    def _summaries(self, picked: NDArray[np.int64], new: NDArray[np.bool_]) -> list[dict[str, Series]]:
        old, release = self.running, self.release
        n, count = picked.shape
        means: dict[str, Floats] = {}
        for case, rows in ((old, ~new), (release, new)):
            doubt = fit_doubt(case.held_out.lead, case.held_out.wrong).of(case.live.lead)
            x = picked[rows]
            for name, values in (
                ("doubt", doubt[x].mean(1)), ("confidence", case.live.confidence[x].mean(1)),
                ("spread", case.live.confidence[x].var(1)), ("width", doubt[x].var(1)), ("wrong", case.live.wrong[x]),
                ("chosen", np.stack([(case.live.chosen[x] == c).sum(1) for c in range(CLASSES)], 1)),
            ):  # fmt: skip
                means.setdefault(name, np.zeros((n, *values.shape[1:])))[rows] = values
        errors = self.rng.binomial(count, self.error_rate)
        p95 = self.speed + self.rng.normal(0, 0.5 / np.sqrt(count), n)
        labels = int(self.setting.labelled * count)
        shadowed = int(self.setting.shadowed * count)
        differ = (old.live.chosen != release.live.chosen)[picked[:, :shadowed]].sum(1)
        made = []
        for i in range(n):
            row = {
                "doubt": Series(count, float(means["doubt"][i]), float(means["width"][i])),
                "confidence": Series(count, float(means["confidence"][i]), float(means["spread"][i])),
                "errors": share(int(errors[i]), count), "latency": Series(count, float(p95[i])),
                **shares("predictions", [int(c) for c in means["chosen"][i]]),
            }  # fmt: skip
            if labels:
                row["wrong"] = share(int(means["wrong"][i, :labels].sum()), labels)
            if shadowed and new[i]:
                row["disagreement"] = share(int(differ[i]), shadowed)
            made.append(row)
        return made


def expected(running: Answers, release: Answers) -> dict[str, float]:
    """What held-out evidence foretells of a release."""
    return {
        "confidence": float(release.confidence.mean() - running.confidence.mean()),
        "disagreement": float((release.chosen != running.chosen).mean()),
    }
