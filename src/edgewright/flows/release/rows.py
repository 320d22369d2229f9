"""Rows: a rollout and its members as the hub stores them, and what the rules say is to be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewright.flows.release.decision import Decision
from edgewright.flows.release.policy import OnHalt, Policy

RolloutState = Literal[
    "draft", "approval", "awaiting_signature", "staging", "wave", "completed", "paused", "halted", "rolling_back",
    "rolled_back", "cancelled", "superseded",
]  # fmt: skip
Phase = Literal["offer", "activate", "soak", "gate"]
MemberState = Literal[
    "waiting", "offered", "staged", "switching", "active", "failed", "skipped", "reverting", "reverted", "released"
]
OrderKind = Literal["submit", "pause", "resume", "advance", "abort", "cancel"]

FINAL: frozenset[RolloutState] = frozenset({"completed", "rolled_back", "cancelled", "superseded"})

TRANSIENT = frozenset({"network", "storage", "busy", "silent"})
"""Classes of failure that are tried again; all others are the release's own, and the device has quarantined it."""
ATTEMPTS = 3


@dataclass(frozen=True)
class Order:
    """What a person told a rollout to do, and who. ``mode`` of an abort: what becomes of devices that have it."""

    kind: OrderKind
    by: str
    mode: OnHalt = "hold"


@dataclass(frozen=True)
class Rollout:
    """``since``: when it came into its state and phase (s since 1970). ``order`` waits to be carried out.

    ``needs`` and ``conflicts``: names of releases that a device must have, or must not have. ``shadow_s``: how long it
    runs beside what serves on each device before a wave may switch; 0: not at all.
    """

    id: str
    policy: Policy
    state: RolloutState = "draft"
    wave: int = 0
    phase: Phase = "offer"
    since: float = 0.0
    approved: int = 0
    signed: bool = False
    order: Order | None = None
    superseded_by: str | None = None
    reverting: OnHalt = "hold"
    needs: frozenset[str] = frozenset()
    conflicts: frozenset[str] = frozenset()
    shadow_s: float = 0.0

    @property
    def lease_s(self) -> float:
        """How long a device may take to stage the release: what a shadow takes comes on top of the policy's."""
        return self.policy.lease_s + self.shadow_s

    @property
    def shadowing(self) -> bool:
        """Whether the wave is in its devices' shadows still, and nobody may switch."""
        return self.shadow_s > 0 and self.state == "wave" and self.phase == "offer"


@dataclass(frozen=True)
class Member:
    """A device in a rollout. ``attempt`` counts offers; ``lease_until``: when silence becomes a failure; ``failure``:
    its class; ``switched``: it was told to switch in this attempt; ``since``: when it came into its state."""

    device: str
    wave: int
    control: bool = False
    state: MemberState = "waiting"
    attempt: int = 0
    lease_until: float | None = None
    failure: str | None = None
    switched: bool = False
    since: float = 0.0

    @property
    def exposed(self) -> bool:
        """Whether the new release may be what it runs. A device that told of a failure has gone back by itself."""
        silent = self.state == "failed" and self.failure == "silent"
        return self.switched and (silent or self.state in ("switching", "active", "reverting"))


@dataclass(frozen=True)
class Device:
    """What is known of a device now. ``online``: it asked within the last poll's time; ``releases``: what it has;
    ``busy``: another rollout has it."""

    online: bool = True
    utc_offset_s: float = 0.0
    releases: frozenset[str] = frozenset()
    busy: bool = False


@dataclass(frozen=True)
class Report:
    """What a device told of an ``attempt``: staged, active, failed (with its class) or reverted."""

    device: str
    attempt: int
    state: Literal["staged", "active", "failed", "reverted"]
    failure: str | None = None


@dataclass(frozen=True)
class Change:
    """A member's new row: an offer, a switch, a lease that ran out, a way back. ``why`` is for people."""

    member: Member
    why: str


@dataclass(frozen=True)
class Move:
    """The rollout's new row, and the decision that goes into the audit log."""

    rollout: Rollout
    decision: Decision | None = None


Action = Change | Move
