"""A fleet of simulated devices in one process, speaking the device protocol with a real hub over mTLS.

    fleet = Fleet("https://127.0.0.1:8444", folder, Setting(faults=Faults.parse("fail=0.02,twice=0.1")))
    await fleet.enrol(1000, invite(hub, 1000))            # real keys and certificates, kept in the folder
    async with fleet.running():
        await fleet.until(lambda: fleet.counts.parked == 1000, 60)
        fleet.storm()                                     # all connections break at once
    fleet.counts.to_json(since)

    python -m edgewright.testing.fleet --hub URL --tokens FILE --devices N [--seconds S] [--faults fail=0.02,...]

What is real: keys, certificates, TLS, every request and its bytes, the states of an update (``agent.states``), the
metadata and bundles that are fetched and the digests they are held against. What is not: nothing is journalled or
served; the same metadata and the same bundle are verified once for all devices; what a model says is drawn
(``Behaviour``).
"""

from edgewright.agent.net.hub import Offline, Refusal
from edgewright.testing.fleet.behaviour import Behaviour, Shift
from edgewright.testing.fleet.counts import Counts, Spread
from edgewright.testing.fleet.device import Device
from edgewright.testing.fleet.faults import Faults
from edgewright.testing.fleet.fleet import Fleet
from edgewright.testing.fleet.papers import invite, read_tokens
from edgewright.testing.fleet.wire import Dialer, Line, lean
from edgewright.testing.fleet.world import DURATIONS, Setting

__all__ = [
    "DURATIONS",
    "Behaviour",
    "Counts",
    "Device",
    "Dialer",
    "Faults",
    "Fleet",
    "Line",
    "Offline",
    "Refusal",
    "Setting",
    "Shift",
    "Spread",
    "invite",
    "lean",
    "read_tokens",
]
