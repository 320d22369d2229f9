"""Following: from what the hub wants and where a device is to what it does, and what it tells. Pure."""

from __future__ import annotations

from dataclasses import replace

from edgewright.agent.states import BEFORE, EXPOSED, Situation, Update, failed, offered
from edgewright.core.messages import Release, Status


def follow(now: Situation, release: Release | None) -> Situation:
    """The situation after the hub's word was taken to heart; as it was where there is nothing to do."""
    if now.state in BEFORE | EXPOSED and now.update is not None:
        if release is not None and release.bundle == now.update.bundle:
            return replace(now, update=_update(release))
        if now.state in BEFORE or (release is not None and release.bundle == now.good):
            return failed(now, "another bundle is wanted now", bad=False)
        return now
    if now.state != "idle" or release is None or not release.bundle:
        return now
    if release.bundle == now.good or release.bundle in now.bad:
        return now
    if release.bundle == now.before:
        return _reverted(now) if release.activate else now
    last = now.update
    if last is not None and last.bundle == release.bundle and now.result != "committed":
        details = last.details
        if details["rollout"] == release.rollout and release.attempt <= details["attempt"]:
            return now
    return offered(now, _update(release))


def status(now: Situation, release: Release | None, failure: str = "", clock_s: float = 0.0) -> Status:
    """What the device tells of itself."""
    target, details = ("", {}) if now.update is None else (now.update.bundle, now.update.details)
    result, reason = now.result if now.state == "idle" else "", now.reason
    rollout, attempt = str(details.get("rollout", "")), int(details.get("attempt", 0))
    if now.state == "idle" and release is not None and release.bundle in {now.good, *now.bad} - {""}:
        rollout, attempt, target = release.rollout, release.attempt, release.bundle
        well = release.bundle == now.good
        result = "committed" if well else result if result in {"abandoned", "rolled_back"} else "abandoned"
        reason = "" if well else now.bad[release.bundle]
        failure = "" if well else "bundle"
    return Status(
        now.state, target, now.serving, now.good, reason, rollout, attempt, result,
        failure if result != "committed" else "", clock_s, 0.0, 2**34, tuple(now.bad),
    )  # fmt: skip


def _update(release: Release) -> Update:
    return Update(release.bundle, release.rollout, {"rollout": release.rollout, "attempt": release.attempt})


def _reverted(now: Situation) -> Situation:
    why = "the hub wants the bundle before"
    return replace(now, state="rolling_back", update=Update(now.good), good=now.before, before="",
                   bad={**now.bad, now.good: why}, reason=why)  # fmt: skip
