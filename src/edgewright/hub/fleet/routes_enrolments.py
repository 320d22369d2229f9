"""Routes of enrolments: tokens that let a device in once, and keys that are authorised before they come."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Annotated

from fastapi import Response
from sqlalchemy import select

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.fleet.ca import authority
from edgewright.hub.fleet.enrolling import is_authorised
from edgewright.hub.fleet.place import place
from edgewright.hub.fleet.tables import Device, Enrolment
from edgewright.hub.fleet.told import EnrolmentMade, EnrolmentTold, NewEnrolment
from edgewright.hub.fleet.words import EnrolmentId
from edgewright.hub.web.bodies import Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.short import brief
from edgewright.trust.authority import issue_token

router = Router(prefix="/api/edge/enrolments", tags=["devices"])
Reads = Annotated[Caller, may("devices.read")]
Writes = Annotated[Caller, may("devices.write")]


@router.post("", status_code=201)
def make(body: NewEnrolment, caller: Writes) -> EnrolmentMade:
    """Let a device in: make a one-time token, which is shown here and never again, or authorise a key. A token for the
    name of a device that is there lets another machine take its place."""
    ours, now = authority(caller.state), caller.now
    until = now + timedelta(hours=body.hours)
    common = {"device": body.device, "group": body.group, "labels": dict(body.labels), "made": now, "until": until}
    token = ""
    if body.key is not None:
        taken = is_authorised(caller.state.database, body.key, now)
        row = Enrolment(id=secrets.token_hex(8), kind="key", digest=body.key, **common)
    else:
        made, record = issue_token(
            caller.tenant, ours.anchor_digest, now, timedelta(hours=body.hours), body.device or None
        )
        row = Enrolment(id=record.id, kind="token", digest=record.digest, **common)
        token = made.text()
    with caller.write() as session:
        _check(session, body)
        if body.key is not None and taken:
            # Another tenant's: who it is is nobody's business. First come, first served: else one could take a device.
            raise Conflict("this key cannot be authorised here; let the device make a new one, and authorise that")
        session.add(row)
        session.flush()
        detail = {"kind": row.kind, "device": row.device, "group": row.group, "hours": body.hours}
        caller.tell(session, "enrolment.made", row.id, detail)
        return caller.reply(session, EnrolmentMade.made_of(row, token, place(caller.state).url), 201)


@router.get("", response_model=Page[EnrolmentTold])
@brief
def enrolments(caller: Reads, page: PageQuery) -> Response:
    """Tokens and authorised keys, used ones too."""
    return paged(caller.look, EnrolmentTold, Enrolment.id, page)


@router.delete("/{enrolment}")
def withdraw(enrolment: EnrolmentId, caller: Writes) -> EnrolmentTold:
    """Withdraw a token or key: it lets nobody in from now on. Who came in by it stays."""
    with caller.write() as session:
        row = session.lock(Enrolment, enrolment)
        told = EnrolmentTold.of(row)
        session.delete(row)
        session.flush()
        caller.tell(session, "enrolment.withdrawn", row.id, {"used": row.used is not None})
        return caller.reply(session, told)


def _check(session: Scoped, body: NewEnrolment) -> None:
    known = session.get(Device, (session.tenant, body.device)) if body.device else None
    if known is not None and known.revoked is not None:
        raise Conflict(f"{body.device} was revoked; a revoked device's name is not given again")
    if body.key is not None:
        query = select(Enrolment.id).where(Enrolment.kind == "key", Enrolment.digest == body.key)
        if session.scalar(query.limit(1)) is not None:
            raise Conflict("this key is authorised already; withdraw that first")
