"""A desk with fail-safe outputs: models that declare some answer with these when a deadline is missed."""

from __future__ import annotations

import time
from typing import Any

from edgewright.runtime.config import Config
from edgewright.runtime.desk import Arrays, Desk, GiveUp
from edgewright.runtime.failsafe import Safe
from edgewright.runtime.faults import Expired, Fault, Infeasible
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Done
from edgewright.runtime.served import Served

_now = time.perf_counter


class SafeDesk(Desk):
    """``behind`` answers. What a model answers late is as good as a miss, counted as one here, and not given."""

    def __init__(self, behind: Desk) -> None:
        super().__init__(behind.scheduler)
        self.cache, self.shadows = behind.cache, behind.shadows
        self._behind = behind

    def at_once(self, served: Served, inputs: Arrays, timeout_s: float | None = None) -> Arrays | None:
        """As the desk behind; a ``Safe`` on a miss."""
        if served.fail_safe is None:
            return self._behind.at_once(served, inputs, timeout_s)
        end = _end(served, timeout_s)
        try:
            outputs = self._behind.at_once(served, inputs, timeout_s)
        except (Expired, Infeasible):
            return _safe(served, inputs)
        return _safe(served, inputs, late=True) if outputs is not None and _now() > end else outputs

    def later(
        self, served: Served, inputs: Arrays, done: Done, timeout_s: float | None = None, priority: int = 0
    ) -> GiveUp:
        """As the desk behind; ``done`` is given a ``Safe`` on a miss."""
        if served.fail_safe is None:
            return self._behind.later(served, inputs, done, timeout_s, priority)
        end = _end(served, timeout_s)

        def told(outputs: Any, fault: Fault | None) -> None:
            if isinstance(fault, Expired | Infeasible) or (fault is None and _now() > end):
                outputs, fault = _safe(served, inputs, late=fault is None), None
            done(outputs, fault)

        try:
            return self._behind.later(served, inputs, told, timeout_s, priority)
        except (Expired, Infeasible) as fault:
            told(None, fault)
            return lambda: False

    def retire(self, served: Served, timeout_s: float) -> bool:
        """As the desk behind."""
        return self._behind.retire(served, timeout_s)

    def report(self) -> dict[str, Any]:
        """As the desk behind."""
        return self._behind.report()

    def close(self) -> None:
        """As the desk behind."""
        self._behind.close()


def safe_desk(desk: Desk, config: Config) -> Desk:
    """``desk``, with fail-safe outputs where a model has some."""
    return SafeDesk(desk) if any(table.fail_safe for table in config.models.values()) else desk


def _end(served: Served, timeout_s: float | None) -> float:
    chosen = served.deadline_s if timeout_s is None else timeout_s
    return NEVER if chosen is None else _now() + chosen


def _safe(served: Served, inputs: Arrays, late: bool = False) -> Safe:
    """``late``: instead of an answer; what was refused or expired is counted as a miss already."""
    assert served.fail_safe is not None  # noqa: S101 - asked for by the caller
    served.stats.safe += 1
    served.stats.missed += late
    return served.fail_safe.outputs(inputs)
