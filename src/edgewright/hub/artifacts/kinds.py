"""Kinds: what can be made of a bundle or of a job, what each needs, and what of it was ever run."""

from __future__ import annotations

from functools import cache
from typing import Any

from edgewright.core.errors import InputError
from edgewright.exports import catalogue

BUNDLE, REPORT = "bundle", "report"
_OWN: tuple[dict[str, Any], ...] = (
    {
        "kind": BUNDLE, "title": "the signed bundle itself, one file", "needs": "Edgewright on the device.",
        "verified": True, "untested": "", "limit": None,
        "tested": "the hub verified it when it came; devices verify it again before they run it.",
    },
    {
        "kind": REPORT, "title": "the report of a job, as a page and as JSON", "needs": "a browser.", "verified": True,
        "tested": "it is what the job wrote when it ended.", "untested": "", "limit": None,
    },
)  # fmt: skip


@cache
def kinds() -> tuple[dict[str, Any], ...]:
    """Every kind as ``exports.catalogue`` tells it, and ``of``: what it is made of, "bundle" or "job"."""
    found = [*_OWN, *catalogue()]
    return tuple({**one, "of": "job" if one["kind"] == REPORT else "bundle"} for one in found)


def kind_of(name: str) -> dict[str, Any]:
    """Raises InputError."""
    for one in kinds():
        if one["kind"] == name:
            return one
    raise InputError(f"{name[:40]!r} is no kind of artifact; there are: {', '.join(one['kind'] for one in kinds())}")
