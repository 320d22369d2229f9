"""Routes of device profiles."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from fastapi import Response
from pydantic import TypeAdapter
from sqlalchemy import delete, func, select

from edgewright.core.digests import digest_json
from edgewright.core.errors import InputError
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.fleet.tables import Device
from edgewright.hub.profiles.making import MOST, check_free, check_size, of_device, read_target
from edgewright.hub.profiles.tables import Fit, Profile
from edgewright.hub.profiles.told import NewProfile, ProfileChange, Profiles, ProfileTold, Ref
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import PageQuery, answered, read_page
from edgewright.hub.web.reading import Ready, fields
from edgewright.hub.web.short import brief
from edgewright.targets import Target, names
from edgewright.targets.schema import parse, to_document

router = Router(prefix="/api/edge/device-profiles", tags=["device profiles"])
Reads = Annotated[Caller, may("models.read")]
Writes = Annotated[Caller, may("models.write")]


@router.get("", response_model=Profiles)
@brief
def profile_list(caller: Reads, page: PageQuery) -> Response:
    """The tenant's own profiles, newest first; with the first page the templates that ship, the hub's own machine among
    them."""
    rows, following = read_page(caller.look, ProfileTold, Profile.id, page, newest_first=True)
    return answered(fields(ProfileTold, rows), following, templates=[] if page.after is not None else _templates())


@router.post("", status_code=201)
def make(body: NewProfile, caller: Writes) -> ProfileTold:
    """A device class of the tenant's own: written down, detected, or as an enrolled device tells it."""
    if sum(one is not None for one in (body.toml, body.target, body.device)) != 1:
        raise InputError("give toml, target or device: what the profile is made of")
    with caller.write() as session:
        if body.device is not None:
            device = session.find(Device, body.device)
            made, origin = of_device(device.name, device.facts, body.like or "", caller.now), f"device {device.name}"
        else:
            made, origin = _written(body.toml, body.target), "written"
        document = to_document(made)
        if body.name is not None:
            document = to_document(read_target({**document, "name": body.name}))
        check_free(session, document["name"])
        check_size(document)
        if (session.scalar(select(func.count()).select_from(Profile)) or 0) >= MOST:
            raise Conflict(f"there are {MOST:,} profiles; remove one first")
        row = Profile(
            name=document["name"], target=document, origin=origin, by=caller.user, made=caller.now, changed=caller.now
        )
        session.add(row)
        session.flush()
        caller.tell(session, "profile.made", row.id, {"name": row.name, "origin": origin})
        return caller.reply(session, ProfileTold.of(row), 201)


@router.get("/{profile}")
def show(profile: Ref, caller: Reads) -> ProfileTold:
    """One profile: a template by its name, one's own by its id or its name."""
    if profile in names():
        return ProfileTold.shipped(profile)
    with caller.read() as session:
        named = session.scalars(select(Profile).where(Profile.name == profile)).one_or_none()
        return ProfileTold.of(named or session.find(Profile, profile))


@router.patch("/{profile}")
def change(profile: Id, body: ProfileChange, caller: Writes) -> ProfileTold:
    """Give a profile other figures or another name. What was told of models on it is told anew."""
    with caller.write() as session:
        row = session.lock(Profile, profile)
        document: dict[str, Any] = dict(row.target)
        if body.toml is not None or body.target is not None:
            document = to_document(_written(body.toml, body.target))
        document |= {key: value for key, value in (("name", body.name), ("title", body.title)) if value is not None}
        if body.figures is not None:
            document["figures"] = {**document["figures"], **body.figures}
        document = to_document(read_target(document))
        check_free(session, document["name"], row.id)
        check_size(document)
        _forget(session, row.target)
        row.name, row.target, row.changed = document["name"], document, caller.now
        caller.tell(session, "profile.changed", row.id, {"name": row.name})
        return caller.reply(session, ProfileTold.of(row))


@router.delete("/{profile}", status_code=204)
def remove(profile: Id, caller: Writes) -> None:
    """Remove one of the tenant's own."""
    with caller.write() as session:
        row = session.lock(Profile, profile)
        _forget(session, row.target)
        session.delete(row)
        caller.tell(session, "profile.removed", profile, {"name": row.name})


@cache
def _templates() -> Ready:
    """All that ship, as JSON: they are the same for everybody until the hub ends."""
    return Ready(TypeAdapter(list[ProfileTold]).dump_json([ProfileTold.shipped(name) for name in names()]))


def _written(toml: str | None, document: dict[str, Any] | None) -> Target:
    if toml is not None:
        document = to_document(parse(toml.encode(), "the target"))
    return read_target(document or {})


def _forget(session: Scoped, document: dict[str, Any]) -> None:
    session.execute(delete(Fit).where(Fit.target == digest_json(document)))
