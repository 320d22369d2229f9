"""Recipe: passes in order, and itself a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.passes import make_pass
from edgewright.core.candidate import Steps
from edgewright.core.model import Model


@dataclass(frozen=True)
class Recipe(Pass):
    """Each step's result feeds the next; a step that refuses, refuses the whole with its name and reason."""

    name: ClassVar[str] = "recipe"
    # Each step has kept its own promise; together they may move further than any one alone.
    tolerance_db: ClassVar[float] = -200.0

    steps: Steps = ()

    def rewrite(self, model: Model, context: Context) -> PassResult | None:
        """The model after every step, with each step's status, reason, facts and the digest of what it gave."""
        told: list[dict[str, Any]] = []
        now = model
        for step in self.steps:
            context.checkpoint()
            result = make_pass(step)(now, context)
            told.append(
                {
                    "step": dict(step), "status": result.status, "reason": result.reason, **result.facts,
                    "digest": result.model.digest,
                }
            )  # fmt: skip
            if result.status == "refused":
                reason = f"{step['pass']}: {result.reason}"
                return PassResult("refused", model, reason, {"steps": told})
            now = result.model
        return PassResult("applied", now, facts={"steps": told})


def recipe(*steps: Mapping[str, Any] | str) -> Recipe:
    """A recipe of steps given as mappings or bare pass names."""
    return Recipe(tuple({"pass": s} if isinstance(s, str) else dict(s) for s in steps))
