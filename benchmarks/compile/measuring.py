"""All models of a comparison in one interleaved run, and all on the samples that no tool saw."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from subjects import Entry

from edgewright.core.errors import EdgewrightError
from edgewright.core.session import Arrays, Session
from edgewright.core.statistics import Interval, paired_proportions
from edgewright.measurement import Plan, measure_latency

SECONDS_EACH = 4.0
OPENINGS = 2


@dataclass(frozen=True)
class Row:
    """One measured entry. ``ratio``: time over the original's; ``lost``: points, below zero for a gain."""

    entry: Entry
    p50: Interval | None = None
    ratio: Interval | None = None
    size_bytes: int | None = None
    accuracy: float | None = None
    lost: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        def plain(found: Interval | None) -> dict[str, float] | None:
            return None if found is None else dict(vars(found))

        subject = self.entry.subject
        return {
            "name": self.entry.name, "tool": self.entry.tool, "failure": self.entry.failure,
            "engine": subject and subject.engine, "engine_options": subject and subject.options.to_json(),
            "digest": subject and subject.model.digest, "recipe": self.entry.recipe,
            "latency_ms": plain(self.p50), "ratio": plain(self.ratio), "size_bytes": self.size_bytes,
            "accuracy_points": self.accuracy, "lost_points": plain(self.lost),
            "seconds": self.entry.seconds, "first_feasible_s": self.entry.first_s,
        }  # fmt: skip


def measure(entries: Sequence[Entry], heldout: Path, *, seed: int, seconds_each: float = SECONDS_EACH) -> list[Row]:
    """A row for every entry, in their order. One that cannot be opened or run keeps its reason."""
    name, samples, labels = read(heldout)
    rows: dict[str, Row] = {}
    right: dict[str, np.ndarray] = {}
    with ExitStack() as stack:
        opened: dict[str, list[Session]] = {}
        for entry in entries:
            rows[entry.name] = Row(entry)
            if entry.subject is None:
                continue
            try:
                sessions = [stack.enter_context(entry.subject.open()) for _ in range(OPENINGS)]
                right[entry.name] = answers(sessions[0], name, samples) == labels
            except EdgewrightError as error:
                rows[entry.name] = Row(replace(entry, subject=None, failure=str(error)))
                continue
            opened[entry.name] = sessions
        baseline = entries[0].name
        plan = Plan(seconds_each * len(opened), precision=0.01, seed=seed, baseline=baseline)
        inputs: list[Arrays] = [{name: sample[None]} for sample in samples[:16]]
        found = measure_latency(opened, inputs, plan)
    for entry in entries:
        if entry.name not in found or entry.subject is None:
            continue
        lost = paired_proportions(right[baseline], right[entry.name])
        rows[entry.name] = Row(
            entry, found[entry.name].p50, found[entry.name].ratio, entry.subject.model.size_bytes,
            100 * float(right[entry.name].mean()),
            Interval(-100 * lost.value + 0.0, -100 * lost.high, -100 * lost.low, lost.n),
        )  # fmt: skip
    return [rows[entry.name] for entry in entries]


def read(heldout: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """The input's name, the samples and their labels."""
    with np.load(heldout) as arrays:
        name = next(key for key in arrays.files if key != "labels")
        return name, arrays[name], arrays["labels"]


def answers(session: Session, name: str, samples: np.ndarray) -> np.ndarray:
    """The class of each sample (n,), asked one by one: as the model is timed, and as some models only can."""
    return np.array([int(np.argmax(next(iter(session.infer({name: s[None]}).values())))) for s in samples])
