"""Making: a new rollout with its members drawn, and those that come later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, select

from edgewright.core.errors import InputError
from edgewright.core.messages import Desired, Release, render
from edgewright.flows import release as rules
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.rollouts import rows
from edgewright.hub.rollouts.around import Around
from edgewright.hub.rollouts.rules import check_variants, policy_of, variant
from edgewright.hub.rollouts.tables import Member, Rollout
from edgewright.hub.state import State


@dataclass(frozen=True)
class Wish:
    """What a person asks for. ``policy`` as ``rules.policy_of`` reads it, ``plan``: ``shadow_s``, ``trial_s`` and
    ``guardrails``."""

    name: str
    bundles: Sequence[str]
    group: str
    policy: Mapping[str, Any]
    plan: Mapping[str, Any]
    needs: Sequence[str] = ()
    conflicts: Sequence[str] = ()


def make(session: Scoped, state: State, around: Around, wish: Wish, author: str, now: datetime) -> Rollout:
    """A rollout in ``draft`` with the order to submit it; its bundles wait for the release key. Raises Absent,
    InputError."""
    policy = policy_of(wish.policy)
    _check_told(wish)
    bundles = {}
    for digest in wish.bundles:
        found = around.find(session, digest)
        bundles[digest] = {"name": found.name, "version": found.version, "hardware": list(found.hardware)}
    name = check_variants(bundles)
    made = Rollout(
        id=new_id("rol"), name=wish.name, group=wish.group, bundle_name=name, bundles=bundles,
        policy=dict(wish.policy), plan=dict(wish.plan), needs=sorted(set(wish.needs)),
        conflicts=sorted(set(wish.conflicts)), author=author, approvals=[], made=now, started=None, state="draft",
        wave=0, phase="offer", since=now.timestamp(), signed=False,
        order={"kind": "submit", "by": author, "mode": "hold"}, superseded_by=None, reverting="hold", look={},
        look_due=0.0, watch="", watched=0.0, heard=now, due=None, worker="", held_until=0.0,
    )  # fmt: skip
    session.add(made)
    session.flush()
    fitting = _fitting(session.execute(_devices(wish.group)), bundles)
    places = rules.draw({device: stratum for device, (_, stratum) in fitting.items()}, policy.waves, made.id)
    if not rows.add(session, made, ((place, *fitting[place.device]) for place in places)):
        raise InputError(_nobody(session, wish.group, bundles))
    around.propose(session, state, list(bundles), made.id, now)
    return made


def _check_told(wish: Wish) -> None:
    """Whether devices can be told of it. Raises InputError: what cannot be said to them would never reach them."""
    plan, window = wish.plan, str(wish.policy["window"])
    limits = dict(plan["guardrails"])
    for digest in wish.bundles:
        told = Release("r", digest, True, 1, float(plan["shadow_s"]), float(plan["trial_s"]), window, limits)
        try:
            render(Desired(0, told))
        except ValueError as error:
            raise InputError(f"devices cannot be told of this release: {str(error)[:300]}") from error


def newcomers(session: Scoped, rollout: Rollout) -> list[Row[Any]]:
    """Devices of its group that are not in it: name, group, target and what they run."""
    known = exists(select(Member.device).where(Member.rollout == rollout.id, Member.device == Device.name))
    return list(session.execute(_devices(rollout.group).where(~known)))


def extend(session: Scoped, rollout: Rollout, taken: frozenset[str] = frozenset()) -> int:
    """Make members of those that came since; ``taken``: devices that another release is for. How many they were."""
    found = [device for device in newcomers(session, rollout) if device[0] not in taken]
    fitting = _fitting(found, rollout.bundles)
    waves = policy_of(rollout.policy).waves
    wave = len(waves) - 1 if rollout.state == "completed" else rollout.wave
    places = rules.extend((), sorted(fitting), waves, rollout.id, wave)
    return rows.add(session, rollout, ((place, *fitting[place.device]) for place in places))


def _nobody(session: Scoped, group: str, bundles: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a rollout would have no device."""
    there = list(session.execute(_devices(group)))
    where = f"group {group!r}" if group else "the fleet"
    if there:
        targets = sorted({row[2] or "not told" for row in there})[:8]
        wanted = sorted({one for facts in bundles.values() for one in facts["hardware"]})[:8]
        return (
            f"the bundles are for {', '.join(wanted)}, and no device of {where} is one: their device class "
            f"is {', '.join(targets)}; take a bundle for their hardware, or enrol them with --target"
        )
    groups = session.scalars(select(Device.group).where(Device.revoked.is_(None)).distinct().limit(9)).all()
    named = ", ".join(sorted(group for group in groups if group)) or "none"
    return f"there is no device in {where}; groups with devices: {named}; let devices in: edgewright device enrol"


def _devices(group: str) -> Any:
    query = select(Device.name, Device.group, Device.target, Device.current).where(Device.revoked.is_(None))
    return query.where(Device.group == group) if group else query


def _fitting(devices: Iterable[Any], bundles: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The bundle and the stratum of each device that there is a bundle for."""
    made = {}
    for name, group, target, current in devices:
        bundle = variant(bundles, target)
        if bundle is not None:
            made[name] = bundle, f"{group}/{target}/{current[:12]}"
    return made
