"""Benchmarks: what a device is asked to measure, and what it found. A hub's own worker answers in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from edgewright.core.messages.reading import DIGEST, LARGEST, Reader, real, text

MOST_SUBJECTS = 8
MOST_SECONDS = 300.0
_KINDS = ("measured", "estimated", "predicted")
MACHINE_BYTES = 16 * 2**10
_POINTS, _NOTES = 201, 32


@dataclass(frozen=True)
class Benchmark:
    """``bundles`` (digests of their manifests) are to be measured side by side, which takes about ``seconds``.
    ``number``: of the request; one larger than the last that was answered asks for it, once."""

    number: int
    bundles: tuple[str, ...]
    seconds: float = 10.0
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return {**asdict(self), "bundles": list(self.bundles)}

    @classmethod
    def _read(cls, r: Reader) -> Self:
        bundles = r.strings("bundles", MOST_SUBJECTS, 64)
        if not bundles or not all(map(DIGEST.fullmatch, bundles)):
            raise ValueError("'bundles' must be the SHA-256s of some")
        return cls(r.count("number"), bundles, r.amount("seconds", 10.0, 0.1, MOST_SECONDS), r.count("seed", 0))


@dataclass(frozen=True)
class Figure:
    """``value`` in ``unit``; its 95% interval from ``n`` runs where there is one. ``kind``: measured, estimated,
    predicted."""

    value: float
    unit: str
    kind: str = "measured"
    n: int = 1
    low: float | None = None
    high: float | None = None

    @classmethod
    def _read(cls, value: Any, where: str) -> Self:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no object")
        r = Reader(value, where)
        low, high = (_number(r, key) if r.has(key) else None for key in ("low", "high"))
        kind = r.string("kind", 16)
        if kind not in _KINDS:
            raise ValueError(f"'kind' of {where} is none of {', '.join(_KINDS)}")
        return cls(_number(r, "value"), r.string("unit", 16), kind, r.count("n", 1), low, high)


@dataclass(frozen=True)
class Benched:
    """One subject: a bundle's digest, or whatever a hub calls what its worker measured. ``metrics`` by name;
    ``missing``: why there is no more of them, likewise; ``ratio``: its latency over the first subject's, from the same
    rounds, with its interval; ``distribution_ms``: evenly spaced quantiles of single runs, from the fastest to the
    slowest. ``why``: it could not be measured ("": it was)."""

    subject: str
    engine: str = ""
    metrics: Mapping[str, Figure] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    ratio: tuple[float, ...] = ()
    distribution_ms: tuple[float, ...] = ()
    rounds: int = 0
    notes: tuple[str, ...] = ()
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        lists = {name: list(getattr(self, name)) for name in ("ratio", "distribution_ms", "notes")}
        return {**asdict(self), **lists}

    @classmethod
    def _read(cls, r: Reader) -> Self:
        ratio, points = _numbers(r, "ratio", 3), _numbers(r, "distribution_ms", _POINTS)
        if len(ratio) not in (0, 3):
            raise ValueError("'ratio' is a value and the ends of its interval")
        return cls(
            r.word("subject"), r.string("engine", 64, ""), r.table("metrics", 64, Figure._read),
            r.table("missing", 64, text), ratio, points, r.count("rounds", 0), r.strings("notes", _NOTES, 400),
            r.string("why", 500, ""),
        )  # fmt: skip


@dataclass(frozen=True)
class BenchmarkResult:
    """What came of a request. ``machine``: what it was and how busy, as JSON; ``why``: nothing could be measured."""

    number: int
    subjects: tuple[Benched, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        subjects = [one.to_json() for one in self.subjects]
        return {"number": self.number, "subjects": subjects, "machine": dict(self.machine), "why": self.why}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        r = Reader(value, "the message")
        subjects = r.many("subjects", MOST_SUBJECTS, Benched._read)
        return cls(r.count("number"), subjects, r.free("machine", MACHINE_BYTES), r.string("why", 500, ""))


def _number(r: Reader, key: str) -> float:
    return r.amount(key, None, -LARGEST, LARGEST)


def _numbers(r: Reader, key: str, most: int) -> tuple[float, ...]:
    values = r.take(key, list) if r.has(key) else []
    if len(values) > most:
        raise ValueError(f"{key!r} has {len(values):,} numbers; {most:,} are allowed")
    return tuple(real(value, f"{key}[{i}]") for i, value in enumerate(values))
