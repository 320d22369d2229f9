"""Follow: from what the hub wants and where the device is to what it should do, and what it tells. Pure.

The hub's word is a state, so this is asked again and again, also offline and after a restart, and settles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgewright.agent.states import BEFORE, EXPOSED, Situation, Update
from edgewright.core.messages import Release, Status

Kind = Literal["nothing", "offer", "amend", "end", "revert", "empty"]
BACK = frozenset({"rolling_back", "rolled_back"})


@dataclass(frozen=True)
class Action:
    """What the machine is told: ``offer`` and ``amend`` an update, ``end`` the one on its way, ``revert`` to the bundle
    before, serve nothing (``empty``)."""

    kind: Kind = "nothing"
    update: Update | None = None
    reason: str = ""


NOTHING = Action()


def key(release: Release) -> dict[str, Any]:
    """What tells one offer from another."""
    return {"rollout": release.rollout, "attempt": release.attempt, "bundle": release.bundle}


def follow(
    now: Situation, release: Release | None, overruled: Mapping[str, Any] | None = None, *, current: str | None = None
) -> Action:  # fmt: skip
    """What to do. ``overruled``: the ``key`` of an offer that somebody on the device put another bundle in place of;
    ``current``: the bundle that serves (None: the good one)."""
    if now.state in BEFORE | EXPOSED and now.update is not None:
        return _under_way(now, now.update, release)
    if now.state != "idle" or release is None or key(release) == overruled:
        return NOTHING
    if release.bundle in now.bad:
        return NOTHING  # it failed here: the status says so
    if release.bundle == now.good and current in (None, now.good):
        return NOTHING  # it serves; where its files were damaged it is fetched again
    if not release.bundle:
        return Action("empty", reason="the hub wants nothing served") if release.activate else NOTHING
    if release.bundle == now.before:
        return Action("revert", reason="the hub wants the bundle before") if release.activate else NOTHING
    tried = now.update if now.update is not None and now.update.bundle == release.bundle else None
    if tried is not None and now.result != "committed" and not _newer(release, tried.details):
        return NOTHING  # it failed for a passing reason: the hub says when to try again
    return Action("offer", update_of(release))


def update_of(release: Release) -> Update:
    """The update that an offer asks for."""
    details = {
        "rollout": release.rollout, "attempt": release.attempt, "trial_s": release.trial_s,
        "shadow_s": release.shadow_s, "guardrails": dict(release.guardrails),
    }  # fmt: skip
    return Update(release.bundle, release.rollout, details)


def status(
    now: Situation, release: Release | None, current: str, *, clock_s: float = 0.0, utc_offset_s: float = 0.0,
    free_bytes: int = 0,
) -> Status:  # fmt: skip
    """What the device tells of itself. Of an offer that is settled without any work (the bundle serves already, or
    failed here before) it speaks as if it had just been carried out."""
    target, details = ("", {}) if now.update is None else (now.update.bundle, now.update.details)
    state, reason, result, failure = now.state, now.reason, now.result if now.state == "idle" else "", now.failure
    rollout, attempt = str(details.get("rollout", "")), int(details.get("attempt", 0))
    if release is not None and release.bundle == now.good == current and state in {"idle", *BACK}:
        rollout, attempt, target = release.rollout, release.attempt, release.bundle
        if state == "idle":
            result, reason, failure = "committed", "", ""
    elif release is not None and release.bundle and release.bundle == now.before and state == "idle":
        # It lies here, and is one flip away: that is what staged means.
        rollout, attempt, target = release.rollout, release.attempt, release.bundle
        state, result, reason, failure = "waiting", "", "", ""
    elif release is not None and release.bundle in now.bad and state == "idle":
        rollout, attempt, target = release.rollout, release.attempt, release.bundle
        if now.update is None or now.update.bundle != target or result not in {"abandoned", "rolled_back"}:
            result = "abandoned"
        reason, failure = now.bad[release.bundle], "bundle"
    return Status(
        state, target, current, now.good, reason[:500], rollout, attempt, result, failure, clock_s, utc_offset_s,
        free_bytes, tuple(list(now.bad)[-32:]),
    )  # fmt: skip


def _under_way(now: Situation, update: Update, release: Release | None) -> Action:
    if "rollout" not in update.details:
        return NOTHING  # somebody on the device brought it: it comes to its end first
    if release is not None and release.bundle == update.bundle:
        wanted = update_of(release)
        return Action("amend", wanted) if wanted.details != update.details else NOTHING
    if now.state in BEFORE:
        return Action("end", reason="the offer was taken back" if release is None else "another bundle is wanted now")
    if release is not None and release.bundle == now.good:
        return Action("end", reason="the hub wants the bundle before")
    return NOTHING


def _newer(release: Release, details: Mapping[str, Any]) -> bool:
    return release.rollout != details.get("rollout") or release.attempt > int(details.get("attempt", 0))
