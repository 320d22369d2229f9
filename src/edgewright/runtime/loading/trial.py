"""The trial: whether a version that was just put before the requests keeps its place. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.statistics import binomial_tail

WINDOW_S = 10.0
ENOUGH = 200
"""Answers after which a version that did well is trusted before the window ends."""
_FEW, _SOME = 3, 20
_SURE = 0.001
_USUAL_FAULTS = 0.01
_SLOWER, _FAR_SLOWER = 1.25, 4.0


@dataclass(frozen=True)
class Answers:
    """What a version did so far: answers, runs that failed, its median run in s."""

    good: int
    failed: int
    median_s: float


def judge(new: Answers, old: Answers, promised_ms: float | None, since_s: float) -> bool | str | None:
    """True: the new version stays. A sentence: why the old one comes back. None: it is too early to tell.

    It goes back when more of its runs fail than chance explains where the old one's rate of failures (at least 1%) is
    the true one (binomial test, p below 0.001, and three failures at least), or when its median run takes longer than
    99% of runs should by its contract, and longer than the old one's by a quarter: a machine that is busy slows both.
    The old one did not run at the same moment, though: before the window ends or ``ENOUGH`` have been answered, some
    twenty answers must take four times as long, for the first of them meet cold caches and what else a reload stirs.
    """
    total, before = new.good + new.failed, old.good + old.failed
    rate = max(_USUAL_FAULTS, (old.failed + 1) / (before + 2) if old.failed else 0.0)
    if new.failed >= _FEW and binomial_tail(new.failed, total, min(rate, 1.0)) < _SURE:
        return f"{new.failed} of its first {total} runs failed"
    over = since_s >= WINDOW_S or new.good >= ENOUGH
    slow = promised_ms is not None and 1e3 * new.median_s > promised_ms and new.good >= (_FEW if over else _SOME)
    if slow and new.median_s > (_SLOWER if over else _FAR_SLOWER) * old.median_s:
        return f"its median run takes {1e3 * new.median_s:.3g} ms, 99% of them should take {promised_ms:.3g} ms at most"
    return True if over else None
