"""A child that takes only what nobody else wants, and what is done when that is nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from edgewright.core.child import ChildStarved, run_child
from edgewright.core.priority import Turns, modestly, turns, whole_session

EVAL = "builtins:eval"
LONG = 600.0
"""An idle child of a busy machine takes its time."""


@pytest.mark.parametrize(
    ("ran", "waited", "starved"),
    [(0.0, 0.0, False), (0.01, 0.9, False), (0.09, 1.0, True), (0.2, 1.0, False), (9, 99, True)],
)
def test_who_is_starved(ran: float, waited: float, starved: bool) -> None:
    assert Turns(ran, waited).starved is starved


def test_the_kernel_tells_of_a_process_and_nothing_of_one_that_is_gone() -> None:
    assert turns(os.getpid()).ran_s > 0
    assert turns(2**22 + 1) == Turns()


def group() -> str:
    """How Linux weighs this process's session (sched_autogroup), "" where it does not."""
    place = Path("/proc/self/autogroup")
    told = place.read_text().split() if place.exists() else []
    return told[-1] if told else ""


def weighed() -> bool:
    """Whether a session of its own is weighed here. This one need not be: that of a container's first is not."""
    code = "import test_priority; print(test_priority.group())"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, start_new_session=True, check=True, capture_output=True
    )
    return bool(told.stdout.strip())


def until(wanted: list[int | str]) -> list[int | str]:
    """In the child: what it has, as soon as that is what is wanted, at the latest after a minute."""
    end = time.monotonic() + 60
    while (found := [os.sched_getscheduler(0), os.nice(0), group()]) != wanted and time.monotonic() < end:
        pass
    return found


@pytest.mark.parametrize(
    ("priority", "policy", "nice", "weight"),
    [("idle", os.SCHED_IDLE, 10, "19"), ("low", os.SCHED_OTHER, 10, "0"), ("", os.SCHED_OTHER, 0, "0")],
)
def test_a_child_has_the_priority_it_is_given(
    priority: Any, policy: int, nice: int, weight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given right after the start: the child waits until it has it. What a process has counts within its session
    only, where that is weighed as a group: so the session has it, too."""
    monkeypatch.setattr("edgewright.core.child._PATIENCE_S", LONG)  # nobody looks whether it is starved
    monkeypatch.syspath_prepend(Path(__file__).parent)  # where the child finds this module
    wanted = [policy, max(nice, os.nice(0)), weight if weighed() else ""]
    assert run_child("test_priority:until", wanted, timeout_s=LONG, priority=priority) == wanted


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


def session(steps: int) -> list[str]:
    """In the child."""
    before = group()
    os.nice(steps)
    return [before, whole_session(), group()]


@pytest.mark.parametrize("steps", [0, 5])
def test_what_a_process_was_given_its_session_has_too(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not weighed():
        pytest.skip("sessions are not weighed here")
    monkeypatch.syspath_prepend(Path(__file__).parent)
    assert run_child("test_priority:session", steps, timeout_s=LONG) == ["0", "", str(steps)]


@pytest.mark.skipif(not group(), reason="this process's session is not weighed here")
def test_a_session_that_others_lead_is_left_as_it_is() -> None:
    before = group()
    assert os.getsid(0) != os.getpid() and whole_session() == "" and group() == before
