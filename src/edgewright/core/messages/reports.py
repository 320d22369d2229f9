"""Reports: what a device did and saw, in batches it keeps until the hub has taken them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from edgewright.core.messages.observations import Observation
from edgewright.core.messages.reading import MOST, Reader

MOST_OBSERVATIONS, MOST_EVENTS, MOST_REPORTS = 128, 256, 64


@dataclass(frozen=True)
class Event:
    """Something that happened at ``at_s`` of the device's clock. ``kind``: a word: a state of the journal, ``booted``,
    ``budget``; ``bundle``: the digest it is about, or ""; ``detail``: a sentence at most."""

    at_s: float
    kind: str
    bundle: str = ""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The event of a JSON value. Raises ValueError."""
        return cls._read(Reader(value, "the event"))

    @classmethod
    def _read(cls, r: Reader) -> Self:
        at_s = r.amount("at_s", None, -1e12)
        return cls(at_s, r.word("kind"), r.digest("bundle", ""), r.string("detail", 500, ""))


@dataclass(frozen=True)
class Report:
    """A batch, known by its device, ``boot`` (a word that no other start of the agent has) and ``sequence`` (from 0 on
    in each): sent again it is the same bytes, and counts once. ``dropped``: observations and events that were lost
    to the bounds of the device's store since the report before."""

    boot: str
    sequence: int
    observations: tuple[Observation, ...] = ()
    events: tuple[Event, ...] = ()
    dropped: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            "boot": self.boot,
            "sequence": self.sequence,
            "observations": [one.to_json() for one in self.observations],
            "events": [one.to_json() for one in self.events],
            "dropped": self.dropped,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        return cls._read(Reader(value, "the message"))

    @classmethod
    def _read(cls, r: Reader) -> Self:
        return cls(
            boot=r.word("boot"),
            sequence=r.count("sequence"),
            observations=r.many("observations", MOST_OBSERVATIONS, Observation._read),
            events=r.many("events", MOST_EVENTS, Event._read),
            dropped=r.count("dropped", 0, MOST),
        )


@dataclass(frozen=True)
class Reports:
    """Several at once, in the order in which they were made: each counts for itself, and the receipt is for the last. A
    ``Report`` is read as one of them."""

    reports: tuple[Report, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {"reports": [one.to_json() for one in self.reports]}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        if not isinstance(value, dict) or "reports" not in value:
            return cls((Report.from_json(value),))
        found = Reader(value, "the message").many("reports", MOST_REPORTS, Report._read)
        if not found:
            raise ValueError("there is no report in the message")
        return cls(found)


@dataclass(frozen=True)
class Receipt:
    """The hub has the report, now or since before: the device may forget it. ``revision``: the newest desired state's,
    so that a device that only reports hears of it."""

    boot: str
    sequence: int
    revision: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        r = Reader(value, "the message")
        return cls(r.word("boot"), r.count("sequence"), r.count("revision", 0))
