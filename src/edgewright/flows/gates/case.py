"""Case: one candidate before the gates, its original beside it, and the time there is."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from edgewright.core.candidate import Candidate
from edgewright.core.session import Session
from edgewright.engines import open_session
from edgewright.flows.outcome import Result
from edgewright.targets import HOST

Clock = Callable[[], float]


class OutOfTimeError(Exception):
    """A gate's share of the time is spent; caught where the gates are held."""


@dataclass(frozen=True)
class Box:
    """``seconds`` from ``start`` on, by ``clock`` (s)."""

    seconds: float
    start: float
    clock: Clock = time.monotonic

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(self.start + self.seconds - self.clock(), 0.0)

    def checkpoint(self) -> None:
        """Raise OutOfTimeError when nothing is left."""
        if not self.left:
            raise OutOfTimeError(f"its {self.seconds:.2g} s were over")


@dataclass
class Case:
    """What a gate may look at. ``scale`` stretches every gate's share of the time (1: about ten seconds in all).

    Sessions are opened when first asked for and closed with the case.
    """

    result: Result
    candidate: Candidate
    scale: float = 1.0
    clock: Clock = time.monotonic
    _open: ExitStack = field(default_factory=ExitStack)
    _sessions: dict[str, Session] = field(default_factory=dict)

    @property
    def original(self) -> Candidate:
        """The model as it came, on the engine it was measured with."""
        return self.result.baseline

    @property
    def here(self) -> bool:
        """Whether this machine is the target."""
        return self.result.target.name == HOST

    @property
    def elsewhere(self) -> str:
        """Why what needs the machine is not checked."""
        return f"needs the machine itself, and {self.result.target.name} is not here"

    @property
    def rewritten(self) -> bool:
        """Whether the candidate is anything but the original run as it was measured."""
        mine, theirs = self.candidate, self.original
        return bool(mine.recipe) or (mine.engine, mine.options) != (theirs.engine, theirs.options)

    def box(self, seconds: float) -> Box:
        """A share of the time, starting now."""
        return Box(seconds * self.scale, self.clock(), self.clock)

    def limit(self, metric: str) -> float | None:
        """The user's upper limit on a metric, if there is one."""
        return next((c.limit for c in self.result.constraints if c.metric == metric and c.sense == "max"), None)

    def session(self, which: Candidate) -> Session:
        """``which`` open as it was measured; the case closes it. Raises as the engine does."""
        if which.id not in self._sessions:
            self._sessions[which.id] = self._open.enter_context(self.reopen(which))
        return self._sessions[which.id]

    def reopen(self, which: Candidate, threads: int | None = None) -> Session:
        """A session of one's own, on other ``threads`` if given."""
        options = which.options if threads is None else replace(which.options, threads=threads)
        return open_session(which.model, which.engine, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
