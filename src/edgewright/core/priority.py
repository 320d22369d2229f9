"""Priority: processes and threads that take only what nobody else wants, and how to see that it is nothing. Linux."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

T = TypeVar("T")

Priority = Literal["", "low", "idle"]
""""": as everybody; "low": ten steps nicer; "idle": next to nothing of a CPU that others want, and it makes way at
once for whoever wakes up, on the CPU and at the disk (SCHED_IDLE, sched(7))."""
_NICE, _NICEST = 10, "19"
_STARVED_S, _SHARE = 1.0, 0.1


def lower(pid: int, priority: Priority) -> None:
    """Give a process that has a session of its own this priority; what the system does not let us is left out.

    Where Linux weighs sessions as groups against each other (sched_autogroup, sched(7)), a process's own priority
    counts within its session only: so that of an idle one is lowered, too.
    """
    if priority:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)
    if priority == "idle":
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(_NICEST)
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def whole_session() -> str:
    """Give the session that this process leads the nice value that this process was started with, as ``nice -n -3`` and
    systemd's ``Nice=`` give it to the process alone (see ``lower``). Why that could not be done, "" otherwise."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    place = Path("/proc/self/autogroup")
    if not nice or os.getsid(0) != os.getpid() or not place.exists():
        return ""
    try:
        place.write_text(str(nice))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def modestly(work: Callable[[], T]) -> T:
    """``work`` on a thread of its own that makes way for this process's others. What it raises is raised here.

    Threads that it starts have that priority, too, for as long as they live: not for what starts any that stay.
    """
    found: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="edgewright-modest", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


@dataclass(frozen=True)
class Turns:
    """How long a process ran, and how long it was kept waiting for a CPU, in s."""

    ran_s: float = 0.0
    waited_s: float = 0.0

    @property
    def starved(self) -> bool:
        """Whether others leave it next to nothing: it waited for 1 s, and ran less than a tenth of that."""
        return self.waited_s >= _STARVED_S and self.ran_s < _SHARE * self.waited_s


def turns(pid: int) -> Turns:
    """Of the process's first thread, as the kernel counts them (``/proc/PID/schedstat``); none where it does not."""
    with contextlib.suppress(OSError, ValueError):
        ran, waited, *_ = Path(f"/proc/{pid}/schedstat").read_text().split()
        return Turns(int(ran) / 1e9, int(waited) / 1e9)
    return Turns()
