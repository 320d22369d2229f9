"""Desired state: where a device is, and the whole of what it should be. Never a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from edgewright.core.messages.benchmarks import Benchmark
from edgewright.core.messages.identity import MOST_ANCHORS, PEM, Facts
from edgewright.core.messages.reading import Reader, real

MOST_REVISION = 2**53
CONFIG_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Status:
    """Where an update is. ``state``: a word of the agent's journal (ADR 0007); ``target``: digest of the bundle it is
    about, ``current`` and ``good``: of the one that serves and of the last known good one; "" for none. ``reason``: why
    it was abandoned or rolled back. ``rollout`` and ``attempt`` are those of the Release that it is about ("" and 0:
    none). ``result``: how the last update ended (committed, abandoned, rolled_back; "" while one is on its way);
    ``failure``: the class of what went wrong: bundle, network, storage, busy. ``clock_s``: the device's clock, s since
    1970, whatever it is; ``utc_offset_s``: what its time zone adds. ``config``: why it refuses the configuration that
    it is told ("": it has it, or was told none)."""

    state: str = "idle"
    target: str = ""
    current: str = ""
    good: str = ""
    reason: str = ""
    rollout: str = ""
    attempt: int = 0
    result: str = ""
    failure: str = ""
    clock_s: float = 0.0
    utc_offset_s: float = 0.0
    free_bytes: int = 0
    quarantined: tuple[str, ...] = ()
    config: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return {**asdict(self), "quarantined": list(self.quarantined)}

    @classmethod
    def _read(cls, r: Reader) -> Self:
        return cls(
            state=r.word("state", "idle"),
            target=r.digest("target", ""),
            current=r.digest("current", ""),
            good=r.digest("good", ""),
            reason=r.string("reason", 500, ""),
            rollout=r.word("rollout", ""),
            attempt=r.count("attempt", 0, 2**31),
            result=r.word("result", ""),
            failure=r.word("failure", ""),
            clock_s=r.amount("clock_s", 0.0, -1e12),
            utc_offset_s=r.amount("utc_offset_s", 0.0, -86400.0, 86400.0),
            free_bytes=r.count("free_bytes", 0),
            quarantined=r.strings("quarantined", 32, 64),
            config=r.string("config", 500, ""),
        )


@dataclass(frozen=True)
class Sync:
    """A poll: ``revision`` is the one the device has (0: none yet), answered once there is a later one. ``facts`` are
    sent when they changed, None otherwise."""

    revision: int
    boot: str
    status: Status = field(default_factory=Status)
    facts: Facts | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        facts = None if self.facts is None else self.facts.to_json()
        return {"revision": self.revision, "boot": self.boot, "status": self.status.to_json(), "facts": facts}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        r = Reader(value, "the message")
        facts = Facts.from_json(r.take("facts", dict)) if r.has("facts") else None
        return cls(
            r.count("revision", None, MOST_REVISION), r.word("boot"), r.inner("status", Status._read, Status()), facts
        )


@dataclass(frozen=True)
class Release:
    """The bundle a device should run. ``bundle``: the digest of its manifest, which the update metadata names; "": go
    back to serving nothing. ``attempt`` counts offers of a rollout from 1: what failed is tried again with the next.
    ``activate`` False: stage it, and wait. ``shadow_s``, ``trial_s``: how long it runs beside, and before it counts, in
    s. ``window``: in device time, ``"02:00-04:00"``; "" for any. ``guardrails``: limits by metric, held locally."""

    rollout: str
    bundle: str
    activate: bool = False
    attempt: int = 1
    shadow_s: float = 0.0
    trial_s: float = 60.0
    window: str = ""
    guardrails: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return asdict(self)

    @classmethod
    def _read(cls, r: Reader) -> Self:
        return cls(
            rollout=r.word("rollout"),
            bundle=r.digest("bundle", ""),
            activate=r.switch("activate", default=False),
            attempt=r.count("attempt", 1, 2**31),
            shadow_s=r.amount("shadow_s", 0.0, high=1e7),
            trial_s=r.amount("trial_s", 60.0, high=1e7),
            window=r.string("window", 64, ""),
            guardrails=r.table("guardrails", 32, real),
        )


@dataclass(frozen=True)
class Collect:
    """What to tell, and what the network may be used for. An observation is made every ``period_s``; ``budget_bytes``
    is the most that reports may take in a day: what does not fit is told more coarsely (``observations.fit``). ``log``
    and ``diagnostics`` are numbers of requests: one larger than the last that was answered asks for the log, or a
    bundle of diagnostics, once. ``download_bytes_s``: the most that fetching updates may take in a second, on average;
    0: as fast as it goes. ``benchmark``: what to measure; None: nothing."""

    period_s: float = 900.0
    budget_bytes: int = 1_000_000
    log: int = 0
    diagnostics: int = 0
    download_bytes_s: int = 0
    benchmark: Benchmark | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return {**asdict(self), "benchmark": None if self.benchmark is None else self.benchmark.to_json()}

    @classmethod
    def _read(cls, r: Reader) -> Self:
        return cls(
            period_s=r.amount("period_s", 900.0, low=1.0, high=86400.0),
            budget_bytes=r.count("budget_bytes", 1_000_000, 2**40),
            log=r.count("log", 0),
            diagnostics=r.count("diagnostics", 0),
            download_bytes_s=r.count("download_bytes_s", 0, 2**40),
            benchmark=r.inner("benchmark", _benchmark, None),
        )


@dataclass(frozen=True)
class Desired:
    """The whole of what a device should be; revisions only grow. ``release`` None: nothing was released to it, and
    whatever it runs stays. ``config``: the runtime's, as JSON, handed on as it is. ``anchors``: roots of the hub's CA
    to trust, in PEM; none: those it has."""

    revision: int
    release: Release | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    collect: Collect = field(default_factory=Collect)
    anchors: tuple[str, ...] = ()

    def at(self, revision: int) -> Desired:
        """The same under another revision."""
        return replace(self, revision=revision)

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            "revision": self.revision,
            "release": None if self.release is None else self.release.to_json(),
            "config": dict(self.config),
            "collect": self.collect.to_json(),
            "anchors": list(self.anchors),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        r = Reader(value, "the message")
        return cls(
            revision=r.count("revision", None, MOST_REVISION),
            release=r.inner("release", _release, None),
            config=r.free("config", CONFIG_BYTES),
            collect=r.inner("collect", Collect._read, Collect()),
            anchors=r.strings("anchors", MOST_ANCHORS, PEM),
        )


def _release(r: Reader) -> Release | None:
    return Release._read(r)


def _benchmark(r: Reader) -> Benchmark | None:
    return Benchmark._read(r)
