"""What other slices know that alerts judge: rollouts and their gates, update metadata. The only place that reads
their rows."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select

from edgewright.hub.alerts.causes import RECENT, Drift, RolloutNow
from edgewright.hub.database import Scoped
from edgewright.hub.library.tables import Metadata
from edgewright.hub.rollouts.tables import Decision, Rollout

_STATES = ("halted", "paused", "awaiting_signature")
_GATE = "gate"
"""Who decided, as ``flows.release.Decision`` tells it."""
_BACK = ("rolling_back", "rolled_back")


@dataclass
class Beside:
    """By tenant. ``expires``: by role of the update metadata when it ends."""

    rollouts: dict[str, list[RolloutNow]] = field(default_factory=lambda: defaultdict(list))
    drifts: dict[str, list[Drift]] = field(default_factory=lambda: defaultdict(list))
    expires: dict[str, dict[str, datetime]] = field(default_factory=lambda: defaultdict(dict))


def beside(session: Scoped, tenants: list[str], now: datetime) -> Beside:
    """What lies beside these tenants' devices (a session over all)."""
    found = Beside()
    r, d, m = Rollout, Decision, Metadata
    rollouts = select(r.tenant, r.id, r.name, r.group, r.state, r.since).where(
        r.tenant.in_(tenants), r.state.in_(_STATES)
    )
    for tenant, id_, name, group, state, since in session.execute(rollouts):
        found.rollouts[tenant].append(RolloutNow(id_, name, group, state, datetime.fromtimestamp(since, UTC)))
    halts = (
        select(d.tenant, d.rollout, r.name, r.group, r.state, d.at, d.told)
        .join(r, (r.tenant == d.tenant) & (r.id == d.rollout))
        .where(d.tenant.in_(tenants), d.at > now - RECENT, d.kind == "halt", r.state.in_(_BACK))
    )
    for tenant, id_, name, group, state, at, told in session.execute(halts):
        if json.loads(told)["by"] == _GATE:  # what a person took back needs nobody's eye
            found.rollouts[tenant].append(RolloutNow(id_, name, group, state, at))
    drifts = (
        select(d.tenant, d.rollout, r.group, d.told)
        .join(r, (r.tenant == d.tenant) & (r.id == d.rollout))
        .where(d.tenant.in_(tenants), d.at > now - RECENT, d.told.contains('"drifts":["'))
    )
    for tenant, rollout, group, told in session.execute(drifts.order_by(d.id)):
        said = json.loads(told)["evidence"]["drifts"][0]
        found.drifts[tenant].append(Drift(rollout, group, f"rollout {rollout}: {said}"))
    held = select(m.tenant, m.role, m.expires).where(m.tenant.in_(tenants), m.until.is_(None))
    for tenant, role, expires in session.execute(held):
        known = found.expires[tenant].get(role)
        # Of several that hold (roots before the newest one stay, to be fetched) the last one counts.
        found.expires[tenant][role] = expires if known is None else max(known, expires)
    return found
