"""A child that takes only what nobody else wants, and what is done when that is nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edgewright.core.child import ChildStarved, run_child
from edgewright.core.priority import Turns, modestly, turns

EVAL = "builtins:eval"


@pytest.mark.parametrize(
    ("ran", "waited", "starved"),
    [(0.0, 0.0, False), (0.01, 1.9, False), (0.1, 2.0, True), (0.3, 2.0, False), (9, 99, True)],
)
def test_who_is_starved(ran: float, waited: float, starved: bool) -> None:
    assert Turns(ran, waited).starved is starved


def test_the_kernel_tells_of_a_process_and_nothing_of_one_that_is_gone() -> None:
    assert turns(os.getpid()).ran_s > 0
    assert turns(2**22 + 1) == Turns()


def until(wanted: list[int]) -> list[int]:
    """In the child."""
    while [os.sched_getscheduler(0), os.nice(0)] != wanted:
        pass
    return wanted


@pytest.mark.parametrize(
    ("priority", "policy", "nice"), [("idle", os.SCHED_IDLE, 10), ("low", os.SCHED_OTHER, 10), ("", os.SCHED_OTHER, 0)]
)
def test_a_child_has_the_priority_it_is_given(priority: str, policy: int, nice: int) -> None:
    """It is given right after the start: the child waits until it has it."""
    above = os.nice(0)
    wanted = [policy, max(nice, above)]
    assert run_child(f"{__name__}:until", wanted, timeout_s=60, priority=priority) == wanted  # type: ignore[arg-type]


def group() -> str:
    """How Linux weighs this process's session, "" where it does not."""
    place = Path("/proc/self/autogroup")
    return place.read_text().split()[-1] if place.exists() else ""


def until_group(wanted: str) -> str:
    """In the child."""
    while group() != wanted:
        pass
    return group()


@pytest.mark.skipif(not group(), reason="this kernel does not weigh sessions")
@pytest.mark.parametrize(("priority", "nice"), [("idle", "19"), ("low", "10"), ("", "0")])
def test_its_session_is_weighed_as_lightly_as_it_is(priority: str, nice: str) -> None:
    """A process's own priority counts within its session only, where that is a group (sched_autogroup)."""
    before = group()
    assert run_child(f"{__name__}:until_group", nice, timeout_s=60, priority=priority) == nice  # type: ignore[arg-type]
    assert group() == before


def test_modest_work_has_a_lower_priority_and_its_caller_keeps_its_own() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert modestly(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())) == max(10, before)
    with pytest.raises(ZeroDivisionError):
        modestly(lambda: 1 // 0)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_one_that_gets_no_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgewright.core.child._PATIENCE_S", 0.01)
    monkeypatch.setattr("edgewright.core.child.turns", lambda pid: Turns(0.1, 6.0))
    with pytest.raises(ChildStarved, match="no time of a CPU"):
        run_child(EVAL, "__import__('threading').Event().wait()", timeout_s=60, priority="idle")
    assert run_child(EVAL, "1 + 1", timeout_s=60, priority="low") == 2
