"""Around: what rollouts take from the slices beside them, in one place. Tests put a stand-in there."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from edgewright.core.messages import Observation
from edgewright.flows.release import Series, share, shares
from edgewright.hub.database import Scoped
from edgewright.hub.state import State


class Watched(Protocol):
    """What a device that is watched told, by bundle: before the watch began, and from then on."""

    device: str
    before: Mapping[str, Observation]
    after: Mapping[str, Observation]


class Bundle(Protocol):
    """The library's row, as far as it matters here."""

    digest: str
    name: str
    version: str
    hardware: list[str]
    evidence: dict[str, Any]


class Around:
    """The library and the devices' telemetry."""

    def find(self, session: Scoped, digest: str) -> Bundle:
        """The bundle with this manifest digest. Raises Absent."""
        found: Bundle = _library().find(session, digest)
        return found

    def propose(self, session: Scoped, state: State, digests: Sequence[str], release: str, now: datetime) -> None:
        """Put the bundles into what the release key is to sign next."""
        _library().propose(session, state, digests, release, now)

    def signed(self, session: Scoped, digest: str) -> bool:
        """Whether the published update metadata names the bundle."""
        return bool(_library().signed(session, digest))

    def watch(self, session: Scoped, name: str, devices: Iterable[str], since: datetime, now: datetime) -> None:
        """Merge what these devices tell after ``since``."""
        _telemetry().watch(session, name, devices, since, now)

    def watched(self, session: Scoped, name: str) -> Iterator[Watched]:
        """What they told."""
        yield from _telemetry().watched(session, name)

    def unwatch(self, session: Scoped, name: str) -> None:
        """No more of it is needed."""
        _telemetry().unwatch(session, name)

    def readings(self, observation: Observation, evidence: Mapping[str, Any]) -> dict[str, Series]:
        """Metrics of one window; ``evidence``: of the bundle that it is about."""
        return readings(observation)

    def expected(self, new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, float]:
        """What the held-out evidence of two bundles foretells of metrics: new minus old."""
        return {}


def around(state: State) -> Around:
    """What this process has around."""
    return state.part("rollouts.around", Around)


def readings(observation: Observation) -> dict[str, Series]:
    """Errors, latency and predictions of an observation."""
    made: dict[str, Series] = {}
    requests, errors = (observation.counters.get(name, 0) for name in ("requests", "errors"))
    if 0 <= errors <= requests and requests:
        made["errors"] = share(errors, requests)
    latency = observation.series.get("latency_ms")
    if latency is not None and latency.sketch.count:
        p95 = latency.sketch.quantile(0.95)
        if p95 > 0:
            made["latency"] = Series(latency.sketch.count, math.log(p95))
    if observation.classes:
        made |= shares("predictions", observation.classes)
    return made


def _library() -> Any:
    return importlib.import_module("edgewright.hub.library")


def _telemetry() -> Any:
    return importlib.import_module("edgewright.hub.fleet.telemetry")
