"""The logical CPUs this process may run on."""

from __future__ import annotations

import os

from edgewright.core.errors import InputError


def allowed_cpus() -> list[int]:
    """Their numbers in order, as the affinity mask tells; all of the machine's where the system has no such mask."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def check_threads(threads: int) -> None:
    """Raises InputError for more threads than CPUs: they would take turns, and every ratio would flatter."""
    there = len(allowed_cpus())
    if threads > there:
        raise InputError(f"{threads} threads would share the {there} CPUs this process may use; give at most {there}")
