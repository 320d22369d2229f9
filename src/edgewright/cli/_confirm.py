"""Asking whether to go on."""

from __future__ import annotations

import sys

from edgewright.core.errors import InputError


def confirmed(what: str) -> bool:
    """Whether somebody at the terminal says yes to ``what``. Raises InputError where nobody is there to be asked."""
    if not sys.stdin.isatty():
        raise InputError(f"nobody is there to be asked whether to {what}; say so with --yes")
    return input(f"{what}? [y/N] ").strip().lower() in ("y", "yes")
