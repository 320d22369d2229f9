"""Flights: equal requests that are not answered yet. Some of them lead, the others follow one that does. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgewright.runtime.cache import Arrays
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Done, Job
from edgewright.runtime.served import Served


@dataclass(eq=False)
class Member:
    """One of several equal requests. ``inline``: it runs in its caller's thread, who needs no telling."""

    served: Served
    inputs: Arrays
    done: Done
    deadline: float = NEVER
    priority: int = 0
    inline: bool = False
    key: bytes = b""
    job: Job | None = None
    """Its place in line, where it leads."""
    gone: bool = False
    """Nobody waits for its answer any more: it was given up, or has one."""

    def covers(self, other: Member) -> bool:
        """Whether ``other`` is answered in time when this one is: it runs already, or is at least as urgent."""
        return self.runs or (self.priority <= other.priority and self.deadline <= other.deadline)

    @property
    def runs(self) -> bool:
        """Whether it is in line no more."""
        return self.inline or (self.job is not None and self.job.place is not None and self.job.place.gone)

    def left_s(self, now: float) -> float:
        """How long its answer takes from ``now`` on, at the least."""
        return max(self.served.until - now, 0.0) if self.runs else self.served.times.usual()


@dataclass(eq=False)
class Flight:
    """Those who ask for the same: who leads waits in line or runs."""

    leading: list[Member] = field(default_factory=list)
    following: list[Member] = field(default_factory=list)

    def uncovered(self) -> Member | None:
        """The most urgent that follows nobody, and must lead itself."""
        found = [f for f in self.following if not any(lead.covers(f) for lead in self.leading)]
        return min(found, key=lambda f: (f.priority, f.deadline), default=None)

    def leave(self, one: Member) -> bool:
        """Let one go that follows; False when it does not."""
        if one not in self.following:
            return False
        self.following.remove(one)
        return True
