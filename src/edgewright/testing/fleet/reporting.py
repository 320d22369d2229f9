"""Reporting: what a device keeps to tell, until the hub has acknowledged it."""

from __future__ import annotations

from collections import deque

from edgewright.core.digests import canonical_json
from edgewright.core.messages import Event, Observation, Receipt, Report

_MOST = 64
"""Reports kept; the oldest goes, and is counted."""


class Outbox:
    """Reports of one boot, in order."""

    def __init__(self, boot: str) -> None:
        self._boot, self._sequence, self._dropped = boot, 0, 0
        self._events: list[Event] = []
        self._waiting: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def happened(self, event: Event) -> None:
        """For the next report."""
        self._events = [*self._events[-255:], event]

    def put(self, *observations: Observation) -> None:
        """One more report, of these and what happened since the last; none where there is nothing to tell."""
        if not observations and not self._events:
            return
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            self._dropped += 1
        report = Report(self._boot, self._sequence, observations, tuple(self._events), self._dropped)
        self._waiting.append((self._sequence, canonical_json(report.to_json())))
        self._sequence, self._dropped, self._events = self._sequence + 1, 0, []

    def waiting(self, newest_first: bool = False) -> list[bytes]:
        """What is to be sent."""
        told = [data for _, data in self._waiting]
        return told[::-1] if newest_first else told

    def drop(self, data: bytes) -> None:
        """Forget a report that will never be taken."""
        self._waiting = deque(one for one in self._waiting if one[1] != data)

    def acknowledge(self, receipt: Receipt) -> bool:
        """The hub has it: forget it. Whether it was there."""
        before = len(self._waiting)
        if receipt.boot == self._boot:
            self._waiting = deque(one for one in self._waiting if one[0] != receipt.sequence)
        return len(self._waiting) < before
