"""Releases: the pure rules of a rollout, from values to values. Nothing here reads a clock, a network or a disk.

    places = draw({"dev-1": "line-3/pi4", ...}, parse_waves("1,10,50,100"), seed=rollout_id)   who is in which wave
    rollout, members, actions = settle(rollout, members, Now(at, devices, up_since, verdict))  what is next; store it
    member = reported(member, Report("dev-1", attempt=1, state="active"), at)                  what a device told
    verdict = judge(installs(rollout, members.values()), readings, wave, metrics, Budget(), overdue(rollout, at))
    decision.sentence(), decision.to_json()                                                    what was decided, and why

`settle` applied to its own result gives no actions. A hub stores rows and decisions in one transaction and calls it
again whenever something came in or time went by. `readings(observation, curve)` makes a device's
numbers of what it observed (or `share`, `shares`, `doubt_of` and `Series`, by hand).
"""

from edgewright.core.doubt import DoubtCurve, fit_doubt
from edgewright.flows.release.decision import Decision
from edgewright.flows.release.gates import SHADOWED, Budget, Finding, Verdict, doubted, judge
from edgewright.flows.release.installs import Installs
from edgewright.flows.release.members import installs, reported
from edgewright.flows.release.membership import BLUE_GREEN, Place, Size, draw, extend, parse_waves, ramp
from edgewright.flows.release.metrics import METRICS, Metric, expecting
from edgewright.flows.release.observed import doubt_of, readings
from edgewright.flows.release.policy import Policy, Window
from edgewright.flows.release.rows import Change, Device, Member, Move, Order, Report, Rollout
from edgewright.flows.release.series import Reading, Series, share, shares
from edgewright.flows.release.waves import Now, allowed, overdue, settle

__all__ = [
    "BLUE_GREEN", "METRICS", "SHADOWED", "Budget", "Change", "Decision", "Device", "DoubtCurve", "Finding", "Installs",
    "Member", "Metric", "Move", "Now", "Order", "Place", "Policy", "Reading", "Report", "Rollout", "Series", "Size",
    "Verdict", "Window", "allowed", "doubt_of", "doubted", "draw", "expecting", "extend", "fit_doubt", "installs",
    "judge", "overdue", "parse_waves", "ramp", "readings", "reported", "settle", "share", "shares",
]  # fmt: skip
