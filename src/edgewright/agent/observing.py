"""Observing: from the runtime's observations to reports that wait to be told, each once, within the day's budget.

    Observer(talk, reports).look(collect)       every few seconds; does something every ``collect.period_s``
    event(reports, Event(at_s, "committed", bundle))
    as_report(stored) -> core.messages.Report   of what ``Reports.batch`` hands out

One stored frame is one report: ``{"o": [observation...], "e": [event...], "d": dropped, "m": mark}``. A
batch of the runtime's is on the disk (``observing``, beside the reports) before the runtime is told that it was taken,
and a frame carries the mark of what it was made of, so that a kill at any moment neither loses one nor tells it twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from edgewright.agent.reports import LOST, Report, Reports
from edgewright.agent.talk import Silent, Talk
from edgewright.core import messages
from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError, StorageError
from edgewright.core.fields import Fields
from edgewright.core.files import read_file, write_file
from edgewright.core.messages import Collect, Event, Observation
from edgewright.core.messages.observations import fit, size_bytes
from edgewright.core.messages.reading import MOST
from edgewright.core.messages.reports import MOST_OBSERVATIONS
from edgewright.core.strict import parse_json

T = TypeVar("T")
_FRAME_BYTES, _OVERHEAD_BYTES = 48 * 1024, 256
"""Observations in one frame, which holds 64 KiB; and what a report's message and its way there take besides them."""
_HELD_BYTES, _STATE_BYTES = 192 * 1024, 2**20
"""Observations that wait for the budget, and the file that they wait in."""
_RETRY_S, _DAY_S, _BURST = 30.0, 86400.0, 0.25
"""A quarter of the day's budget may go at once, the rest accrues over the day: no 24 hours ever have more than all."""


@dataclass(frozen=True)
class _State:
    """``taken``: the runtime's latest batch that is in here or was reported; ``waiting``: observations that are not
    reported yet, ``dropped`` others that will not be; ``spent_bytes`` of what may go at once; ``number`` of reports."""

    taken: str = ""
    waiting: tuple[Observation, ...] = ()
    dropped: int = 0
    spent_bytes: float = 0.0
    number: int = 0

    @property
    def mark(self) -> str:
        """What the next report carries, and no other."""
        return f"{self.taken}/{self.number}"

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {**vars(self), "waiting": [one.to_json() for one in self.waiting]}

    @classmethod
    def read(cls, path: Path) -> _State:
        """What lies there; a fresh one where that is nothing to be read."""
        try:
            fields = Fields(parse_json(read_file(path, _STATE_BYTES), _STATE_BYTES), "the state")
            waiting = tuple(map(Observation.from_json, fields.take("waiting", list)))
            dropped, spent_bytes = fields.whole("dropped"), fields.number("spent_bytes")
            return cls(fields.text("taken"), waiting, dropped, spent_bytes, fields.whole("number"))
        except (InputError, StorageError, ValueError):
            return cls()


class Observer:
    """``clock``: s since whenever; it may be set while this runs, as a device's clock is."""

    def __init__(self, talk: Talk, reports: Reports, clock: Callable[[], float] = time.monotonic) -> None:
        self._talk, self._reports, self._clock = talk, reports, clock
        self._path = reports.folder / "observing"
        self._state = _State.read(self._path)
        self._seek_marks()
        self._next, self._accrued = clock(), clock()
        self._wanted = self._took = 0

    def hurry(self) -> int:
        """Have the next look take what there is, whenever it comes; a number for ``took``. From any thread."""
        self._wanted += 1
        return self._wanted

    def took(self, number: int) -> bool:
        """Whether all that was observed when ``hurry`` gave the number is reported, as far as the budget lets it."""
        return self._took >= number and not self._state.waiting

    def look(self, collect: Collect) -> bool:
        """Take what the runtime observed, if it is time, and report what the budget allows; whether anything was. What
        cannot be taken or written down now waits for a later look: no error of the runtime or the disk is raised."""
        now, before = self._clock(), self._state.number
        wanted = self._wanted
        due = min(self._next, self._accrued + collect.period_s)  # the period may have become a shorter one meanwhile
        if self._accrued <= now < due and wanted == self._took:
            return False
        accrued = (1 - _BURST) * collect.budget_bytes * max(now - self._accrued, 0.0) / _DAY_S
        self._accrued, self._next = now, now + min(_RETRY_S, collect.period_s)
        self._state = replace(self._state, spent_bytes=max(self._state.spent_bytes - accrued, 0.0))
        with suppress(Silent, StorageError):
            self._take()
            self._next, self._took = now + collect.period_s, wanted
        with suppress(StorageError):
            self._report(_BURST * collect.budget_bytes)
        return self._state.number > before

    def _take(self) -> None:
        """The runtime's batch into the state, and onto the disk. Raises Silent, StorageError."""
        batch, told = self._talk.observations(self._state.taken)
        if batch == self._state.taken:
            return
        found, odd = _read_each(told, Observation.from_json)
        waiting, dropped = fit((*self._state.waiting, *found), _HELD_BYTES)
        made = replace(self._state, taken=batch, waiting=waiting, dropped=self._state.dropped + dropped + odd)
        self._save(made)  # only what is on the disk is told to be taken, by the next look

    def _report(self, most_bytes: float) -> None:
        """What waits, in as many frames as it takes, coarser where the budget is short. Raises StorageError."""
        state = self._state
        left = max(int(most_bytes - state.spent_bytes) - _OVERHEAD_BYTES * (1 + len(state.waiting) // 8), 0)
        kept, dropped = fit(state.waiting, left)
        if dropped and state.spent_bytes:
            return  # it will fit later, or be merged with what comes
        if kept != state.waiting:  # a start after a kill must find what the frames were made of
            self._save(replace(state, waiting=kept, dropped=state.dropped + dropped))
        while self._state.waiting:
            self._report_some()

    def _report_some(self) -> None:
        """The oldest that go into one frame. Once they are there they are not told again, whatever becomes of the
        state's file: a later start finds the mark. Raises StorageError."""
        state, size, count = self._state, 0, 0
        for one in state.waiting[:MOST_OBSERVATIONS]:
            size += size_bytes(one)
            if count and size > _FRAME_BYTES:
                break
            count += 1
        some = state.waiting[:count]
        value = {"o": [one.to_json() for one in some], "d": state.dropped, "m": state.mark}
        refused = self._reports.append(value) is None
        lost = state.dropped + count - 1 if refused else 0  # the report itself is counted there
        spent = 0 if refused else sum(map(size_bytes, some)) + _OVERHEAD_BYTES
        self._state = _State(state.taken, state.waiting[count:], lost, state.spent_bytes + spent, state.number + 1)
        write_file(self._path, canonical_json(self._state.to_json()), 0o600)

    def _save(self, state: _State) -> None:
        write_file(self._path, canonical_json(state.to_json()), 0o600)
        self._state = state

    def _seek_marks(self) -> None:
        """What waits and was reported, by an agent that was killed before it had written that down, waits no more."""
        state, marks = self._state, {report.value.get("m"): report for report in self._reports.waiting()}
        told = marks.get(state.mark)
        if told is not None:
            count = len(told.value.get("o", []))
            made = replace(state, waiting=state.waiting[count:], dropped=0, number=state.number + 1)
            with suppress(StorageError):
                self._save(made)  # now: once that report is acknowledged, its mark is gone
            self._state = made


def event(reports: Reports, happened: Event) -> None:
    """Keep an event to be told, with room where observations have none. One that is refused is counted there."""
    reports.append({"e": [replace(happened, detail=happened.detail[:500]).to_json()]}, urgent=True)


def as_report(stored: Report) -> messages.Report:
    """The message of a stored frame. What cannot be read any more (an older release wrote it, or a disk changed it)
    counts as dropped: it must not keep back what comes after it."""
    value = stored.value
    observations, odd = _read_each(value.get("o", []), Observation.from_json)
    events, odder = _read_each(value.get("e", []), Event.from_json)
    counts = [count for count in (value.get("d", 0), value.get(LOST, 0)) if type(count) is int and count >= 0]
    dropped = sum(counts) + odd + odder + (not {"o", "e", LOST} & value.keys())
    return messages.Report(stored.boot, stored.sequence, observations, events, min(dropped, MOST))


def _read_each(told: Any, read: Callable[[Any], T]) -> tuple[tuple[T, ...], int]:
    """Those that can be read, and how many cannot."""
    values, found = told if isinstance(told, list) else [told], list[T]()
    for value in values:
        with suppress(ValueError):
            found.append(read(value))
    return tuple(found), len(values) - len(found)
