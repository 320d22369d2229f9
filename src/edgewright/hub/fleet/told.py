"""What the fleet's routes take and tell."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field

from edgewright.core.messages import Collect
from edgewright.hub.fleet.desired import told_of
from edgewright.hub.fleet.presence import ONLINE
from edgewright.hub.fleet.tables import Device, Enrolment, Group
from edgewright.hub.fleet.words import DeviceName, Digest, Labels
from edgewright.hub.fleet.words import Group as GroupName
from edgewright.hub.web.bodies import Answer, Body, Moment, Told, spelled

_OF_STATUS = (("state", "state"), ("good", "good"), ("target_bundle", "target"), ("reason", "reason"))
_WHEN = "2026-11-21T09:30:00.000Z"


def online_since(now: datetime) -> str:
    """A device that was heard of after it is online; one that is connected is, by its parked poll."""
    return spelled(now - ONLINE)


class DeviceTold(Told):
    """A device. ``state``, ``target_bundle``, ``current`` and ``good`` are what it said last of its update and its
    bundles (digests); ``wanted``: the bundle that it should run, of the rollout ``rollout``; ``online``: heard of
    within 90 s; ``offset_s``: its clock minus the hub's."""

    name: str
    group: str
    target: str
    labels: dict[str, str]
    online: bool
    state: str
    current: str
    good: str
    target_bundle: str
    wanted: str
    rollout: str
    reason: str
    revision: int
    offset_s: float
    made: Moment
    seen: Moment | None
    changed: Moment
    revoked: Moment | None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "press-1", "group": "line-3", "target": "raspberry-pi-5", "labels": {"hall": "2"},
                    "online": True, "state": "idle", "current": "ab" * 32, "good": "ab" * 32, "target_bundle": "",
                    "wanted": "ab" * 32, "rollout": "rol_01jd7x3w9q4e5r6t7y8a9b0c1d", "reason": "", "revision": 12,
                    "offset_s": 0.1, "made": _WHEN, "seen": _WHEN, "changed": _WHEN, "revoked": None,
                }
            ]
        }
    )  # fmt: skip

    also = ("status", "release")
    ready = ("labels",)

    @classmethod
    def adapt(cls, row: dict[str, Any], since: str) -> dict[str, Any]:
        """With what its status says, and its release; ``since``: ``online_since``."""
        status, release = row["status"], row["release"] or {}
        row["online"] = row["revoked"] is None and (row["seen"] or "") > since  # one spelling: they sort as they are
        for name, key in _OF_STATUS:
            row[name] = status.get(key, "")
        row["wanted"] = release.get("bundle", "")
        return row


class DeviceWhole(DeviceTold):
    """A device with all that is known: ``facts``, ``status`` as it told them, ``config`` and ``collect`` of its own,
    ``told``: both as it is told them, over those of its group, and with a shorter period while a rollout's gate watches
    it; ``dropped``: observations and events that were lost or not believed."""

    facts: dict[str, Any]
    status: dict[str, Any]
    config: dict[str, Any]
    collect: dict[str, Any]
    told: dict[str, Any]
    dropped: int

    @classmethod
    def whole(cls, device: Device, since: str, dropped: int, group: Group | None) -> Self:
        """As it is told."""
        config, collect = told_of(device.config, device.collect, group, device.watched_s)
        told = {"config": config, "collect": {**Collect().to_json(), **collect}}
        return cls(**cls.adapt(cls.taken(device), since), told=told, dropped=dropped)


class Collecting(Body):
    """What a device is to tell, and what it may take of the network: see ``Collect`` in the device protocol. What is
    left out stays; null gives it back to the device's group, or to what holds by default."""

    period_s: Annotated[float | None, Field(ge=1, le=86400, description="an observation every so many s")] = None
    budget_bytes: Annotated[int | None, Field(ge=0, le=2**40, description="most that reports take in a day")] = None
    download_bytes_s: Annotated[
        int | None, Field(ge=0, le=2**40, description="most that fetching updates takes in a second; 0: no limit")
    ] = None


def changed(collect: dict[str, Any], by: Collecting | None) -> dict[str, Any]:
    """With what was said: null takes a key away."""
    told = {} if by is None else by.model_dump(exclude_unset=True)
    return {key: value for key, value in {**collect, **told}.items() if value is not None}


class DeviceChange(Body):
    """What is to be changed; what is left out stays. ``config`` is the runtime's, handed on as it is."""

    group: GroupName | None = None
    labels: Labels | None = None
    config: dict[str, Any] | None = None
    collect: Collecting | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"group": "line-3", "labels": {"hall": "2"}, "collect": {"period_s": 300.0}}]}
    )


class Asked(Body):
    """What a device is asked to send once."""

    kind: Literal["log", "diagnostics"]

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "log"}]})


class AskedTold(Answer):
    """The request's number: its answer is the upload of that number."""

    kind: str
    number: int


class UploadTold(Answer):
    """What a device sent."""

    kind: str
    number: int
    size_bytes: int
    at: Moment


class EventTold(Told):
    """An event. ``at``: when the hub heard of it; ``told_s``: when it happened by the device's own clock, s since
    1970."""

    id: str
    at: Moment
    told_s: float
    kind: str
    bundle: str
    detail: str


class GroupTold(Answer):
    """A group: how many devices it has, and how many of them were heard of within 90 s. ``changed``: when what its
    devices are told was changed, null where nothing was said. A group is there when a device is in it, or a token of
    enrolment names it."""

    name: str
    devices: int
    online: int
    changed: Moment | None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "line-3", "devices": 40, "online": 39, "changed": _WHEN}]}
    )


class GroupWhole(GroupTold):
    """A group with what all its devices are told that do not say otherwise themselves."""

    config: dict[str, Any]
    collect: dict[str, Any]


class GroupChange(Body):
    """What is to be changed for all devices of a group, and those that join it; what is left out stays. What a device
    has of its own comes before it."""

    config: dict[str, Any] | None = None
    collect: Collecting | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"config": {"models": {"*": {"max_batch": 4}}}, "collect": {"download_bytes_s": 50_000}}]
        }
    )


class NewEnrolment(Body):
    """A token to be made, or with ``key`` (SHA-256 of a public key's SubjectPublicKeyInfo) a key to be authorised.
    ``device``: the only name that it lets in, "" for any; its group and labels are ``group`` and ``labels``."""

    device: DeviceName | Literal[""] = ""
    group: GroupName = ""
    labels: Labels = Field(default_factory=dict)
    hours: Annotated[int, Field(ge=1, le=24 * 365, description="how long it may wait to be used")] = 24
    key: Digest | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"device": "press-1", "group": "line-3", "hours": 24}, {"key": "ab" * 32}]}
    )


class EnrolmentTold(Told):
    """An invitation, without its token. ``kind``: token or key; ``used``: when it let somebody in."""

    id: str
    kind: str
    device: str
    group: str
    labels: dict[str, str]
    made: Moment
    until: Moment
    used: Moment | None


class EnrolmentMade(EnrolmentTold):
    """An invitation with its token, which is shown once ("" for a key), and where devices connect to."""

    token: str
    url: str

    @classmethod
    def made_of(cls, row: Enrolment, token: str, url: str) -> Self:
        """As it is told."""
        return cls(**EnrolmentTold.of(row).model_dump(), token=token, url=url)
