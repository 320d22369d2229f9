"""Admission: who is let in, and how far a predicted end is to be trusted. Pure.

The margin kept before a deadline is learnt from the predictions themselves: it is how much later than predicted those
who were let in came to be done, at the worst. That covers what no model of run times does (a thread that was not woken,
another program on the machine), as split conformal prediction does for regression (Vovk, Gammerman, Shafer:
"Algorithmic Learning in a Random World", 2005), over a window, because machines change. Under overload its price is
small: there is always somebody with more time whose request runs instead. It stays below a share of the time that
requests have, so that one stall of the machine does not shut everybody out; and who finds nobody before him is let in
without it, if a run usually ends in time: a refusal would help no one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from edgewright.runtime.faults import Infeasible
from edgewright.runtime.scheduling.line import NEVER, URGENT, Line, Waiting
from edgewright.runtime.scheduling.machine import Machine

if TYPE_CHECKING:
    from edgewright.runtime.scheduling.scheduler import Job, Runs

_WINDOW = 2048
_ENOUGH = 64
_REFRESH = 32
_REMEMBERED = 256
_SHARE = 0.7
"""Of the time that requests usually have beyond their run: in simulations (tests/runtime/test_line.py) the largest that
keeps the machine used when one run in two thousand takes fifteen times as long."""
_SPREADS = 3.0
"""Standard deviations of the runs ahead that are kept free while little was learnt."""
_LEVELS = 64
"""Priorities that are told apart by what is learnt of them; clients choose theirs, and must not fill the memory."""
_STALE = 20.0
"""So many times as long as a run takes a model must have been idle for what is known of it to be old; and so many times
as fast it may have become."""
_LEAST_S = 0.0001
"""Who has less time than that is not tried: to be handed to another thread takes as long."""

_PATIENCE_S, _PART = 10.0, 0.1
"""How much later the deadline must be that who has none goes before, and the share of the machine that such are sure
to get."""


class _Level:
    """What was learnt of one priority: what comes later than predicted among the less urgent, because others may go
    before it, says nothing of the urgent."""

    def __init__(self) -> None:
        self.late: deque[float] = deque(maxlen=_WINDOW)
        self._slacks: deque[float] = deque(maxlen=_REMEMBERED)
        self._news = self._asked = 0
        self._worst = self._most = 0.0

    @property
    def margin(self) -> float:
        """What is kept free before a deadline, in s."""
        return min(self._worst, self._most)

    @property
    def least(self) -> float:
        """The least time that one of them had beyond its run, in s; infinity before the first."""
        return min(self._slacks, default=NEVER)

    def asked(self, slack_s: float) -> None:
        """Somebody came who had so much time beyond his run."""
        self._slacks.append(slack_s)
        self._asked += 1
        if self._asked % _REFRESH == 1:
            self._most = _SHARE * sorted(self._slacks)[len(self._slacks) // 2]

    def learn(self, late_s: float) -> None:
        """Somebody was done so much later than predicted."""
        self.late.append(late_s)
        self._news += 1
        if self._news >= _REFRESH or late_s > self._worst:
            self._news = 0
            self._worst = max(*self.late, 0.0)


class Admission:
    """Lets requests in by predicted finish, and learns from how those predictions came out."""

    def __init__(self) -> None:
        self._levels: defaultdict[int, _Level] = defaultdict(_Level)

    def _level(self, priority: int) -> _Level:
        return self._levels[min(priority, _LEVELS)]

    @property
    def margin(self) -> float:
        """What is kept free before the deadlines of the most urgent that have any, in s."""
        return self._levels[min(self._levels, default=URGENT)].margin

    @property
    def longest_s(self) -> float:
        """How long a run of the less urgent may be made by company: an urgent request that comes meanwhile must still
        find its usual slack."""
        urgent = self._level(URGENT)
        return max(urgent.least - urgent.margin, 0.0)

    def place(self, job: Job, number: int, line: Line, machine: Machine, now: float) -> Waiting:
        """A place in line, with the promise that goes with it. Raises Infeasible.

        Where nothing ran for long, somebody is let in who would be refused because a run takes too long: were all
        refused, nobody would ever know that it became faster.
        """
        model, times, rows, left = job.model, job.model.times, max(job.rows, 1), job.deadline - now
        takes = alone = times.usual(rows) + job.beside_s
        cost, spread = times.mean(rows), times.spread(rows)
        if 0 < job.rows < model.most_rows and any(w.rows and w.model is model and w.key == job.key for w in line):
            share = rows / model.most_rows
            cost, spread = times.mean(model.most_rows) * share, times.spread(model.most_rows) * share
        cost += job.beside_s
        if takes > left and untried(model, takes, left, now) and all(w.model is not model for w in line):
            times.forget()
            alone = cost = left / 2
        turn = NEVER if left < NEVER else _turn(line, job.priority, cost, now)
        place = Waiting(
            job.priority, job.deadline, number, cost, job, spread, alone, model, job.rows, job.key, turn=turn
        )
        if takes < left < NEVER:
            self._level(job.priority).asked(left - takes)
        place.promised = self._finish(line, place, machine, now) or 0.0
        if turn < NEVER and not place.promised:  # somebody behind it has a promise: it goes last, as if it had come now
            place = replace(place, turn=NEVER)
            place.promised = self._finish(line, place, machine, now) or 0.0
        if left < NEVER and not place.promised:
            if takes > left:
                unsure = times.latest(rows) + job.beside_s <= left
            else:
                unsure = self._bare(line, place, machine, now)
            raise Infeasible(
                f"it could not safely be done within the {1e3 * left:.3g} ms it has: {len(line)} wait, and its run "
                f"alone takes {1e3 * takes:.3g} ms",
                takes > left,
                unsure,
            )
        return place

    def _finish(self, line: Line, new: Waiting, machine: Machine, now: float) -> float | None:
        """When ``new`` should be done, or None when that is not safely before its deadline, or costs somebody else
        theirs."""
        if not len(line) and machine.free and not new.model.running:
            return now + new.alone if now + new.alone <= new.deadline else None
        busy, begins = machine.busy({new.model, *[w.model for w in line]}), machine.begins(now)
        if new.priority == URGENT and all(w.priority > URGENT for w in line):
            return line.finish(new, begins, busy)  # a refusal would leave its place to nobody of its own
        level = self._level(new.priority)
        return line.finish(new, begins, busy, 0.0 if len(level.late) >= _ENOUGH else _SPREADS, level.margin)

    def _bare(self, line: Line, new: Waiting, machine: Machine, now: float) -> bool:
        """Whether ``new`` is only refused for what is kept free before deadlines."""
        busy = machine.busy({new.model, *[w.model for w in line]})
        return line.finish(new, machine.begins(now), busy) is not None

    def learn(self, one: Waiting, late_s: float) -> None:
        """Somebody who was let in was done (or was found not to be) so much later than predicted; negative: earlier."""
        self._level(one.priority).learn(late_s)


def _turn(line: Line, priority: int, cost_s: float, now: float) -> float:
    """When somebody without a deadline is to run at the latest, as if he had one: those with deadlines, who come later
    and know of it when they are let in, would always be before him under overload, for ever.

    Each such turn is so far after the one before that they take a part of the machine and no more: a total bandwidth
    server (Spuri and Buttazzo, Real-Time Systems 10, 1996), after a pause.
    """
    turns = [one.turn for one in line if one.priority == priority and one.turn < NEVER]
    return max([now + _PATIENCE_S, *turns]) + cost_s / _PART


def untried(model: Runs, takes_s: float, left_s: float, now: float) -> bool:
    """Whether it is too long ago that the model ran for anybody who has ``left_s`` to be refused because a run takes
    ``takes_s``."""
    old = not model.running and now - model.last > _STALE * takes_s
    return old and left_s > max(takes_s / _STALE, _LEAST_S)
