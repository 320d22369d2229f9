"""Budget: what a run's time is spent on. The search gets what the measuring after it leaves."""

from __future__ import annotations

from dataclasses import dataclass

_FINALIST_S = 1.5
"""Seconds below which one more finalist costs more certainty than it brings choice."""
_MOST_FINALISTS, _FEWEST_FINALISTS = 5, 3
_GATES_S, _REPORT_S = 10.0, 2.0
_LEAST_SEARCH_S = 5.0
"""What it takes to try a few candidates; a smaller budget would end with nothing in hand."""


@dataclass(frozen=True)
class Budget:
    """``seconds`` for everything, from the original's first call to the last file.

    Nothing ends a step in the middle, so a run may take a few seconds longer; one with 5 s for everything will.
    """

    seconds: float

    @property
    def gates(self) -> float:
        """How far the gates' time is stretched: 1 is about ten seconds in all."""
        return min(max(self.seconds / 100, 0.1), 1.0)

    @property
    def finals_s(self) -> float:
        """For measuring the finalists side by side."""
        return max(0.15 * self.seconds, 2.0)

    @property
    def finalists(self) -> int:
        """How many candidates are measured with care."""
        return min(max(int(self.finals_s / _FINALIST_S) - 1, _FEWEST_FINALISTS), _MOST_FINALISTS)

    @property
    def search_s(self) -> float:
        """When the search ends."""
        after = 1.2 * self.finals_s + (_GATES_S + _REPORT_S) * self.gates
        return max(self.seconds - after, 0.4 * self.seconds, _LEAST_SEARCH_S)


HASTY = Budget(10.0)
"""The time after the search for somebody who pressed Ctrl-C and waits."""
