"""Held out: what the sealed model answered on labelled samples it was neither fitted nor chosen on, for gates.

A file of the bundle's evidence, signed like all others: a hub reads it without an engine (``BundleContent.held_out``).
A bundle without one (no labels, no classifier, an older release) has none, and its gates do without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewright.core.answers import Rule
from edgewright.core.doubt import DoubtCurve, fit_doubt
from edgewright.core.fields import Fields
from edgewright.core.strict import parse_json

HELD_OUT = "heldout.json"
"""Its name among the evidence."""
SCHEMA = "edgewright.heldout/1"
FEWEST = 50
"""Answers that a curve is fitted on: fewer say nothing of a share of errors."""
_MOST_BYTES = 64 * 2**10


@dataclass(frozen=True)
class HeldOut:
    """``answers``: how many; ``accuracy``: the share of them that was right; ``confidence`` and ``doubt``: their means,
    as a device tells them (``core.answers``), the latter by ``curve``. ``data``: digest of the samples: means of two
    bundles are compared where theirs are the same."""

    curve: DoubtCurve
    answers: int
    accuracy: float
    confidence: float
    doubt: float
    data: str = ""

    def __post_init__(self) -> None:
        if self.answers < 1 or not all(0 <= one <= 1 for one in (self.accuracy, self.confidence, self.doubt)):
            raise ValueError("what was held out is told of one answer at least, its means as shares from 0 to 1")

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, value: Any) -> HeldOut:
        """What ``to_json`` gave. Raises ValueError; keys that are not known are passed over."""
        fields = Fields(value, "the held-out evidence")
        if (schema := fields.text("schema")) != SCHEMA:
            raise ValueError(f"its held-out evidence is of schema {schema[:60]!r}; this release knows {SCHEMA!r}")
        curve = Fields(fields.take("curve", dict), "the curve of doubt")
        return cls(
            DoubtCurve(curve.number("intercept"), curve.number("slope")), fields.whole("answers"),
            fields.number("accuracy"), fields.number("confidence"), fields.number("doubt"), fields.text("data"),
        )  # fmt: skip


def held_out(rule: Rule, scores: NDArray[Any], labels: ArrayLike, data: str = "") -> HeldOut | None:
    """Of ``scores`` (n, K) or (n,), read by ``rule``, and the right classes (n,). None for fewer than ``FEWEST``
    answers that are finite: there is nothing to fit. Raises ValueError for scores that the rule does not read."""
    found, truth = rule.read(scores), np.asarray(labels)
    right = found.classes == truth
    told = np.isfinite(found.lead)
    if truth.shape != right.shape or told.sum() < FEWEST:
        return None
    curve = fit_doubt(found.lead[told], ~right[told])
    return HeldOut(
        curve, right.size, float(right.mean()), float(found.confidence[told].mean()),
        float(curve.of(found.lead[told]).mean()), data,
    )  # fmt: skip


def read_held_out(evidence: Mapping[str, bytes]) -> HeldOut | None:
    """Of a bundle's evidence by file name; None for none, or one of another release's schema. Raises ValueError for a
    file of that name that is not sound."""
    data = evidence.get(HELD_OUT)
    told = None if data is None else parse_json(data, _MOST_BYTES)
    known = not isinstance(told, dict) or told.get("schema", SCHEMA) == SCHEMA
    return HeldOut.from_json(told) if told is not None and known else None


def expected(new: HeldOut | None, old: HeldOut | None) -> dict[str, float]:
    """What held-out answers foretell of the new bundle on live data, by a gate's metric: its mean confidence minus the
    old one's. Nothing where either is not known, or they were not judged on the same samples."""
    if new is None or old is None or not new.data or new.data != old.data:
        return {}
    change = new.confidence - old.confidence
    return {"confidence": change} if math.isfinite(change) else {}
