"""Waves: what is next for a rollout, from rows and the time to actions.

    draft > approval > awaiting_signature > staging > wave n { offer > activate > soak > gate } > completed
    wave <> paused     wave > halted > rolling_back > rolled_back     any before wave > cancelled     any > superseded

Where a release is shadowed nobody switches while a wave is in ``offer``: what the shadows said is judged first.
Every action is a whole new row, so carrying it out twice is the same as once, and whoever finds rows half written goes
on from them: ``settle`` on what ``settle`` made gives nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgewright.flows.release.decision import Decision
from edgewright.flows.release.gates import Verdict, doubted
from edgewright.flows.release.members import (
    Devices,
    Members,
    askable,
    expiries,
    offers,
    released,
    retryable,
    reverts,
    switches,
)
from edgewright.flows.release.rows import FINAL, Action, Change, Member, Move, OrderKind, Rollout, RolloutState

PATIENCE = 3.0
"""Soaks that a gate may hold before its evidence is overdue, and twice that before the rollout pauses for a person."""
_SHORTEST_S = 10.0
QUORUM = 0.5
"""The share of a wave's devices that must have switched before it soaks; who is away may come later."""


@dataclass(frozen=True)
class Now:
    """The time by the hub's clock and since when it has been listening (s since 1970); what is known of devices; the
    verdict of the gate on the rollout's wave, if there was a look."""

    at: float
    devices: Devices
    up_since: float = 0.0
    verdict: Verdict | None = None


def allowed(rollout: Rollout) -> frozenset[OrderKind]:
    """The orders that a rollout can be given in the state that it is in."""
    table: dict[str, frozenset[OrderKind]] = {
        "draft": frozenset({"submit", "cancel"}), "approval": frozenset({"cancel"}),
        "awaiting_signature": frozenset({"cancel"}), "staging": frozenset({"cancel", "abort"}),
        "wave": frozenset({"pause", "abort", "advance"}), "paused": frozenset({"resume", "abort", "advance"}),
        "halted": frozenset({"abort"}), "completed": frozenset({"abort"}),
    }  # fmt: skip
    return table.get(rollout.state, frozenset())


def overdue(rollout: Rollout, now: float) -> bool:
    """Whether the gate has held for so long that waiting for more evidence is of no use (see ``gates.judge``)."""
    return rollout.phase == "gate" and now >= rollout.since + PATIENCE * max(rollout.policy.soak_s, _SHORTEST_S)


def settle(rollout: Rollout, members: Members, now: Now) -> tuple[Rollout, dict[str, Member], list[Action]]:
    """All that is to be done now: the rows after it, and the actions that lead there, in order.

    The verdict is used for what it was made on, and not for what has moved on since.
    """
    rows, actions = dict(members), list[Action]()
    while found := step(rollout, rows, now):
        for action in found:
            if isinstance(action, Move):
                if action.rollout.phase != "gate" or rollout.phase != "soak":
                    now = replace(now, verdict=None)
                rollout = action.rollout
            else:
                rows[action.member.device] = action.member
        actions += found
    return rollout, rows, actions


def step(rollout: Rollout, members: Members, now: Now) -> list[Action]:
    """What follows at once from these rows: a move of the rollout, or changes of its members."""
    moved = _ordered(rollout, now) or _superseded(rollout, now) or _moved(rollout, members, now)
    return [moved] if moved is not None else list(_changes(rollout, members.values(), now))


def _changes(rollout: Rollout, members: Iterable[Member], now: Now) -> Iterable[Change]:
    rows = list(members)
    changed = list(expiries(rows, now.at, now.up_since, rollout.policy.lease_s))
    if changed:
        return changed
    if rollout.state in ("wave", "completed"):
        last = len(rollout.policy.waves) if rollout.policy.prestage else rollout.wave
        changed = list(offers(rollout, rows, now.devices, now.at, last))
        return changed + list(switches(rollout, rows, now.devices, now.at))
    if rollout.state == "staging" and rollout.policy.prestage:
        return list(offers(rollout, rows, now.devices, now.at, len(rollout.policy.waves)))
    if rollout.state == "rolling_back":
        return list(reverts(rollout, rows, now.at))
    if rollout.state in ("halted", "cancelled", "superseded"):
        return list(released(rows, now.at))
    return []


def _ordered(rollout: Rollout, now: Now) -> Move | None:
    order = rollout.order
    if order is None:
        return None
    done = replace(rollout, order=None)
    if order.kind not in allowed(rollout):
        return Move(done)
    told = f"{order.by} said so"
    if order.kind == "submit":
        return Move(replace(done, state="approval", since=now.at))
    if order.kind == "pause":
        return Move(replace(done, state="paused", since=now.at), _decision("pause", rollout, now, told, order.by))
    if order.kind == "resume":
        # What was soaking soaks anew: nothing was switched meanwhile, and the look begins with fresh eyes.
        phase = "soak" if rollout.phase in ("soak", "gate") else rollout.phase
        made = replace(done, state="wave", phase=phase, since=now.at)
        return Move(made, _decision("resume", rollout, now, told, order.by))
    if order.kind == "advance":
        return _advance(replace(done, state="wave"), now, told, order.by)
    if order.kind == "cancel":
        return Move(replace(done, state="cancelled", since=now.at), _decision("cancel", rollout, now, told, order.by))
    if order.mode == "hold":
        made = replace(done, state="halted", reverting="hold", since=now.at)
        return Move(made, _decision("halt", rollout, now, told, order.by))
    made = replace(done, state="rolling_back", reverting=order.mode, since=now.at)
    return Move(made, _decision("revert", rollout, now, told, order.by))


def _superseded(rollout: Rollout, now: Now) -> Move | None:
    # A way back that has begun is gone to its end; the newer rollout finds those devices busy until then.
    if rollout.superseded_by is None or rollout.state in FINAL | {"rolling_back"}:
        return None
    why = f"rollout {rollout.superseded_by} is newer"
    return Move(replace(rollout, state="superseded", since=now.at), _decision("supersede", rollout, now, why, "rules"))


def _moved(rollout: Rollout, members: Members, now: Now) -> Move | None:
    state, at = rollout.state, now.at
    if state == "approval" and rollout.approved >= rollout.policy.approvals:
        return Move(replace(rollout, state="awaiting_signature", since=at))
    if state == "awaiting_signature" and rollout.signed:
        return Move(replace(rollout, state="staging", since=at))
    if state == "staging":
        waits = rollout.policy.prestage and at < rollout.since + rollout.lease_s and _fetching(members, now)
        return None if waits else Move(replace(rollout, state="wave", wave=0, phase="offer", since=at))
    if state == "rolling_back":
        busy = any(m.state == "reverting" and m.lease_until is not None for m in members.values())
        begun = not any(True for _ in reverts(rollout, members.values(), at))
        return None if busy or not begun else Move(replace(rollout, state="rolled_back", since=at))
    if state != "wave":
        return None
    if now.verdict is not None and now.verdict.action == "halt":
        return _halt(rollout, now, now.verdict)
    return _phase(rollout, members, now)


def _fetching(members: Members, now: Now) -> bool:
    """Whether somebody fetches ahead, or will as soon as it can (another rollout lets go of it, it tries again), or too
    many are away. Once nobody does, waves only switch."""
    there = [m for m in members.values() if m.state != "skipped"]
    waiting = [m for m in there if m.state == "waiting"]
    coming = any(m.state == "offered" or retryable(m) for m in there) or any(_online(m, now) for m in waiting)
    return coming or len(waiting) > QUORUM * len(there)


def _online(member: Member, now: Now) -> bool:
    device = now.devices.get(member.device)
    return device is not None and device.online


def _phase(rollout: Rollout, members: Members, now: Now) -> Move | None:
    asked = [m for m in members.values() if m.wave <= rollout.wave and m.state != "skipped"]
    own = [m for m in asked if m.wave == rollout.wave]
    if not own:
        some = any(m.wave == rollout.wave for m in members.values())
        why = "none of its devices can take the release" if some else "there are too few devices for it to have any"
        return _advance(rollout, now, why, "rules")
    away = sum(m.state == "waiting" and not askable(rollout, m, now.devices) for m in own)
    if rollout.phase in ("offer", "activate"):
        coming = sum((m.state == "waiting" and askable(rollout, m, now.devices)) or m.state == "offered" for m in asked)
        if rollout.phase == "offer" and not coming and away < len(own):
            made = replace(rollout, phase="activate", since=now.at)
            return _shadowed(rollout, own, made, now) if rollout.shadowing else Move(made)
        busy = coming + sum(m.state in ("staged", "switching") or retryable(m) for m in asked)
        if rollout.phase == "activate" and not busy and away <= QUORUM * len(own):
            return Move(replace(rollout, phase="soak", since=now.at))
        return None
    if rollout.phase == "soak":
        over = now.at >= rollout.since + rollout.policy.soak_s
        return Move(replace(rollout, phase="gate", since=now.at)) if over else None
    if now.verdict is None:
        return None
    if now.verdict.action == "advance":
        return _advance(rollout, now, now.verdict.why, "gate", now.verdict.evidence)
    if now.at >= rollout.since + 2 * PATIENCE * max(rollout.policy.soak_s, _SHORTEST_S):
        made = replace(rollout, state="paused", since=now.at)
        return Move(made, _decision("pause", rollout, now, now.verdict.why, "gate", now.verdict.evidence))
    return None


def _shadowed(rollout: Rollout, own: Iterable[Member], made: Rollout, now: Now) -> Move | None:
    """Whether a wave may switch, by what its devices' shadows said. Evidence that they disagree too much, though it is
    no proof (a proof halts), is for a person: who resumes has the wave switch."""
    if now.verdict is None or any(m.since >= now.at for m in own):
        return None  # the look must be a later one than the last device's word
    if why := doubted(now.verdict):
        return Move(
            replace(made, state="paused"), _decision("pause", rollout, now, why, "gate", now.verdict.evidence)
        )  # fmt: skip
    return Move(made)


def _advance(rollout: Rollout, now: Now, why: str, by: str, evidence: Mapping[str, Any] | None = None) -> Move:
    last = rollout.wave + 1 >= len(rollout.policy.waves)
    decision = _decision("complete" if last else "advance", rollout, now, why, by, evidence)
    if last:
        return Move(replace(rollout, state="completed", since=now.at), decision)
    return Move(replace(rollout, wave=rollout.wave + 1, phase="offer", since=now.at), decision)


def _halt(rollout: Rollout, now: Now, verdict: Verdict) -> Move:
    decision = _decision("halt", rollout, now, verdict.why, "gate", verdict.evidence)
    mode = rollout.policy.on_halt
    state: RolloutState = "halted" if mode == "hold" else "rolling_back"
    return Move(replace(rollout, state=state, reverting=mode, since=now.at), decision)


def _decision(
    kind: str, rollout: Rollout, now: Now, why: str, by: str, evidence: Mapping[str, Any] | None = None
) -> Decision:
    wave = rollout.wave if rollout.state in ("wave", "paused", "halted", "completed") else None
    return Decision(kind, rollout.id, wave, now.at, why, by, dict(evidence or {}))
