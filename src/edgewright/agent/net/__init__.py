"""Net: the agent's side of the device protocol (docs/reference/device-protocol.md), by the standard library alone.

enrol(state, url, token, Facts(...))        identity, anchors and the first root of the update metadata, kept
line = Line(state)                          what all threads share of the hub: address, certificates, holds
link = Link(line, ...)                      a thread: the parked poll; the newest desired state, on the disk
HubSource(state, line, link)                an ``agent.sources.Source``: metadata, deltas, ranged downloads
Teller(line, link, ...)                     a thread: the state as it changes, reports, logs that are asked for
follow(now, desired, ...)                   pure: what the device should do about what the hub wants
Service(state).run()                        all of it, until it is told to stop
"""

from __future__ import annotations

from edgewright.agent.net.enrolment import NotYet, enrol
from edgewright.agent.net.follow import Action, follow
from edgewright.agent.net.hub import Hub, Offline, Refusal
from edgewright.agent.net.line import Line
from edgewright.agent.net.link import Link
from edgewright.agent.net.service import Service
from edgewright.agent.net.source import HubSource
from edgewright.agent.net.teller import Teller

__all__ = [
    "Action",
    "Hub",
    "HubSource",
    "Line",
    "Link",
    "NotYet",
    "Offline",
    "Refusal",
    "Service",
    "Teller",
    "enrol",
    "follow",
]
