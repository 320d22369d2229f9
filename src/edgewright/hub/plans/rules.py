"""What is limited, and how a plan is written: from values to values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from edgewright.core.errors import InputError

COUNTED: Mapping[str, tuple[str, ...]] = {
    "models": ("edgewright.hub.models.keeping:count_models",),
    "devices": ("edgewright.hub.fleet.roster:count_devices",),
    "storage_bytes": (
        "edgewright.hub.models.keeping:stored_bytes", "edgewright.hub.library.bundles:stored_bytes",
        "edgewright.hub.artifacts.keeping:stored_bytes",
    ),
    "jobs_a_day": ("edgewright.hub.jobs.finding:count_jobs",),
    "benchmarks_a_day": ("edgewright.hub.benchmarks.finding:count",),
}  # fmt: skip
"""What is limited, and the functions ``(session, since) -> int`` whose sum is what there is. ``since``: when the day
began, for what is counted by the day."""
WORDS: Mapping[str, str] = {
    "models": "models", "devices": "devices", "storage_bytes": "bytes of models, data, bundles and artifacts",
    "jobs_a_day": "optimization jobs a day", "benchmarks_a_day": "benchmarks a day",
}  # fmt: skip
_GB = 10**9
PLANS: Mapping[str, Mapping[str, int]] = {
    "unlimited": {},
    "starter": {"models": 5, "devices": 10, "storage_bytes": 5 * _GB, "jobs_a_day": 10, "benchmarks_a_day": 20},
    "team": {"models": 100, "devices": 500, "storage_bytes": 200 * _GB, "jobs_a_day": 200, "benchmarks_a_day": 500},
}
_SIZE = re.compile(r"([0-9]{1,15})([kMGT]?)B?")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def read_plan(text: str) -> tuple[str, dict[str, int]]:
    """Name and limits of ``team``, or of ``models=50,storage_bytes=20GB`` (a plan of one's own; what is not named has
    no limit). Raises InputError."""
    if text in PLANS:
        return text, dict(PLANS[text])
    limits = dict[str, int]()
    for part in text.split(","):
        what, _, amount = part.strip().partition("=")
        found = _SIZE.fullmatch(amount)
        if what not in WORDS or found is None:
            raise InputError(
                f"{part.strip()[:60]!r} is no plan ({', '.join(PLANS)}) and no limit; write {next(iter(WORDS))}=50, "
                f"with: {', '.join(WORDS)}"
            )
        limits[what] = int(found[1]) * _UNITS[found[2]]
    return "own", limits


def day_of(now: datetime) -> datetime:
    """When this day began, in UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def rest_of_day_s(now: datetime) -> float:
    """How long until the next day begins, s."""
    return (day_of(now) + timedelta(days=1) - now).total_seconds()
