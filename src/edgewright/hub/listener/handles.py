"""Handles: whether this process may have as many files open as it has devices."""

from __future__ import annotations

import contextlib
import resource

ENOUGH = 12_000
"""For 10,000 devices, the database and the rest."""


def raise_limit() -> str:
    """Raise this process's limit as far as it may; a warning where that is too low for 10,000 devices, or ""."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= ENOUGH:
        return ""
    return (
        f"this process may have {soft:,} files open, too few for 10,000 devices; raise it: ulimit -n {ENOUGH}, or "
        f"LimitNOFILE={ENOUGH} in its unit"
    )
