"""Handles: how many files this process may hold open. A connection is one."""

from __future__ import annotations

import resource

_BESIDE = 256
"""Of models, their files, executors and the server itself."""


def handles(connections: int) -> str:
    """Raise this process's own limit, as far as it may, to what so many connections take. A sentence where that is not
    enough, "" where it is."""
    needed = connections + _BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= needed:
        return ""
    told = f"{connections:,} connections need {needed:,} open files, and {soft:,} are allowed"
    return f"{told}; raise that (LimitNOFILE, ulimit -n)"
