"""Routes of plans."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.plans.limits import plan_of, usage
from edgewright.hub.plans.rules import COUNTED, WORDS
from edgewright.hub.web.bodies import Answer, Router

router = Router(prefix="/api/edge/plan", tags=["plan"])


class Limit(Answer):
    """``used`` of ``limit`` (null: none)."""

    what: str
    words: str
    used: int
    limit: int | None


class PlanTold(Answer):
    """The tenant's plan and what it has used."""

    name: str
    limits: list[Limit]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "team", "limits": [{"what": "models", "words": "models", "used": 3, "limit": 100}]}
            ]
        }
    )  # fmt: skip


@router.get("")
def plan(caller: Annotated[Caller, may("tenant.read")]) -> PlanTold:
    """The tenant's limits, which the hub's operator sets, and how much there is."""
    with caller.read() as session:
        row = plan_of(session)
        limits = {} if row is None else row.limits
        found = [
            Limit(what=what, words=WORDS[what], used=usage(session, caller.now, what), limit=limits.get(what))
            for what in COUNTED
        ]
        return PlanTold(name="unlimited" if row is None else row.name, limits=found)
