"""Line: what the agent's threads share of the hub: its address, our certificate, the anchors, a clock, and holds.

A device whose clock is wrong must still reach its hub. What checks dates in a handshake is left out then, and the hub's
certificate is held against the latest time that signed metadata proved (``trust.updates.clock_floor``) instead.
"""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from edgewright.agent.net.hub import Credentials, Hub, Offline, Refusal, place
from edgewright.agent.preflight import clock_fault
from edgewright.core.digests import canonical_json
from edgewright.core.errors import EdgewrightError, InputError, TrustError
from edgewright.core.fields import Fields
from edgewright.core.files import read_file, write_file
from edgewright.core.strict import parse_json
from edgewright.trust.authority import (
    DeviceIdentity,
    chain_pem,
    client_context,
    load_anchors,
    load_identity,
    parse_chain,
    save_anchors,
)
from edgewright.trust.authority.identity import PREVIOUS
from edgewright.trust.updates import clock_floor

HUB, IDENTITY, UPDATES = "hub.json", "identity", "updates"
HOLD_S = 3600.0
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h)
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Enrolment:
    """``state/hub.json``: where the hub is, who we are there, and what we say of ourselves."""

    url: str
    tenant: str
    device: str
    target: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def keep(self, state: Path) -> None:
        """Write it. Raises StorageError."""
        write_file(state / HUB, canonical_json(asdict(self)) + b"\n", 0o600)

    @classmethod
    def load(cls, state: Path) -> Enrolment:
        """What was kept. Raises InputError before enrolment."""
        if not (state / HUB).is_file():
            raise InputError(
                f"{state} is not enrolled; run: edgewright agent enrol --hub URL --token T --state {state}"
            )
        try:
            fields = Fields(parse_json(read_file(state / HUB, 65536), 65536), HUB)
            labels = {name: str(value) for name, value in fields.named("labels").items()}
            url, tenant, device, target = map(fields.text, ("url", "tenant", "device", "target"))
            found = cls(url, tenant, device, target, labels)
            place(found.url)
        except ValueError as error:
            raise InputError(f"{state / HUB} cannot be read ({error}); enrol again") from error
        return found


class Line:
    """Of an enrolled device. ``clock``: s since 1970, whatever they are; ``pause``: a monotonic clock, for holds.
    Raises InputError, TrustError."""

    def __init__(
        self, state: Path, clock: Callable[[], float] = time.time, pause: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self.state, self.enrolment, self._clock, self._pause, self.draw = (
            state,
            Enrolment.load(state),
            clock,
            pause,
            draw,
        )
        self.identity = _identity(state)
        self._until, self._lock = 0.0, threading.Lock()
        self.trouble = ""
        """Why the hub was not reached the last time, "" when it was."""

    def dial(self) -> Hub:
        """A connection of one's own."""
        return Hub(self.enrolment.url, self)

    def context(self) -> ssl.SSLContext:
        """For a handshake with the certificate and the anchors of now. Raises TrustError, Offline while held."""
        if left := self.held_s:
            raise Offline(f"the hub refused this device; it is asked again in {left:,.0f} s")
        return self._context(chain_pem(*load_anchors(self.state / IDENTITY)), self.identity.path)

    def check(self, peer: ssl.SSLSocket) -> None:
        """Raise Offline when the clock is wrong and the hub's certificate ended before what is known of the time."""
        ends = (peer.getpeercert() or {}).get("notAfter")
        if self.clock_fault and isinstance(ends, str) and ssl.cert_time_to_seconds(ends) < self.floor.timestamp():
            raise Offline("the hub's certificate expired; renew it there, or set this device's clock")

    def adopt(self, pem: str) -> bool:
        """Trust these anchors from now on, if the hub stands below them; whether they are others than before. They must
        come over a connection that was checked. Raises TrustError, Offline and StorageError; then nothing changed."""
        chain = chain_pem(*parse_chain(pem.encode("utf-8", "replace"), "the hub's anchors"))
        if chain == chain_pem(*load_anchors(self.state / IDENTITY)):
            return False
        with contextlib.closing(Hub(self.enrolment.url, _Other(self, chain, self.identity.path))) as hub:
            hub.ask("GET", "/device/v1/anchors", most_bytes=2**17)  # what shuts us out for good is not taken
        save_anchors(self.state / IDENTITY, chain)
        return True

    def before(self) -> Credentials | None:
        """With the certificate before the one that counts; None where there was none. Raises TrustError."""
        path = self.state / IDENTITY / PREVIOUS
        return _Other(self, chain_pem(*load_anchors(path.parent)), path) if path.exists() else None

    def hold(self, refusal: Refusal) -> None:
        """The hub does not want to hear of us: leave it alone for an hour, and a little more."""
        with self._lock:
            self._until = self._pause() + HOLD_S * (1.0 + 0.1 * self.draw())
        self.trouble = str(refusal)

    def release(self) -> None:
        """Ask again at once: something changed here."""
        with self._lock:
            self._until = 0.0

    @property
    def held_s(self) -> float:
        """How long nothing may be asked, in s."""
        with self._lock:
            return max(self._until - self._pause(), 0.0)

    @property
    def floor(self) -> datetime:
        """The latest time that signed metadata proved; 1970 where there is none."""
        with contextlib.suppress(EdgewrightError):
            return clock_floor(self.state / UPDATES, _EPOCH)
        return _EPOCH

    @property
    def clock_s(self) -> float:
        """The device's clock as it is, s since 1970."""
        return self._clock()

    @property
    def now(self) -> datetime:
        """The clock, or the latest proven time where that is behind."""
        try:
            told = datetime.fromtimestamp(self._clock(), UTC)
        except (ValueError, OverflowError, OSError):
            told = _EPOCH
        return max(told, self.floor)

    @property
    def clock_fault(self) -> str:
        """Why the clock cannot be right, "" when it may be."""
        return clock_fault(self._clock(), self.floor.timestamp())

    def reread(self) -> None:
        """After a renewal: the certificate that counts now."""
        self.identity = _identity(self.state)

    def _context(self, anchors: bytes, identity: Path) -> ssl.SSLContext:
        context = client_context(identity, anchors)
        if self.clock_fault:
            context.verify_flags |= _NO_CHECK_TIME
        return context


class _Other:
    """A line with other anchors, or another identity."""

    def __init__(self, line: Line, anchors: bytes, identity: Path) -> None:
        self._line, self._anchors, self._identity = line, anchors, identity

    def context(self) -> ssl.SSLContext:
        return self._line._context(self._anchors, self._identity)

    def check(self, peer: ssl.SSLSocket) -> None:
        self._line.check(peer)


def _identity(state: Path) -> DeviceIdentity:
    found = load_identity(state / IDENTITY)
    if found is None:
        raise TrustError(f"{state} holds no certificate; enrol again")
    return found
