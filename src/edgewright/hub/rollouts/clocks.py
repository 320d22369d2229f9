"""Clocks: when time itself makes something due for a rollout. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.flows.release import Member, Rollout
from edgewright.flows.release.members import retryable
from edgewright.hub.rollouts.rules import OVER

SOON_S, FOLLOW_S, WAIT_S, REST_S = 0.5, 2.0, 10.0, 60.0
"""The earliest next round; one more after a change (what was written beside it is seen then); for devices that are
awaited; and in any case."""


def next_due(rollout: Rollout, members: Mapping[str, Member], at: float, up_since: float, moved: bool) -> float | None:
    """When to settle again without a word from any device; None: never."""
    if rollout.state in OVER or rollout.state == "draft":
        return None
    times = [at + FOLLOW_S] if moved else []
    rest = rollout.state in ("completed", "halted", "paused")
    wait = REST_S if rest else WAIT_S
    lease = rollout.policy.lease_s
    for one in members.values():
        if one.lease_until is not None:
            times.append(max(one.lease_until, up_since + lease))
        elif retryable(one) or _awaited(rollout, one):
            times.append(at + wait)
    if rollout.state == "wave" and rollout.phase == "soak":
        times.append(rollout.since + rollout.policy.soak_s)
    if not rest:
        times.append(at + REST_S)
    return min(max(min(times), at + SOON_S), at + REST_S) if times else None


def _awaited(rollout: Rollout, one: Member) -> bool:
    """Whether something is to be done with it as soon as it is there, or its window open."""
    asked = one.wave <= rollout.wave
    return (one.state == "staged" and asked) or (one.state == "waiting" and (asked or rollout.policy.prestage))


def is_due(due: float | None, at: float) -> bool:
    """Whether it has come; a time that is further off than any can be is of a clock that was wrong."""
    return due is not None and (at >= due or due > at + 2 * REST_S)
