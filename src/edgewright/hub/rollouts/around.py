"""Around: what rollouts take from the slices beside them, in one place. Tests put a stand-in there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from edgewright.bundles import HeldOut, expected
from edgewright.core.messages import Observation
from edgewright.flows.release import Series, readings
from edgewright.hub import library
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.fleet import telemetry
from edgewright.hub.fleet.watches import Watched
from edgewright.hub.state import State


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
        return library.find(session, digest)

    def propose(
        self, session: Scoped, state: State, digests: Collection[str], rollout: str, now: datetime
    ) -> None:  # fmt: skip
        """Put the bundles into what the release key is to sign next; they are held for the rollout."""
        library.propose(session, state, digests, rollout, now)

    def hold(self, session: Scoped, rollout: str, digests: Iterable[str]) -> None:
        """Keep the bundles that the rollout goes back to, as far as the library has them."""
        for digest in digests:
            try:
                library.hold(session, rollout, [digest])
            except Absent:  # it came to the device by other ways
                continue

    def let_go(self, session: Scoped, rollout: str) -> None:
        """The rollout is over: it holds no bundle any more."""
        library.let_go(session, rollout)

    def signed(self, session: Scoped, digest: str) -> bool:
        """Whether the published update metadata names the bundle."""
        return library.signed(session, digest)

    def shadowed(
        self, session: Scoped, devices: Collection[str], bundles: Collection[str]
    ) -> dict[tuple[str, str], Observation]:
        """What these devices told of these bundles while they ran in their shadows, by device and bundle."""
        return telemetry.shadowed(session, devices, bundles)

    def watch(
        self, session: Scoped, name: str, devices: Collection[str], since: datetime, every_s: float, instead: str
    ) -> None:
        """Merge what these devices tell after ``since``, and have them tell something every so many s; no more of what
        was watched under the name ``instead``."""
        telemetry.watch(session, name, devices, since, every_s, instead)

    def watched(self, session: Scoped, name: str) -> Iterator[Watched]:
        """What they told."""
        yield from telemetry.watched(session, name)

    def unwatch(self, session: Scoped, name: str) -> None:
        """No more of it is needed."""
        telemetry.unwatch(session, name)

    def readings(self, observation: Observation, evidence: Mapping[str, Any]) -> dict[str, Series]:
        """Metrics of one window; ``evidence``: of the bundle that it is about."""
        held_out = _held_out(evidence)
        return readings(observation, None if held_out is None else held_out.curve)

    def expected(self, new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, float]:
        """What the held-out evidence of two bundles foretells of metrics: new minus old."""
        return expected(_held_out(new), _held_out(old))


def around(state: State) -> Around:
    """What this process has around."""
    return state.part("rollouts.around", Around)


def _held_out(evidence: Mapping[str, Any]) -> HeldOut | None:
    told = evidence.get("held_out")
    try:
        return None if told is None else HeldOut.from_json(told)
    except ValueError:  # of another release's schema: the gate does without
        return None
