"""Routes of devices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from sqlalchemy import ColumnElement

from edgewright.core.digests import canonical_json, digest_bytes
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.errors import Conflict
from edgewright.hub.fleet import uploads as kept
from edgewright.hub.fleet.desired import check, revise
from edgewright.hub.fleet.enrolling import revoke as revoked
from edgewright.hub.fleet.news import news
from edgewright.hub.fleet.presence import ONLINE
from edgewright.hub.fleet.tables import Device, Group, Happening, Ledger
from edgewright.hub.fleet.told import (
    Asked,
    AskedTold,
    DeviceChange,
    DeviceTold,
    DeviceWhole,
    EventTold,
    UploadTold,
    changed,
    online_since,
)
from edgewright.hub.fleet.words import DeviceName, Word
from edgewright.hub.web.bodies import Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge", tags=["devices"])
Reads = Annotated[Caller, may("devices.read")]
Writes = Annotated[Caller, may("devices.write")]
State = Annotated[Literal["online", "offline", "revoked"] | None, Query(description="whether it is heard of")]
Number = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/devices", response_model=Page[DeviceTold])
@brief
def devices(
    caller: Reads, page: PageQuery, group: Word = "", target: Word = "", state: State = None,
    q: Annotated[str, Query(max_length=64, description="a part of the name")] = "",
) -> Response:  # fmt: skip
    """The tenant's devices, by name."""
    where, now = list[ColumnElement[bool]](), caller.now
    if group:
        where.append(Device.group == group)
    if target:
        where.append(Device.target == target)
    if q:
        where.append(Device.name.contains(q.replace("\0", ""), autoescape=True))
    match state:
        case "online":
            where += [Device.seen.is_not(None), Device.seen > now - ONLINE, Device.revoked.is_(None)]
        case "offline":
            where += [Device.seen.is_(None) | (Device.seen <= now - ONLINE), Device.revoked.is_(None)]
        case "revoked":
            where.append(Device.revoked.is_not(None))
    return paged(caller.look, DeviceTold, Device.name, page, *where, given=(online_since(now),))


@router.get("/devices/{device}")
def show(device: DeviceName, caller: Reads) -> DeviceWhole:
    """One device, with all that is known of it."""
    with caller.read() as session:
        row = session.find(Device, device)
        ledger = session.get(Ledger, (session.tenant, device))
        group = session.get(Group, (session.tenant, row.group))
        return DeviceWhole.whole(row, online_since(caller.now), 0 if ledger is None else ledger.dropped, group)


@router.patch("/devices/{device}")
def change(device: DeviceName, body: DeviceChange, caller: Writes) -> DeviceTold:
    """Give a device another group, labels, configuration or rules of what it tells. It hears of it at once. What is
    said here comes before what is said of its group."""
    with caller.write() as session:
        row = session.lock(Device, device)
        wanted = (row.group, row.config, row.collect)
        if body.group is not None:
            row.group = body.group
        if body.labels is not None:
            row.labels = dict(body.labels)
        if body.config is not None:
            row.config = body.config
        if body.collect is not None:
            row.collect = changed(row.collect, body.collect)
        check(row.config, row.collect, session.get(Group, (session.tenant, row.group)))
        if wanted != (row.group, row.config, row.collect):
            revise(session, [row])
        caller.tell(session, "device.changed", device, _audited(body))
        told = caller.reply(session, DeviceTold.of(row, online_since(caller.now)))
    news(caller.state).ring()
    return told


@router.post("/devices/{device}/revoke")
def revoke(device: DeviceName, caller: Writes) -> DeviceTold:
    """Let a device in no more. Its connections end within a second; what it runs goes on. Its name is not given
    again."""
    with caller.write() as session:
        row = session.lock(Device, device)
        if row.revoked is None:
            revoked(session, row, caller.now)
            caller.tell(session, "device.revoked", device)
        told = caller.reply(session, DeviceTold.of(row, online_since(caller.now)))
    news(caller.state).ring()
    return told


@router.post("/devices/{device}/collect", status_code=201)
def collect(device: DeviceName, body: Asked, caller: Writes) -> AskedTold:
    """Ask a device for its log or a bundle of diagnostics; what it sends is found among its uploads."""
    with caller.write() as session:
        row = session.lock(Device, device)
        if row.revoked is not None:
            raise Conflict(f"{device} was revoked; it is not heard any more")
        number = int(row.collect.get(body.kind, 0)) + 1
        row.collect = row.collect | {body.kind: number}
        revise(session, [row])
        caller.tell(session, "device.asked", device, {"kind": body.kind, "number": number})
        told = caller.reply(session, AskedTold(kind=body.kind, number=number), 201)
    news(caller.state).ring()
    return told


@router.get("/devices/{device}/events", response_model=Page[EventTold])
def events(device: DeviceName, caller: Reads, page: PageQuery) -> Response:
    """What happened on a device, the newest first."""
    with caller.read() as session:
        session.find(Device, device)
        return paged(session, EventTold, Happening.id, page, Happening.device == device, newest_first=True)


@router.get("/devices/{device}/uploads")
def uploads(device: DeviceName, caller: Reads) -> Page[UploadTold]:
    """What a device sent when it was asked: the last five of each kind."""
    with caller.read() as session:
        session.find(Device, device)
    found = kept.uploads(caller.state, caller.tenant, device)
    told = [UploadTold(kind=one.kind, number=one.number, size_bytes=one.size_bytes, at=one.at) for one in found]
    return Page(items=told)


@router.get(
    "/devices/{device}/uploads/{kind}/{number}", response_class=Response,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)  # fmt: skip
def upload(device: DeviceName, kind: Literal["log", "diagnostics"], number: Number, caller: Reads) -> Response:
    """The bytes of an upload."""
    with caller.read() as session:
        session.find(Device, device)
    data = kept.read(caller.state, caller.tenant, device, kind, number)
    name = f'attachment; filename="{device}-{kind}-{number}"'
    return Response(data, headers={"Content-Disposition": name}, media_type="application/octet-stream")


def _audited(body: DeviceChange) -> dict[str, Any]:
    """A configuration may be long: its digest."""
    told = body.model_dump(exclude_unset=True, exclude={"config"})
    return told if body.config is None else told | {"config": digest_bytes(canonical_json(body.config))}
