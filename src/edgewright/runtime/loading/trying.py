"""Trying: what a version must do before it is served, in the child that prepares it and in the server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from edgewright.bundles import compare_golden, too_far
from edgewright.core.errors import EngineError, InputError
from edgewright.core.interruption import interrupting
from edgewright.core.samples import drawn_requests
from edgewright.core.session import Arrays, Session
from edgewright.runtime.loading.sources import Source

FIRST_S = 60.0
"""For the first runs of a model: golden calls and warming up."""
_RUNS, _SECONDS = 30, 1.0


@contextlib.contextmanager
def ended_in(session: Session, seconds: float) -> Iterator[None]:
    """A block of first runs, of which nobody knows whether they end. Raises EngineError after ``seconds`` where the
    engine lets itself be interrupted."""
    interrupt = getattr(session, "interrupt", None)
    if interrupt is None:
        yield
        return
    with interrupting(interrupt, seconds) as watch:
        try:
            yield
        except EngineError:
            if not watch.late:
                raise
    if watch.late:
        raise EngineError(
            f"it did not answer its first requests within {seconds:.3g} s; look for a loop that never ends"
        )


def check_golden(source: Source, session: Session) -> None:
    """Raise EngineError unless ``session`` answers the bundle's golden calls."""
    if source.golden is not None:
        wrong = too_far(compare_golden(session, source.golden))
        if wrong:
            raise EngineError(f"it does not answer its golden calls on this machine: {wrong}; the bundle is not served")


def check_latency(source: Source, session: Session) -> None:
    """Raise EngineError when even the fastest of some runs is slower than what the bundle's contract promises of the
    99th percentile. Where nothing is promised, one run: it may crash."""
    seconds = _fastest_s(source, session, 1 if source.latency_ms is None else _RUNS)
    if source.latency_ms is not None and 1e3 * seconds > source.latency_ms:
        raise EngineError(
            f"its fastest run took {1e3 * seconds:.3g} ms here, the bundle promises 99% of runs within "
            f"{source.latency_ms:.3g} ms; compile it for this target"
        )


def requests(source: Source) -> list[Arrays]:
    """What a model is tried with: its golden calls, or seeded noise; nothing where neither is to be had."""
    if source.golden is not None:
        return [call.inputs for call in source.golden.calls]
    with contextlib.suppress(InputError):  # strings cannot be drawn
        return drawn_requests(source.model.signature, 1)
    return []


def _fastest_s(source: Source, session: Session, runs: int) -> float:
    """The fastest run, in s; 0.0 where the model declines what it is tried with (a token it does not have)."""
    calls, best, end = requests(source), float("inf"), time.perf_counter() + _SECONDS
    with contextlib.suppress(EngineError):
        for number in range(runs if calls else 0):
            begin = time.perf_counter()
            session.infer(calls[number % len(calls)])
            best = min(best, time.perf_counter() - begin)
            if time.perf_counter() > end:
                break
    return best if best < float("inf") else 0.0
