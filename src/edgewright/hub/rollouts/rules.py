"""Rules: from what is spelled in the API to the rules' values, from a member to what its device should run, and from
what a device told to the rules' report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.messages import Release, Status
from edgewright.flows.release import Member, Policy, Report, Window, parse_waves
from edgewright.flows.release.rows import RolloutState

RUNNING: frozenset[RolloutState] = frozenset({"staging", "wave", "paused", "halted", "rolling_back"})
"""A rollout in one of these holds its devices."""
AHEAD: frozenset[RolloutState] = frozenset({"draft", "approval", "awaiting_signature"})
OVER: frozenset[RolloutState] = frozenset({"rolled_back", "cancelled", "superseded"})
GONE = frozenset({"released", "skipped", "reverted"})
"""States of members with whom the rollout has nothing more to do."""
_IN_FLIGHT = frozenset({"offered", "staged", "switching", "reverting"})
_FAILURES = frozenset({"bundle", "network", "storage", "busy"})


def policy_of(told: Mapping[str, Any]) -> Policy:
    """The policy as it was given: ``waves`` and ``window`` are texts. Raises InputError."""
    window = told.get("window")
    return Policy(
        parse_waves(str(told["waves"])), float(told["soak_s"]), float(told["lease_s"]), float(told["max_failure"]),
        Window.parse(window) if window else None, int(told["approvals"]), bool(told["prestage"]), told["on_halt"],
    )  # fmt: skip


def variant(bundles: Mapping[str, Mapping[str, Any]], target: str) -> str | None:
    """The digest of the bundle for a device of this target: one made for it, else one made for any; None: there is
    none."""
    made = [digest for digest, facts in bundles.items() if target in facts["hardware"]]
    free = [digest for digest, facts in bundles.items() if not facts["hardware"]]
    return next(iter(made + free), None)


def check_variants(bundles: Mapping[str, Mapping[str, Any]]) -> str:
    """The one name of a release's bundles. Raises InputError where it is not clear which one a device gets."""
    names = {str(facts["name"]) for facts in bundles.values()}
    if len(names) != 1:
        raise InputError("variants of one release have one name; release bundles of different names apart")
    targets = [target for facts in bundles.values() for target in (facts["hardware"] or [""])]
    for target in targets:
        if targets.count(target) > 1:
            told = f"for {target!r}" if target else "for any hardware"
            raise InputError(f"two of the bundles are {told}; name one for each hardware")
    return names.pop()


def holding(state: str, member: Member) -> bool:
    """Whether no other rollout may touch the device. A completed one lets go of all that is not under way."""
    if state in RUNNING:
        return member.state not in GONE
    return state == "completed" and member.state in _IN_FLIGHT


def wanted(
    rollout: str, member: Member, bundle: str, ran: str, before: Release | None, plan: Mapping[str, Any], window: str
) -> Release | None:
    """What the member's device should run. ``ran``: the bundle that it goes back to ("": none), ``before``: its Release
    before the offer."""
    if member.state in ("released", "skipped"):
        return before
    back = member.state in ("reverting", "reverted")
    return Release(
        rollout, ran if back else bundle, back or member.switched, max(member.attempt, 1),
        0.0 if back else float(plan["shadow_s"]), float(plan["trial_s"]), "" if back else window,
        {} if back else dict(plan["guardrails"]),
    )  # fmt: skip


def reported(rollout: str, member: Member, bundle: str, ran: str, status: Status) -> Report | None:
    """What the device's status says of the member's attempt; None: nothing.

    A device speaks of an offer by its rollout and attempt, also where nothing had to be done for it. Of a way back it
    speaks in the same words: its target is then the bundle that it went back to.
    """
    if status.rollout != rollout or status.attempt != member.attempt or not member.attempt:
        return None

    def told(state: Any, failure: str | None = None) -> Report:
        return Report(member.device, member.attempt, state, failure)

    settled = status.state == "idle" and status.result == "committed" and status.current == status.target
    if member.state == "reverting":
        return told("reverted") if settled and status.target == ran else None
    if status.target != bundle:
        return None
    ended = status.state == "idle" and status.result in ("abandoned", "rolled_back")
    if ended or status.state in ("abandoned", "rolled_back"):
        return told("failed", status.failure if status.failure in _FAILURES else "unknown")
    if settled or (status.state == "committed" and status.current == bundle):
        return told("active" if member.switched else "staged")
    return told("staged") if status.state == "waiting" else None


def spelled_window(window: Window | None) -> str:
    """As devices are told."""
    if window is None:
        return ""
    return "-".join(f"{minute // 60 % 24:02d}:{minute % 60:02d}" for minute in (window.start, window.end))
