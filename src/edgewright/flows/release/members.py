"""Members: what is next for each device of a rollout, from rows to rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from edgewright.flows.release.installs import Installs
from edgewright.flows.release.rows import ATTEMPTS, TRANSIENT, Change, Device, Member, Report, Rollout

_BACKOFF_S = 60.0

Members = Mapping[str, Member]
Devices = Mapping[str, Device]


def expiries(members: Iterable[Member], now: float, up_since: float, lease_s: float) -> Iterator[Change]:
    """Leases that ran out. ``up_since``: since when the hub has been listening: no device is called silent for the time
    in which nobody could hear it, so each has at least a whole lease after that."""
    for one in members:
        if one.lease_until is None or now < max(one.lease_until, up_since + lease_s):
            continue
        if one.state in ("offered", "switching"):
            failed = replace(one, state="failed", failure="silent", lease_until=None, since=now)
            yield Change(failed, "did not answer in time")
        elif one.state == "reverting":
            # Desired state stays: the device goes back whenever it returns.
            yield Change(replace(one, lease_until=None), "did not answer in time; it goes back when it returns")


def offers(rollout: Rollout, members: Iterable[Member], devices: Devices, now: float, last: int) -> Iterator[Change]:
    """Offers, first ones and new attempts, to devices of waves up to ``last`` that are there to take them."""
    lease = now + rollout.lease_s
    for one in members:
        if one.wave > last or not askable(rollout, one, devices):
            continue
        if one.state == "waiting":
            if found := sorted(rollout.conflicts & devices[one.device].releases):
                yield Change(replace(one, state="skipped", since=now), f"conflicts with {found[0]}, which it has")
            else:
                offered = replace(one, state="offered", attempt=one.attempt + 1, lease_until=lease, since=now)
                yield Change(offered, "is offered the release")
        elif retryable(one) and now >= one.since + _BACKOFF_S * 2.0 ** (one.attempt - 1):
            fresh = replace(one, failure=None, switched=False)
            again = replace(fresh, state="offered", attempt=one.attempt + 1, lease_until=lease, since=now)
            yield Change(again, f"is tried again after: {one.failure}")


def askable(rollout: Rollout, member: Member, devices: Devices) -> bool:
    """Whether the device can be asked now: it is there, no other rollout has it, and it has what the release needs (or
    something that conflicts with it, which is an answer)."""
    device = devices.get(member.device, Device(online=False))
    fits = rollout.needs <= device.releases or bool(rollout.conflicts & device.releases)
    return device.online and not device.busy and fits


def switches(rollout: Rollout, members: Iterable[Member], devices: Devices, now: float) -> Iterator[Change]:
    """Devices of the waves so far that have staged the release and are in their maintenance window; none while a wave
    is offered a release that is shadowed: first it is judged."""
    window, lease = rollout.policy.window, now + rollout.policy.lease_s
    if rollout.shadowing:
        return
    for one in members:
        device = devices.get(one.device, Device(online=False))
        if one.state != "staged" or one.wave > rollout.wave or not device.online or device.busy:
            continue
        if window is None or window.is_open(now, device.utc_offset_s):
            yield Change(replace(one, state="switching", lease_until=lease, switched=True, since=now), "is to switch")


def reverts(rollout: Rollout, members: Iterable[Member], now: float) -> Iterator[Change]:
    """Ways back, as the mode says: of all that is exposed, or of every member; offers are taken back in any case."""
    for one in members:
        back = one.exposed or (rollout.reverting == "revert all" and one.state not in ("reverted", "skipped"))
        if back and rollout.reverting != "hold" and one.state != "reverting":
            lease = now + rollout.policy.lease_s
            yield Change(replace(one, state="reverting", lease_until=lease, since=now), "is to go back")
        elif not back:
            yield from released([one], now)


def released(members: Iterable[Member], now: float) -> Iterator[Change]:
    """Members that have not switched are let go."""
    for one in members:
        if one.state in ("waiting", "offered", "staged"):
            yield Change(replace(one, state="released", lease_until=None, since=now), "the offer is taken back")


def reported(member: Member, report: Report, now: float) -> Member:
    """The row after a device's report; the same row when it says nothing new.

    Reports may come twice, late and in any order: those of another attempt, and those that are behind the row, change
    nothing. An answer after the lease stands: the device was slow, not silent.
    """
    if report.attempt != member.attempt or report.device != member.device:
        return member
    silent = member.state == "failed" and member.failure == "silent"
    if report.state == "reverted":
        if member.state == "reverting":
            return replace(member, state="reverted", lease_until=None, since=now)
        return member
    if report.state == "staged" and (member.state == "offered" or (silent and not member.switched)):
        return replace(member, state="staged", lease_until=None, failure=None, since=now)
    if report.state == "active" and (member.state == "switching" or (silent and member.switched)):
        return replace(member, state="active", lease_until=None, failure=None, since=now)
    # A device may fall back later, too: its own guardrails go on after the switch.
    if report.state == "failed" and (member.state in ("offered", "staged", "switching", "active") or silent):
        return replace(member, state="failed", lease_until=None, failure=report.failure or "unknown", since=now)
    return member


def retryable(member: Member) -> bool:
    """Whether a failed member is tried again; until then it has not answered."""
    return member.state == "failed" and member.failure in TRANSIENT and member.attempt < ATTEMPTS


def installs(rollout: Rollout, members: Iterable[Member]) -> Installs:
    """The outcome so far of the waves up to the rollout's, for the gate."""
    asked = [m for m in members if m.wave <= rollout.wave and m.attempt and m.state not in ("skipped", "released")]
    asked = [m for m in asked if m.state not in ("reverting", "reverted")]
    failed = [m for m in asked if m.state == "failed" and not retryable(m)]
    pending = sum(m.state in ("offered", "staged", "switching") or retryable(m) for m in asked)
    return Installs(
        len(asked), sum(not m.switched for m in failed), sum(m.switched for m in asked),
        sum(m.switched for m in failed), pending, rollout.policy.max_failure,
    )  # fmt: skip
