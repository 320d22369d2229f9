"""Settings: how a run searches, and how it tells where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgewright.compression.search import Spec
from edgewright.compression.verdict import Preference
from edgewright.core.candidate import Candidate
from edgewright.core.errors import InputError
from edgewright.engines import ENGINES
from edgewright.flows.limits import Limits, is_number


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it. Times in s; ``best`` is the best feasible candidate so far, ``found``
    the one that was measured just now (None where only the stage changed)."""

    stage: str
    tried: int
    elapsed_s: float
    left_s: float
    best: Candidate | None
    baseline: Candidate | None
    first_feasible_s: float | None
    found: Candidate | None = None


@dataclass(frozen=True)
class Settings:
    """How to search. ``keep_structure``: channels stay as they are. ``metric``: None chooses it from the labels.
    ``only``: nothing is searched; this one is made and judged, or, where it has no steps, the original."""

    budget_s: float = 300.0
    seed: int = 0
    threads: int = 1
    keep_structure: bool = False
    metric: str | None = None
    engines: tuple[str, ...] = ()
    preference: Preference = field(default_factory=Preference)
    only: Spec | None = None

    def __post_init__(self) -> None:
        if not is_number(self.budget_s) or not self.budget_s > 0:
            raise InputError("the budget must be longer than 0 s")
        if type(self.threads) is not int or not 1 <= self.threads <= 1024:
            raise InputError("threads must be from 1 to 1024")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise InputError("the seed must be a whole number from 0 to 2^63 - 1")
        for name in self.engines:
            if name not in ENGINES:
                raise InputError(f"no engine is named {name!r}; there are: {', '.join(ENGINES)}")
        if self.only is not None and self.only.runner.options.threads != self.threads:
            own = self.only.runner.options.threads
            raise InputError(
                f"the candidate runs with {own} threads, the original would with {self.threads}: ask for {own}"
            )


def settle(settings: Settings | None, options: Mapping[str, Any]) -> tuple[Settings, Limits]:
    """Settings and limits from ``optimize``'s keyword arguments. Raises InputError for an unknown one."""
    chosen = settings or Settings()
    limits = {}
    for name, value in options.items():
        if name.removeprefix("max_") in Limits.__dataclass_fields__ and name.startswith("max_"):
            limits[name.removeprefix("max_")] = value
        elif name in Settings.__dataclass_fields__:
            chosen = replace(chosen, **{name: value})
        else:
            known = [*(f"max_{n}" for n in Limits.__dataclass_fields__), *Settings.__dataclass_fields__]
            raise InputError(f"optimize takes no {name!r}; it takes: {', '.join(known)}")
    return chosen, Limits(**limits)
