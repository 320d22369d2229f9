"""Enrolling: devices let in by a one-time token or a key that was authorised before, and their certificates renewed.

Each in one transaction of the device's tenant, with its line in the audit log.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select

from edgewright.core.errors import InputError, TrustError
from edgewright.core.messages import Enrol, Enrolled, Facts
from edgewright.hub import plans
from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.database import EVERY, Database, Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.fleet import benchmarks
from edgewright.hub.fleet.desired import revise
from edgewright.hub.fleet.plain import plain
from edgewright.hub.fleet.tables import Certificate, Device, Enrolment
from edgewright.trust.authority import Authority, DeviceRequest, Identity, Issued, Token, TokenRecord, redeem

_KEPT = 4
"""Certificates of a device that are remembered beside the one in use: what is older is refused as unknown."""


@dataclass(frozen=True)
class Invitation:
    """What lets a device in: its tenant and the row's id, with the token that was shown (None: by its key)."""

    tenant: str
    id: str
    token: Token | None = None


def is_authorised(database: Database, key: str, now: datetime) -> bool:
    """Whether a tenant, whichever, has authorised the key with this digest, and that holds: a second one may not."""
    query = select(Enrolment.id).where(Enrolment.kind == "key", Enrolment.digest == key, Enrolment.until > now)
    with database.read(EVERY) as session:
        return session.scalar(query.limit(1)) is not None


def find_invitation(
    database: Database, message: Enrol, request: DeviceRequest, now: datetime
) -> Invitation | None:  # fmt: skip
    """Whose token or key this is; None for a key that nobody authorised (yet). Raises TrustError for a token that is
    none, in the same words as for one that does not hold. Of several that hold for one key (authorised at the same
    moment) the first holds: who comes later takes no device over.

    It looks into all tenants, for a token does not name its own: nothing but the row's place comes out.
    """
    token = _token(message.token) if message.token else None
    with database.read(EVERY) as session:
        query = select(Enrolment.tenant, Enrolment.id)
        if token is None:
            query = query.where(Enrolment.kind == "key", Enrolment.digest == request.digest)
            query = query.order_by(Enrolment.until <= now, Enrolment.made, Enrolment.id)
        else:
            query = query.where(Enrolment.kind == "token", Enrolment.id == token.id)
        found = session.execute(query.limit(2)).all()
    if token is not None and len(found) != 1:
        raise TrustError("this token is not known here; make a new one on the hub")
    return Invitation(found[0][0], found[0][1], token) if found else None


def enrol(
    session: Scoped, ours: Authority, invitation: Invitation, message: Enrol, request: DeviceRequest, now: datetime,
    network: str = "",
) -> tuple[Device, Issued]:  # fmt: skip
    """The device with a certificate. Raises TrustError, Conflict."""
    row = session.get(Enrolment, (session.tenant, invitation.id), with_for_update=True, populate_existing=True)
    name = _name(session, row, message, request) if row is not None else message.name or "any"
    if invitation.token is not None:
        record = None if row is None else TokenRecord(
            row.id, row.tenant, row.digest, row.until, row.device or None, row.used_by, row.used
        )  # fmt: skip
        kept = redeem(record, invitation.token, name, request.digest, now)
        used = kept.used_at
    else:
        if row is None or row.digest != request.digest or now >= row.until:
            raise TrustError("this key is not authorised any more; authorise it again on the hub")
        used = row.used or now
    assert row is not None  # noqa: S101 - redeem refuses what has no row
    again = row.used_by is not None
    row.used_by, row.used = request.digest, used
    device = _device(session, row, name, message.facts, now)
    issued = issue(session, ours, device.name, request, now)
    device.serial = device.serial or issued.peer.serial
    actor = Actor("device", device.name, device.name, network=network)
    tell(session, actor, "device.enrolled", device.name, now, {"by": row.id, "again": again})
    return device, issued


def issue(session: Scoped, ours: Authority, name: str, request: DeviceRequest, now: datetime) -> Issued:
    """A certificate for the device, with the row without which it would let nobody in.

    ``made`` grows from one to the next whatever the hub's clock does: it says which of two is the newer one."""
    issued = ours.issue_device(request, Identity(session.tenant, name), now)
    peer = issued.peer
    used = session.scalar(select(Device.serial).where(Device.name == name))
    old = select(Certificate).where(Certificate.device == name, Certificate.serial != (used or ""))
    for one in session.scalars(old.order_by(Certificate.made.desc())).all()[_KEPT - 1 :]:
        session.delete(one)
    newest = session.scalar(select(func.max(Certificate.made)).where(Certificate.device == name))
    made = now if newest is None else max(now, newest + timedelta(milliseconds=1))
    session.add(
        Certificate(serial=peer.serial, device=name, key=peer.key, made=made, until=peer.not_after, revoked=None)
    )
    session.flush()
    return issued


def revoke(session: Scoped, device: Device, now: datetime) -> None:
    """The device is let in no more: none of its certificates, and no token for its name. Its polls end within a
    second."""
    device.revoked = now
    for certificate in session.scalars(select(Certificate).where(Certificate.device == device.name)):
        certificate.revoked = certificate.revoked or now
    session.execute(delete(Enrolment).where(Enrolment.device == device.name))
    benchmarks.end_all(session, device, now)
    revise(session, [device])


def enrolled(device: Device, issued: Issued, ours: Authority, root: str = "") -> Enrolled:
    """What the device is told."""
    anchors = tuple(split_pem(ours.anchors))
    return Enrolled(device.tenant, device.name, issued.chain.decode("ascii"), anchors, root)


def split_pem(pem: bytes) -> list[str]:
    """Certificates one by one."""
    mark = "-----END CERTIFICATE-----\n"
    return [part + mark for part in pem.decode("ascii").split(mark) if part.strip()]


def _token(text: str) -> Token:
    try:
        return Token.parse(text)
    except InputError as error:
        raise TrustError(str(error)) from error


def _name(session: Scoped, row: Enrolment, message: Enrol, request: DeviceRequest) -> str:
    """The name it gets: what the invitation says; what it had, when it comes again with the same key; its wish, if
    nobody has that name; else a new one."""
    if row.device:
        return row.device
    if row.used_by == request.digest:
        query = select(Certificate.device).where(Certificate.key == request.digest)
        if (known := session.scalar(query.limit(1))) is not None:
            return known
    wish = message.name
    try:
        Identity(session.tenant, wish)
    except InputError:
        wish = ""  # a word of a message may hold what a name cannot
    if wish and session.get(Device, (session.tenant, wish)) is None:
        return wish
    return f"{wish[:55] or 'device'}-{secrets.token_hex(4)}"


def _device(session: Scoped, row: Enrolment, name: str, facts: Facts, now: datetime) -> Device:
    device = session.get(Device, (session.tenant, name), with_for_update=True)
    told: Mapping[str, Any] = plain(facts.to_json())
    if device is None:
        plans.check(session, now, "devices")
        device = Device(
            name=name, group=row.group, labels=dict(row.labels), config={}, collect={}, status={}, made=now,
            changed=now, revision=0, serial="", release=None, revoked=None, seen=None,
        )  # fmt: skip
        session.add(device)
    if device.revoked is not None:
        raise Conflict(f"{name} was revoked; a revoked device's name is not given again")
    device.facts, device.target = dict(told), told["target"]
    revise(session, [device])
    session.flush()
    return device
