"""Notes: what somebody who makes a rollout should know of it, and may not have meant."""

from __future__ import annotations

from sqlalchemy import and_, select

from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.fleet.desired import desired_of, groups_of
from edgewright.hub.fleet.tables import Device
from edgewright.hub.rollouts.around import Around
from edgewright.hub.rollouts.tables import Member, Rollout

_MOST, _SOME = 16, 20


def notes(session: Scoped, around: Around, row: Rollout) -> list[str]:
    """Sentences, worst first."""
    found = []
    others = _others(session, around, row)
    if others:
        named = ", ".join(repr(name) for name in others)
        found.append(
            f"devices serve {named} now, and will serve {row.bundle_name!r} instead: whoever asks for the old name "
            "finds nothing there; seal the bundle under the same name if that is not meant"
        )
    soak_s, period_s = float(row.policy["soak_s"]), _period_s(session, row)
    if period_s > soak_s:
        found.append(
            f"devices tell what they see every {period_s:g} s, and a wave soaks for {soak_s:g} s: its gate may know "
            "nothing of the model's answers; soak longer, or have them tell more often (edgewright device config "
            "--group, collect.period_s)"
        )
    return found


def _period_s(session: Scoped, row: Rollout) -> float:
    """The longest time (s) between two observations of some of its devices."""
    here = and_(Member.device == Device.name, Member.rollout == row.id)
    query = select(Device).where(select(Member.device).where(here).exists()).order_by(Device.name).limit(_SOME)
    devices = session.scalars(query).all()
    groups = groups_of(session, {(one.tenant, one.group) for one in devices})
    periods = [desired_of(one, (), groups.get((one.tenant, one.group))).collect.period_s for one in devices]
    return max(periods, default=0.0)


def _others(session: Scoped, around: Around, row: Rollout) -> list[str]:
    """Names of models that its devices serve and that are not its own."""
    here = and_(Member.device == Device.name, Member.rollout == row.id)
    query = select(Device.current).where(select(Member.device).where(here).exists()).distinct().limit(_MOST)
    found = set()
    for digest in session.scalars(query):
        try:
            found.add(around.find(session, digest).name if digest else row.bundle_name)
        except Absent:
            continue  # it came to the device by other ways
    return sorted(found - {row.bundle_name})
