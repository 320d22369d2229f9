"""A clock that stands still and sessions that move it: measurements without a machine's noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.closing import Closing
from edgewright.core.errors import EngineError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import Arrays, EngineOptions


class FakeClock:
    """Nanoseconds that pass only when told to. ``reading_ns``: what each reading itself takes."""

    def __init__(self, reading_ns: int = 0) -> None:
        self.now = 0
        self.reading_ns = reading_ns

    def __call__(self) -> int:
        """The time now, after the reading."""
        self.now += self.reading_ns
        return self.now


class FakeSession(Closing):
    """A session whose calls take ``duration(call number, now)`` ns of a FakeClock. ``seen`` keeps what it was asked."""

    signature = Signature((TensorSpec("x", "float32", (1,)),), (TensorSpec("y", "float32", (1,)),))
    requested = provider = "fake"

    def __init__(self, clock: FakeClock, duration: Callable[[int, int], float] | float, threads: int = 1) -> None:
        self._clock = clock
        self._duration = duration if callable(duration) else lambda call, now: float(duration)
        self.options = EngineOptions(threads=threads)
        self.calls = 0
        self.starts: list[int] = []
        self.seen: list[float] = []
        self.closed = False

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Pass time; the answer is the input."""
        if self.closed:
            raise EngineError("the session is closed; open the model again")
        self.starts.append(self._clock.now)
        self.seen.append(float(inputs["x"][0]))
        self._clock.now += round(self._duration(self.calls, self._clock.now))
        self.calls += 1
        return {"y": np.asarray(inputs["x"])}

    def close(self) -> None:
        """From now on ``infer`` raises."""
        self.closed = True
