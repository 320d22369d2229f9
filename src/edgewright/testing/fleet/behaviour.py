"""Behaviour: what devices see of a model, drawn: harder and easier inputs, slower and faster machines, days that drift.

A device's answers have leads (logit over the next) around a mean that its own effect, its day and the fleet's day move;
confidence is the logistic function of the lead, as between two classes. What a bundle changes is its ``Shift``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgewright.core.errors import InputError
from edgewright.core.messages import Observation, Series

DAY_S = 86400.0


@dataclass(frozen=True)
class Shift:
    """What a bundle is different in: ``lead``: added to the mean lead; ``temperature``: leads are divided by it, as a
    calibration does; ``errors``: added to the share of failed requests; ``latency``: times."""

    lead: float = 0.0
    temperature: float = 1.0
    errors: float = 0.0
    latency: float = 1.0

    @classmethod
    def parse(cls, text: str) -> tuple[str, Shift]:
        """``BUNDLE:lead=-0.5,errors=0.02``, the bundle by the beginning of its digest. Raises InputError."""
        bundle, colon, rest = text.partition(":")
        try:
            if not bundle or not colon:
                raise ValueError("there is no bundle")
            return bundle, cls(**{k: float(v) for k, _, v in (part.partition("=") for part in rest.split(","))})
        except (ValueError, TypeError) as error:
            raise InputError(f"{text[:80]!r} is no shift ({error}); it reads DIGEST:lead=-0.5,latency=1.3") from error


@dataclass(frozen=True)
class Behaviour:
    """``requests``: in a period of 900 s, on average; ``shifts``: by the beginning of a bundle's digest."""

    seed: int = 0
    requests: float = 200.0
    classes: int = 10
    drift: float = 0.15
    shifts: Mapping[str, Shift] = field(default_factory=dict)

    def device(self, name: str) -> Nature:
        """The device's own effects, the same in each run of the seed."""
        rng = np.random.default_rng([self.seed, *name.encode()])
        weights = rng.dirichlet(np.full(self.classes, 4.0))
        return Nature(rng, float(rng.normal(0, 0.5)), float(np.exp(rng.normal(1.1, 0.3))),
                      float(rng.beta(0.5, 250)), weights)  # fmt: skip

    def day(self, at_s: float) -> float:
        """How much harder the inputs are on that day, for all devices."""
        return float(np.random.default_rng([self.seed, int(at_s // DAY_S) & 0xFFFFFFFF]).normal(0, self.drift))

    def shift(self, bundle: str) -> Shift:
        """The bundle's."""
        return next((shift for begin, shift in self.shifts.items() if bundle.startswith(begin)), Shift())


@dataclass
class Nature:
    """One device: ``hardness`` of its inputs, ``speed_ms``, its share of errors, its classes' shares."""

    rng: np.random.Generator
    hardness: float
    speed_ms: float
    errors: float
    weights: np.typing.NDArray[np.float64]

    def observe(self, of: Behaviour, model: str, bundle: str, began_s: float, seconds: float) -> Observation:
        """What the device tells of ``seconds`` from ``began_s`` on."""
        rng, shift = self.rng, of.shift(bundle)
        n = int(rng.poisson(of.requests * seconds / 900.0))
        mean = 4.0 - self.hardness - of.day(began_s) + rng.normal(0, 0.1) + shift.lead
        leads = np.abs(rng.normal(mean, 2.0, n)) / shift.temperature
        latency = self.speed_ms * shift.latency * np.exp(rng.normal(0, 0.15, n))
        chosen = rng.multinomial(n, self.weights)
        failed = int(rng.binomial(n, min(self.errors + shift.errors, 1.0)))
        series = {
            "latency_ms": Series.of(np.round(latency, 4).tolist()),
            "lead": Series.of(leads.tolist()),
            "confidence": Series.of((1.0 / (1.0 + np.exp(-leads))).tolist()),
        }
        counters = {"requests": n, "errors": failed, "missed": 0, "predictions": n - failed, "unanswered": 0}
        classes = {str(label): int(count) for label, count in enumerate(chosen) if count}
        return Observation(model, bundle, began_s, seconds, counters, classes, series if n else {})


def forged(one: Observation) -> Observation:
    """What a device tells that wants to move a gate: everything wrong, slow and unsure, in great numbers."""
    series = {"latency_ms": Series.of([1e6] * 64), "lead": Series.of([0.0] * 64), "confidence": Series.of([0.0] * 64)}
    counters = {"requests": 10**12, "errors": 10**12, "missed": 10**12, "predictions": 10**12, "unanswered": 0}
    return Observation(one.model, one.bundle, one.began_s, one.seconds, counters, {"0": 10**12}, series)
