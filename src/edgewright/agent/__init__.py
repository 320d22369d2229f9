"""Agent: what keeps a device on a verified, serving bundle, whatever happens to it in the middle of an update.

    with Agent(state) as agent:         # one state folder, one agent; who may sign bundles: state/keys/*.pub
        agent.start()                   # recovers, serves
        now = agent.update(bundle)      # Situation: now.result is committed, rolled_back or abandoned; now.reason
        agent.roll_back()               # to the bundle before, offline

``Agent(state, source)`` takes updates from another ``Source`` (the hub): ``agent.take(Update(digest, release,
details))``. ``Reports`` keeps what is to be told until it is acknowledged. ``Machine`` runs any ``Effects``, which is
how the simulator and the tests drive it.
"""

from __future__ import annotations

from edgewright.agent.agent import Agent
from edgewright.agent.device import Device, Trial
from edgewright.agent.effects import Effects, Outcome, done, failed, later
from edgewright.agent.journal import Journal, held
from edgewright.agent.machine import Machine
from edgewright.agent.reports import Report, Reports
from edgewright.agent.slots import Slots
from edgewright.agent.sources import BUNDLE, FileSource, Source, update_from
from edgewright.agent.states import Situation, Update

__all__ = [
    "BUNDLE",
    "Agent",
    "Device",
    "Effects",
    "FileSource",
    "Journal",
    "Machine",
    "Outcome",
    "Report",
    "Reports",
    "Situation",
    "Slots",
    "Source",
    "Trial",
    "Update",
    "done",
    "failed",
    "held",
    "later",
    "update_from",
]
