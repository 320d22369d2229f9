"""Enrolment and renewal: how a device gets its certificate, and the next one."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edgewright.agent.net.facts import facts_here
from edgewright.agent.net.hub import Hub, Offline, Refusal, place
from edgewright.agent.net.line import _NO_CHECK_TIME, IDENTITY, UPDATES, Enrolment, Line
from edgewright.agent.preflight import clock_fault
from edgewright.core.errors import EdgewrightError, InputError, TrustError
from edgewright.core.messages import LIMITS, Enrol, Enrolled, Renew, read, render
from edgewright.trust import updates
from edgewright.trust.authority import (
    Identity,
    Token,
    begin_request,
    chain_pem,
    client_context,
    find_anchor,
    first_contact_context,
    install,
    load_identity,
    pending_digest,
    save_anchors,
)

ANCHORS_PATH, ENROL_PATH, RENEW_PATH = "/device/v1/anchors", "/device/v1/enrol", "/device/v1/renew"
_ANCHORS_BYTES = 2**17


class NotYet(EdgewrightError):  # noqa: N818 - reads as what it says
    """Nobody has authorised this device's key. ``digest``: the key's; ``after_s``: when to ask again."""

    def __init__(self, digest: str, after_s: float) -> None:
        super().__init__(
            f"the hub has not authorised this device's key yet; authorise {digest} there, then enrol again"
        )
        self.digest, self.after_s = digest, after_s


class _Stranger:
    """Credentials of a device that has none: ``anchors`` None for the one request that asks for them."""

    def __init__(self, anchors: bytes | None, now: datetime) -> None:
        self._anchors, self._now = anchors, now

    def context(self) -> ssl.SSLContext:
        if self._anchors is None:
            return first_contact_context()
        context = client_context(None, self._anchors)
        if clock_fault(self._now.timestamp()):
            context.verify_flags |= _NO_CHECK_TIME
        return context

    def check(self, peer: ssl.SSLSocket) -> None:
        """Nothing more is known yet."""


def enrol(
    state: Path, hub_url: str, token_text: str = "", name: str = "", labels: Mapping[str, str] | None = None,
    now: datetime | None = None, *, target: str = "", anchor: str = "",
) -> Enrolment:  # fmt: skip
    """Make this device known to the hub, and keep all that comes of it in ``state``. Done again after it was cut off,
    it goes on with the same key.

    ``token_text``: a one-time token; without one the key must be authorised on the hub by its digest (``key_digest``),
    and ``anchor`` is the digest of the hub's root certificate. Raises NotYet, InputError, TrustError, Offline, Refusal,
    StorageError.
    """
    place(hub_url)
    now = now or datetime.now(UTC)
    known = Token.parse(token_text).anchor if token_text else anchor
    if not known:
        raise InputError("without a token, the digest of the hub's root certificate is needed: give --anchor DIGEST")
    if load_identity(state / IDENTITY) is not None and (state / "hub.json").is_file():
        raise InputError(f"{state} is enrolled already; remove its folder {IDENTITY} to enrol it anew")
    csr = begin_request(state / IDENTITY).decode("ascii")
    with closing(Hub(hub_url, _Stranger(None, now))) as hub:
        try:
            answer = hub.ask("GET", ANCHORS_PATH, most_bytes=_ANCHORS_BYTES)
        except Refusal as refusal:
            if refusal.status == 404:
                raise InputError(
                    f"what answers at {hub_url} is no hub, or its address for people; give the one that the hub calls "
                    "'devices at'"
                ) from refusal
            raise
    first = chain_pem(find_anchor(answer.body, known))
    with closing(Hub(hub_url, _Stranger(first, now))) as hub:
        message = Enrol(csr, token_text, name, facts_here(state, target, labels))
        answer = hub.ask("POST", ENROL_PATH, _rendered(message), most_bytes=LIMITS["Enrolled"])
    if answer.status == 202:
        after = answer.headers.get("retry-after", "")
        raise NotYet(key_digest(state), float(after) if after.isdecimal() else 60.0)
    enrolled = _enrolled(answer.body)
    save_anchors(state / IDENTITY, "".join(enrolled.anchors).encode("ascii", "replace") or first)
    if enrolled.root:  # else the tenant has no keys yet; the first root comes later, over the connection made here
        updates.begin(state / UPDATES, enrolled.root.encode())
    kept = Enrolment(hub_url, enrolled.tenant, enrolled.device, target, dict(labels or {}))
    # Last: the certificate's file says that all of it is there.
    kept.keep(state)
    _installed(state, enrolled)
    return kept


def key_digest(state: Path) -> str:
    """The digest of the key that this device waits to have authorised; made if need be. Raises TrustError."""
    begin_request(state / IDENTITY)
    return pending_digest(state / IDENTITY) or ""


def renew(line: Line, hub: Hub) -> None:
    """The next certificate, in place of the one that counts. Raises Offline, Refusal, TrustError, StorageError."""
    csr = begin_request(line.state / IDENTITY).decode("ascii")
    ask = partial(Hub.ask, method="POST", path=RENEW_PATH, body=_rendered(Renew(csr)), most_bytes=LIMITS["Enrolled"])
    try:
        answer = ask(hub)
    except Refusal as refusal:
        before = line.before()
        if refusal.status != 401 or before is None:
            raise
        # A hub that was restored from a backup does not know what it issued since.
        with closing(Hub(line.enrolment.url, before)) as other:
            answer = ask(other)
    enrolled = _enrolled(answer.body)
    if (enrolled.tenant, enrolled.device) != (line.enrolment.tenant, line.enrolment.device):
        line.enrolment = replace(line.enrolment, tenant=enrolled.tenant, device=enrolled.device)
        line.enrolment.keep(line.state)
    if enrolled.anchors:
        line.adopt("".join(enrolled.anchors))
    _installed(line.state, enrolled)
    line.reread()
    hub.close()  # the next request shows the new one


def _installed(state: Path, enrolled: Enrolled) -> None:
    identity = install(state / IDENTITY, enrolled.certificate.encode("ascii", "replace"))
    if identity.peer.identity != Identity(enrolled.tenant, enrolled.device):
        raise TrustError(f"the certificate that came is of {identity.peer.identity.uri}; enrol again")


def _enrolled(body: bytes) -> Enrolled:
    try:
        return read(Enrolled, body)
    except InputError as error:
        raise Offline(str(error)) from error


def _rendered(message: Enrol | Renew) -> bytes:
    try:
        return render(message)
    except ValueError as error:
        raise InputError(f"this cannot be sent to the hub: {error}") from error
