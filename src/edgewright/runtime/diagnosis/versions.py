"""Versions: what those of a model that shares its requests, or has a shadow, did lately, as counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgewright.runtime.experiments.shadow import Shadows
from edgewright.runtime.experiments.splits import Splits

Counts = Counter[tuple[str, str, str]]
"""By what is counted (``drawn``, or what became of a shadow's copies), model and version."""
DRAWN, COMPARED, FAILED = "drawn", "compared", "failed"


class Versions:
    """``splits`` and ``shadows``: None where there are none."""

    def __init__(self, splits: Splits | None, shadows: Shadows | None) -> None:
        self._splits, self._shadows = splits, shadows

    def counts(self) -> Counts:
        """Since the start."""
        found: Counts = Counter()
        for one in self._splits.report() if self._splits is not None else ():
            found.update({(DRAWN, one["model"], version): n for version, n in one["drawn"].items()})
        for shadow, counts, _ in self._shadows.counts() if self._shadows is not None else ():
            found.update({(what, shadow.model, shadow.version): n for what, n in counts.items()})
        return found

    def told(self, before: Counts, answered: Counts) -> dict[str, Any]:
        """What happened since ``before``, as a JSON value. ``answered``: how many requests each version answered since,
        under ``answered``."""
        now = self.counts()
        now.subtract(before)
        splits = [
            {
                "model": one["model"], "shares": one["shares"],
                "drawn": {version: now[DRAWN, one["model"], version] for version in one["drawn"]},
                "answered": {version: n for (_, model, version), n in answered.items() if model == one["model"]},
            }
            for one in (self._splits.report() if self._splits is not None else ())
        ]  # fmt: skip
        shadows = [
            {
                "model": shadow.model, "version": shadow.version, "share": shadow.share, "waiting": waiting,
                **{what: now[what, shadow.model, shadow.version] for what in (COMPARED, FAILED)},
                "shed": {
                    what.removeprefix("shed "): now[what, shadow.model, shadow.version]
                    for what in counts if what.startswith("shed ")
                },
            }
            for shadow, counts, waiting in (self._shadows.counts() if self._shadows is not None else ())
        ]  # fmt: skip
        return {"splits": splits, "shadows": shadows}
