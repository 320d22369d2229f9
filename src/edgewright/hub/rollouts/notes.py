"""Notes: what somebody who makes a rollout should know of it, and may not have meant."""

from __future__ import annotations

from sqlalchemy import and_, select

from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.fleet.tables import Device
from edgewright.hub.rollouts.around import Around
from edgewright.hub.rollouts.rules import OVER
from edgewright.hub.rollouts.tables import Member, Rollout

_MOST = 16
_SHORT_S = 15.0
"""A soak in which devices may have told nothing: they observe for 5 s at the least, and tell some s later."""


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
    found += [
        f"rollout {id} of {name} is under way for the same devices; it ends when this one begins"
        for id, name in _under_way(session, row)
    ]
    soak_s = float(row.policy["soak_s"])
    if soak_s < _SHORT_S:
        found.append(
            f"a wave soaks for {soak_s:g} s: its gate may know of nothing but whether devices could install the "
            "bundle; soak for minutes to have the model's answers judged"
        )
    return found


def _under_way(session: Scoped, row: Rollout) -> list[tuple[str, str]]:
    """Rollouts that this one will supersede."""
    if row.started is not None:
        return []
    query = select(Rollout.id, Rollout.name).where(
        Rollout.id != row.id, Rollout.group == row.group, Rollout.bundle_name == row.bundle_name,
        Rollout.superseded_by.is_(None), Rollout.state.not_in((*OVER, "completed")), Rollout.made <= row.made,
    )  # fmt: skip
    return [(found[0], found[1]) for found in session.execute(query.order_by(Rollout.id).limit(_MOST))]


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
