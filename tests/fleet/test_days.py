"""Time: devices that were off for long, clocks that are wrong, certificates and keys that change meanwhile."""

import pytest

from edgewright.agent.net.line import IDENTITY
from edgewright.hub.fleet.ca import authority
from edgewright.trust.authority import load_anchors


def test_60_days_off(plant, made):
    """Certificate, timestamp, snapshot and the hub's own certificate are all over when it comes back."""
    for bundle in (made.a, made.b):
        plant.upload(bundle)
    one = plant.agent("press-1")
    plant.completed(made.a)
    serial = one.line.identity.peer.serial
    for _ in range(6):
        plant.clock.go_on(days=10)
        plant.keep()
    plant.north = plant.hub.log_in_again("north")
    one = plant.agent("press-1")
    assert one.line.identity.peer.not_after < plant.clock() and one.slots.current == made.a.digest
    plant.completed(made.b, name="m-2")
    assert one.line.identity.peer.serial != serial


@pytest.mark.parametrize("clock_s", [0.0, 2_208_988_800.0])
def test_a_clock_at_1970_or_ten_years_ahead(plant, made, clock_s):
    """At 1970 updates go on, for signed metadata says what time it is at least; ahead, they wait. It is never served
    less for it, and the hub knows of it."""
    for bundle in (made.a, made.b):
        plant.upload(bundle)
    plant.agent("press-1")
    plant.completed(made.a)
    one = plant.agent("press-1", clock=lambda: clock_s)
    rollout = plant.release(made.b, name="m-2")
    if clock_s:
        plant.go(lambda: "expired" in one.machine._effects.metadata(one.machine.now).reason)
        assert one.machine.now.state == "metadata" and one.slots.current == made.a.digest and not one.machine.now.bad
        one = plant.agent("press-1")
    plant.go(lambda: plant.shown(rollout)["state"] == "completed")
    assert one.machine.now.good == made.b.digest
    off = plant.fleet.row("press-1").offset_s
    assert abs(off) < 100 if clock_s else off < -1e9, "the hub reckons with the difference"


def test_server_and_ca_change_while_devices_are_connected(plant, made):
    for bundle in (made.a, made.b):
        plant.upload(bundle)
    for number in range(2):
        plant.agent(f"press-{number}")
    plant.completed(made.a)
    ours, first = authority(plant.fleet.state), plant.agents["press-0"]
    kept = first.link._hub._connection.sock
    before = kept.getpeercert(True)
    ours.announce_root(plant.clock()).rotate_issuing(plant.clock())
    plant.fleet.listener.renew()
    first.link.poll()
    assert first.link._hub._connection.sock is kept and not first.line.trouble, "the old connection goes on"
    first.link._hub.close()
    first.link.poll()
    assert first.link._hub._connection.sock.getpeercert(True) != before and not first.line.trouble
    plant.completed(made.b, name="m-2")
    for one in plant.agents.values():
        assert len(load_anchors(one.state / IDENTITY)) == 2 and not one.line.trouble
