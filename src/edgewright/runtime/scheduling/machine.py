"""The machine: what runs on it now. Pure: it is told the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edgewright.runtime.scheduling.scheduler import Runs


class Machine(NamedTuple):
    """``executors``: runs at a time; ``free``: so many can begin now; ``ends``: when the others' should end."""

    executors: int = 1
    free: int = 1
    ends: Sequence[float] = ()

    def begins(self, now: float) -> list[float]:
        """When each executor can begin something; who should have ended already is expected to end now."""
        return [max(end, now) for end in self.ends] + [now] * self.free

    def busy(self, models: Iterable[Runs]) -> dict[Runs, float]:
        """When the runs of these models end that go on: a model's next run begins no sooner, though an executor be
        free. Nothing where there is one executor, which is not free then."""
        return {model: model.until for model in models if model.running} if self.executors > 1 else {}
