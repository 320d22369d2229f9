"""Rules of jobs: states, who is next, what fits where. From values to values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.core.digests import digest_json

QUEUED, RUNNING, STOPPING = "queued", "running", "stopping"
HELD = (RUNNING, STOPPING)
"""A worker has it."""
OVER = ("done", "infeasible", "failed", "cancelled")
AGAIN = ("infeasible", "failed", "cancelled")
"""May be retried."""
MOST_DEATHS = 3
"""So many workers may die in the middle of a job; then it is the job."""
MOST_WAITING = 1000
"""Jobs of a tenant that wait."""


@dataclass(frozen=True)
class Able:
    """What a worker can do. Its accelerators are not among it: a search uses one for the target ``host`` alone, and
    that is whatever machine the job comes to."""

    engines: frozenset[str]

    @classmethod
    def of(cls, engines: Iterable[str]) -> Able:
        """Of its row's list."""
        return cls(frozenset(engines))

    def lacks(self, needs: Mapping[str, Any]) -> str:
        """What it lacks for a job that needs these, in words; "" when nothing."""
        for name in needs.get("engines", ()):
            if name not in self.engines:
                return f"the engine {name}"
        return ""


@dataclass(frozen=True)
class Turn:
    """A tenant that waits: ``running`` jobs of its own now, ``served``: when one of it was begun last (s since 1970, 0
    for never)."""

    tenant: str
    running: int
    served: float


def turns(waiting: Iterable[Turn]) -> list[str]:
    """Tenants in the order in which they are served: who has the fewest running, then who was served longest ago. A
    hundred jobs of one do not keep another's single one waiting for longer than the jobs that run now."""
    return [one.tenant for one in sorted(waiting, key=lambda one: (one.running, one.served, one.tenant))]


def content_key(kind: str, model: str, data: str, wish: Mapping[str, Any]) -> str:
    """Under which a job's measurements are kept: the digests of its files and all that was asked, but for its name and
    its turn."""
    asked = {name: value for name, value in wish.items() if name not in ("name", "priority")}
    return digest_json([kind, model, data, asked])


def nobody(needs: Mapping[str, Any], live: Collection[Able]) -> str:
    """Why a job waits that no worker here can do; "" when one can."""
    if not live:
        return "no worker is running; start one: edgewright hub worker --data FOLDER"
    lacking = [able.lacks(needs) for able in live]
    if not all(lacking):
        return ""
    return f"no worker here has {lacking[0]}; start one on a machine that does: edgewright hub worker"


def measured_again(reason: str) -> str:
    """Why a job failed, of a kind that is not retried: a new one is asked for."""
    for words in ("retry the job", "retry it"):
        reason = reason.replace(words, "measure again")
    return reason.replace("Retry the job", "Measure again")
