"""Tables of rollouts. Times of the rules are s since 1970 by the hub's clock, as ``flows.release`` has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow


class Rollout(Base, TenantRow):
    """A release on its way to a group of devices ("": all). ``bundles``: by manifest digest their name, version and
    hardware; ``policy``: as the API spells it (``rules.policy_of``); ``plan``: what devices are told of how to go about
    it. From ``state`` to ``reverting`` the fields are those of ``flows.release.Rollout``.

    ``look``: the gate's last look; ``watch`` and ``watched``: whose telemetry it reads, since when; ``heard``: what
    devices told until then is in the rows; ``due``: when time itself makes something due (None: nothing);
    ``look_due``: when to look again. ``worker`` reconciles it until ``held_until``.
    """

    __tablename__ = "rollouts"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    group: Mapped[str] = mapped_column(default="")
    bundle_name: Mapped[str]
    bundles: Mapped[dict[str, Any]]
    policy: Mapped[dict[str, Any]]
    plan: Mapped[dict[str, Any]]
    needs: Mapped[list[str]]
    conflicts: Mapped[list[str]]
    author: Mapped[str]
    approvals: Mapped[list[str]]
    made: Mapped[datetime]
    started: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(default="draft")
    wave: Mapped[int] = mapped_column(default=0)
    phase: Mapped[str] = mapped_column(default="offer")
    since: Mapped[float] = mapped_column(default=0.0)
    signed: Mapped[bool] = mapped_column(default=False)
    order: Mapped[dict[str, Any]]
    superseded_by: Mapped[str | None]
    reverting: Mapped[str] = mapped_column(default="hold")
    look: Mapped[dict[str, Any]]
    look_due: Mapped[float] = mapped_column(default=0.0)
    watch: Mapped[str] = mapped_column(default="")
    watched: Mapped[float] = mapped_column(default=0.0)
    heard: Mapped[datetime]
    due: Mapped[float | None]
    worker: Mapped[str] = mapped_column(default="")
    held_until: Mapped[float] = mapped_column(default=0.0)


class Member(Base, TenantRow):
    """A device in a rollout: the fields of ``flows.release.Member``, and ``bundle``: the variant for it; ``stratum``.

    ``before``: its Release when it was first offered this one ({}: none), ``ran``: the bundle that it served then.
    ``holds``: no other rollout may touch the device; the unique index sees to it.
    """

    __tablename__ = "members"
    __table_args__ = (
        Index(
            "uq_members_tenant_device_held", "tenant", "device", unique=True, sqlite_where=text("holds"),
            postgresql_where=text("holds"),
        ),
    )  # fmt: skip
    rollout: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    wave: Mapped[int]
    control: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(default="waiting")
    attempt: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[float | None]
    failure: Mapped[str | None]
    switched: Mapped[bool] = mapped_column(default=False)
    since: Mapped[float] = mapped_column(default=0.0)
    bundle: Mapped[str]
    stratum: Mapped[str] = mapped_column(default="")
    before: Mapped[dict[str, Any]]
    ran: Mapped[str] = mapped_column(default="")
    holds: Mapped[bool] = mapped_column(default=False)


class Decision(Base, TenantRow):
    """``told``: ``flows.release.Decision`` as canonical JSON, whose digest the audit log has."""

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_tenant_rollout", "tenant", "rollout", "id"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    rollout: Mapped[str]
    at: Mapped[datetime]
    kind: Mapped[str]
    digest: Mapped[str]
    told: Mapped[str] = mapped_column(Text)
