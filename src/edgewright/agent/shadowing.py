"""Shadowing: the staged bundle beside the one that serves, for as long as the release says, before anybody is exposed.

The runtime asks it what others were answered, in idle slack only, and counts; what it counts goes the way of all
observations. Here is only the local guardrail: a bundle that fails, cannot keep up or disagrees grossly ends here. What
lies between is for the hub, which sees more devices than one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.agent.effects import Outcome, done, failed, later
from edgewright.agent.runtime import Runtime
from edgewright.agent.slots import Slots
from edgewright.agent.states import Update
from edgewright.agent.talk import Silent
from edgewright.core.statistics import binomial_tail

_LOOK_S, _ENDS = 1.0, 2
_SURE, _FEW, _ENOUGH = 0.001, 5, 20
_FAULTS, _GROSS, _SLOWER, _WHILE_S = 0.01, 0.25, 1.25, 5.0


@dataclass(frozen=True)
class Seen:
    """What the runtime says of a shadow: ``asked`` requests came within ``seconds``, of which it was ``compared`` on
    some and ``failed`` on some; ``disagreed`` of ``rows``; usual runs in ms, its own and of who answers."""

    digest: str
    seconds: float
    asked: int
    compared: int
    failed: int
    rows: int
    disagreed: int
    run_ms: float
    answer_run_ms: float

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Seen:
        """From its JSON. Raises Silent for another release's."""
        try:
            figures = [float(told[name]) for name in ("seconds", "run_ms", "answer_run_ms")]
            counts = [int(told[name]) for name in ("asked", "compared", "failed", "rows", "disagreed")]
            return cls(str(told["digest"]), figures[0], *counts, *figures[1:])
        except (KeyError, TypeError, ValueError) as error:
            raise Silent("the runtime's word on its shadows cannot be read") from error


def wrong(seen: Seen, promised_ms: float, limits: Mapping[str, Any]) -> str:
    """Why a shadow must not be switched to, as a sentence; "" for nothing. Pure.

    It fails more than one run in a hundred, or chooses otherwise than what serves on more than a quarter of all rows
    (``limits["disagreement"]``, where the release says), both beyond chance (binomial, p below 0.001, five at least).
    Half of its runs are slower than its contract promises of 99%, or its runs of the requests that came would take
    longer than it took them to come; in both cases if it is also slower by a quarter than what serves: a machine that
    is busy slows both.
    """
    total = seen.compared + seen.failed
    if seen.failed >= _FEW and binomial_tail(seen.failed, total, _FAULTS) < _SURE:
        return f"in shadow {seen.failed} of its {total} runs failed"
    limit = min(max(float(limits.get("disagreement", _GROSS)), 1e-6), 1.0)
    if seen.disagreed >= _FEW and binomial_tail(seen.disagreed, seen.rows, limit) < _SURE:
        share = 100 * seen.disagreed / seen.rows
        return (
            f"in shadow it disagrees with what serves on {seen.disagreed} of {seen.rows} answers ({share:.3g}%), "
            f"surely more than {100 * limit:g}%"
        )
    if seen.compared < _ENOUGH or seen.run_ms <= _SLOWER * seen.answer_run_ms:
        return ""
    beside = f"in shadow a run takes {seen.run_ms:.3g} ms, {seen.answer_run_ms:.3g} ms of what serves"
    if 0 < promised_ms < seen.run_ms:
        return f"{beside}; its contract promises 99% within {promised_ms:.3g} ms"
    if seen.seconds >= _WHILE_S and seen.asked * seen.run_ms > 1e3 * seen.seconds:
        return f"{beside}; it cannot keep up with {seen.asked / seen.seconds:.3g} requests a second"
    return ""


class Shadowing:
    """Of the machine's thread. ``clock``: s, for durations."""

    def __init__(self, slots: Slots, runtime: Runtime, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._runtime, self._clock = slots, runtime, clock
        self._began: tuple[Update | None, float, int] = None, 0.0, 0

    def look(self, update: Update, seconds: float, promised_ms: float) -> Outcome:
        """Begin the shadow or look at it; ``done`` when its time is over. Raises Silent, EngineError."""
        new, old = self._slots.model(update.bundle), self._slots.model(self._slots.current)
        if new is None:
            return failed("its slot is gone from the disk; update again")
        if old is None or self._slots.current == update.bundle:
            return done(shadow={"why": "nothing else serves"})
        if old.name != new.name:
            return done(shadow={"why": f"what serves is called {old.name}"})
        if self._began[0] is None or self._began[0].bundle != update.bundle:
            self._began = update, self._clock(), self._runtime.ends
        _, since, ends = self._began
        if self._runtime.ends - ends >= _ENDS:
            return failed(f"the runtime ended {self._runtime.ends - ends} times while it ran in its shadow", bad=True)
        seen = self._seen(update.bundle)
        if seen is None:
            self._runtime.talk.shadow(new.name, new.resolve())
            return later("it runs beside what serves", _LOOK_S)
        why = wrong(seen, promised_ms, update.details.get("guardrails", {}))
        left = since + seconds - self._clock()
        if not why and left > 0:
            return later("it runs beside what serves", min(left, _LOOK_S))
        self.end(update)
        told = {"compared": seen.rows, "disagreed": seen.disagreed, "failed": seen.failed}
        return failed(why, bad=True) if why else done(shadow=told)

    def end(self, update: Update) -> None:
        """Have the runtime close it, if it runs; where the runtime does not answer it is gone with it, or will be."""
        self._began = None, 0.0, 0
        model = self._slots.model(update.bundle)
        with contextlib.suppress(Silent):
            if model is not None and self._seen(update.bundle) is not None:
                self._runtime.talk.shadow(model.name, None)

    def _seen(self, digest: str) -> Seen | None:
        found = [Seen.read(one) for one in self._runtime.talk.shadows()]
        return next((one for one in found if one.digest == digest), None)
