"""What the rollouts' routes take and tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgewright.hub.rollouts.rows import moment
from edgewright.hub.web.bodies import Body, Moment, Told, Words

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,119}$")]
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
OnHalt = Literal["hold", "revert exposed", "revert all"]
_ID = "rol_01jd7x3w9q4e5r6t7y8a9b0c1d"
_BUNDLE = "9f" * 32
_POLICY = ("waves", "soak_s", "lease_s", "max_failure", "window", "approvals", "prestage", "on_halt")


class NewRollout(Body):
    """A release to roll out. ``bundles``: digests of manifests, one for each hardware; ``group`` "": all devices.

    ``waves``: where each ends, in per cent or devices (``5d``); ``soak_s``: before each gate; ``lease_s``: a device
    that is silent for longer failed; ``window``: of the devices' day, in which they may switch; ``approvals``: people
    besides the author; ``prestage``: all fetch ahead, waves only switch; ``needs`` and ``conflicts``: names of
    releases."""

    name: Word
    bundles: Annotated[list[Digest], Field(min_length=1, max_length=16)]
    group: Annotated[Words, Field(max_length=120)] = ""
    waves: Annotated[Words, Field(max_length=300)] = "1,10,50,100"
    soak_s: Annotated[float, Field(ge=0, le=2.6e6, allow_inf_nan=False)] = 600.0
    lease_s: Annotated[float, Field(ge=1, le=2.6e6, allow_inf_nan=False)] = 900.0
    trial_s: Seconds = 60.0
    shadow_s: Seconds = 0.0
    max_failure: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.02
    window: Annotated[Words, Field(max_length=20)] = ""
    approvals: Annotated[int, Field(ge=0, le=10)] = 0
    prestage: bool = False
    on_halt: OnHalt = "revert exposed"
    guardrails: Annotated[
        dict[Word, Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=32, default_factory=dict)
    ]
    needs: Annotated[list[Word], Field(max_length=20, default_factory=list)]
    conflicts: Annotated[list[Word], Field(max_length=20, default_factory=list)]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "faults-1.4.0", "bundles": [_BUNDLE], "group": "line-3", "waves": "1,10,50,100"},
                {"name": "faults-1.4.0", "bundles": [_BUNDLE], "window": "02:00-04:00", "approvals": 1},
            ]
        }
    )

    def policy(self) -> dict[str, Any]:
        """As ``rules.policy_of`` reads it."""
        return self.model_dump(include=set(_POLICY))

    def plan(self) -> dict[str, Any]:
        """What devices are told."""
        return self.model_dump(include={"shadow_s", "trial_s", "guardrails"})


class Abort(Body):
    """``mode``: what becomes of devices that have it: nothing (hold), those that run it go back, or all do."""

    mode: OnHalt = "revert exposed"

    model_config = ConfigDict(json_schema_extra={"examples": [{"mode": "revert exposed"}, {"mode": "hold"}]})


class RolloutTold(Told):
    """A rollout. ``wave`` counts from 0; ``phase`` is that of the wave; ``development``: the tenant's release key lies
    online."""

    id: str
    name: str
    group: str
    bundles: dict[str, dict[str, Any]]
    state: str
    wave: int
    phase: str
    since: Moment
    waves: list[str]
    policy: dict[str, Any]
    plan: dict[str, Any]
    needs: list[str]
    conflicts: list[str]
    devices: int
    author: str
    approvals: list[str]
    signed: bool
    superseded_by: str | None
    reverting: str
    made: Moment
    started: Moment | None
    development: bool

    @classmethod
    def adapt(cls, row: dict[str, Any], devices: Mapping[str, int], development: bool) -> dict[str, Any]:
        """``devices``: how many each rollout has, by its id."""
        waves = [part.strip() for part in str(row["policy"]["waves"]).split(",")]
        return row | {
            "since": moment(row["since"]), "devices": devices.get(row["id"], 0), "development": development,
            "waves": [part if part[-1] in "d%" else f"{part}%" for part in waves],
        }  # fmt: skip


class RolloutShown(RolloutTold):
    """A rollout with ``counts``: members by state, for each wave; ``look``: the gate's last one (``action``, ``why``,
    ``evidence``, and ``course``: what the last 120 came to, ``at``, ``wave``, ``log_e`` and ``needed``), null before
    the first; ``notes``: what may not have been meant."""

    counts: list[dict[str, int]]
    look: dict[str, Any] | None
    notes: list[str]


class MemberTold(Told):
    """A device in a rollout. ``ran``: the bundle it goes back to; ``control``: held back for comparison."""

    device: str
    wave: int
    control: bool
    state: str
    attempt: int
    failure: str | None
    since: Moment
    lease_until: Moment | None
    bundle: str
    ran: str

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """Rules count in seconds; people are told moments."""
        lease = row["lease_until"]
        return row | {"since": moment(row["since"]), "lease_until": None if lease is None else moment(lease)}


class DecisionTold(Told):
    """A decision with its evidence. ``at``: s since 1970; ``digest``: of the decision, as the audit log has it."""

    id: str
    rollout: str
    kind: str
    wave: int | None
    at: float
    why: str
    by: str
    evidence: dict[str, Any]
    sentence: str
    digest: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "dec_01jd7x3w9q4e5r6t7y8a9b0c1d", "rollout": _ID, "kind": "halt", "wave": 0,
                    "at": 1795253400.0,
                    "why": "3 of 10 devices failed (2% allowed)", "by": "gate", "evidence": {"alpha": 0.005},
                    "sentence": f"Rollout {_ID} was halted in wave 1: 3 of 10 devices failed (2% allowed).",
                    "digest": "ab" * 32,
                }
            ]
        }
    )  # fmt: skip

    also = ("told",)

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """What was decided is kept whole."""
        return {**row, **json.loads(row["told"])}
