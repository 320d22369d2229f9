"""Counts: what the whole fleet did, as the summary tells it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Spread:
    """When devices came to something: the first, the last, and how many; s of the loop's clock."""

    first_s: float = 0.0
    last_s: float = 0.0
    count: int = 0

    def add(self, at_s: float) -> None:
        """One more."""
        self.first_s = at_s if not self.count else min(self.first_s, at_s)
        self.last_s, self.count = max(self.last_s, at_s), self.count + 1


@dataclass
class Counts:
    """``parked``: devices whose poll's connection stands; ``told``: when they heard of each offer; ``ended``: when they
    came to an update's end, by ``RESULT BUNDLE``; ``errors`` by what was wrong."""

    parked: int = 0
    synced: int = 0
    dialled: int = 0
    fetched_bytes: int = 0
    report_bytes: int = 0
    reports: int = 0
    acknowledged: int = 0
    renewed: int = 0
    held: int = 0
    silent: int = 0
    uploads: int = 0
    told: dict[str, Spread] = field(default_factory=dict)
    ended: dict[str, Spread] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def line(self, seconds: float, devices: int) -> str:
        """For people, while it goes on."""
        ends = Counter[str]()
        for name, spread in self.ended.items():
            ends[name.partition(" ")[0]] += spread.count
        told = "".join(f", {count:,} {name}" for name, count in sorted(ends.items()))
        errors = f", {self.errors.total():,} errors" if self.errors else ""
        return (
            f"{seconds:6.0f} s: {self.parked:,} of {devices:,} connected, {self.synced:,} syncs,"
            f" {self.acknowledged:,} of {self.reports:,} reports{told}{errors}"
        )

    def to_json(self, since_s: float) -> dict[str, Any]:
        """For programs; times are s since ``since_s``."""
        plain = {key: value for key, value in vars(self).items() if isinstance(value, int)}
        spreads = {
            kind: {name: {"first_s": round(one.first_s - since_s, 3), "last_s": round(one.last_s - since_s, 3),
                          "devices": one.count} for name, one in spreads.items()}
            for kind, spreads in (("told", self.told), ("ended", self.ended))
        }  # fmt: skip
        return {**plain, **spreads, "errors": dict(self.errors.most_common(20))}
