"""How much of a machine's peak an engine reaches: the ranges in ``roofline.toml``, by profile of processor."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from edgewright.targets.description import NumberType


@dataclass(frozen=True)
class Range:
    """A value seen between ``low`` and ``high``, and where."""

    low: float
    value: float
    high: float
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.value <= self.high:
            raise ValueError(f"a range rises from 0 on, got {self.low}, {self.value}, {self.high}")

    @property
    def points(self) -> tuple[float, float, float]:
        """(low, value, high)."""
        return self.low, self.value, self.high


@dataclass(frozen=True)
class Share:
    """The share of a peak a family of operators reaches; ``of`` names the number type whose peak it is taken of."""

    range: Range
    of: NumberType | None = None


@dataclass(frozen=True)
class Profile:
    """One kind of processor. ``roofline.toml`` says what each table means."""

    name: str
    architectures: tuple[str, ...]
    attained: Mapping[str, Range]
    shares: Mapping[str, Mapping[str, Share]]
    work: Mapping[str, Range]
    memory: Mapping[str, Range]
    general: Mapping[str, Range]

    def share(self, family: str, number_type: NumberType) -> Share:
        """Of ``family`` in ``number_type``; a narrow convolution without an entry is one like others, a half-precision
        type without an entry takes fp32's."""
        table = self.shares.get(family) or self.shares.get("conv" if family == "narrow" else "any")
        table = table or self.shares["any"]
        return table.get(number_type) or table.get("any") or table["fp32"]

    def attain(self, number_type: NumberType) -> Range:
        """The share of the derived peak that a large matrix product reaches."""
        return self.attained.get(number_type) or self.attained["fp32"]


def _range(entry: Mapping[str, Any]) -> Range:
    low, value, high = (float(point) for point in entry["range"])
    return Range(low, value, high, str(entry["source"]))


def _ranges(table: Mapping[str, Any]) -> dict[str, Range]:
    return {name: _range(entry) for name, entry in table.items()}


@cache
def profiles() -> Mapping[str, Profile]:
    """Every profile by name."""
    document = tomllib.loads((files("edgewright.targets") / "roofline.toml").read_text("utf-8"))
    return {
        name: Profile(
            name=name,
            architectures=tuple(table["architectures"]),
            attained=_ranges(table["attained"]),
            shares={
                family: {kind: Share(_range(entry), entry.get("of")) for kind, entry in entries.items()}
                for family, entries in table["share"].items()
            },
            work=_ranges(table["work"]),
            memory=_ranges(table["memory"]),
            general=_ranges(table["general"]),
        )
        for name, table in document["profiles"].items()
    }


def profile(architecture: str) -> Profile:
    """The profile of ``architecture``, or ``other``, whose ranges are wide."""
    return next((p for p in profiles().values() if architecture in p.architectures), profiles()["other"])
