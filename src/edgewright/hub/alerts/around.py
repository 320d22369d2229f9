"""What other slices know that alerts judge: rollouts and their gates, update metadata. The only place that reads
their rows.

By their tables' names: a hub without those slices has none of it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Table, select

from edgewright.hub.alerts.causes import RECENT, Drift, RolloutNow
from edgewright.hub.database import Base, Scoped

_STATES = ("halted", "paused", "awaiting_signature")


@dataclass
class Beside:
    """By tenant."""

    rollouts: dict[str, list[RolloutNow]] = field(default_factory=lambda: defaultdict(list))
    drifts: dict[str, list[Drift]] = field(default_factory=lambda: defaultdict(list))
    expires: dict[str, dict[str, datetime]] = field(default_factory=lambda: defaultdict(dict))


def beside(
    session: Scoped, tenants: list[str], now: datetime, tables: Mapping[str, Table] = Base.metadata.tables
) -> Beside:
    """What lies beside these tenants' devices (a session over all)."""
    found = Beside()
    rollouts, decisions, metadata = (tables.get(name) for name in ("rollouts", "decisions", "metadata"))
    if rollouts is not None:
        r = rollouts.c
        query = select(r.tenant, r.id, r.name, r.group, r.state, r.since)
        for tenant, id_, name, group, state, since in session.execute(
            query.where(r.tenant.in_(tenants), r.state.in_(_STATES))
        ):
            at = datetime.fromtimestamp(since, UTC)
            found.rollouts[tenant].append(RolloutNow(id_, name, group, state, at))
    if rollouts is not None and decisions is not None:
        r, d = rollouts.c, decisions.c
        drifts = select(d.tenant, d.rollout, r.group, d.told).where(
            d.tenant.in_(tenants), d.at > now - RECENT, d.told.contains('"drifts":["'), r.tenant == d.tenant,
            r.id == d.rollout,
        )  # fmt: skip
        for tenant, rollout, group, told in session.execute(drifts.order_by(d.id)):
            said = json.loads(told)["evidence"]["drifts"][0]
            found.drifts[tenant].append(Drift(rollout, group, f"rollout {rollout}: {said}"))
    if metadata is not None:
        m = metadata.c
        held = select(m.tenant, m.role, m.expires).where(m.tenant.in_(tenants), m.until.is_(None))
        for tenant, role, expires in session.execute(held):
            known = found.expires[tenant].get(role)
            # Of several that hold (roots before the newest one stay to be fetched) the last one counts.
            found.expires[tenant][role] = expires if known is None else max(known, expires)
    return found
