"""A receiver, and a device that is ill or not."""

import contextlib
from pathlib import Path

import pytest

from edgewright.hub.alerts import rounds as module
from edgewright.hub.alerts.rounds import rounds
from edgewright.hub.alerts.sending import Sender
from edgewright.hub.fleet.tables import Device
from edgewright.testing.beside import beside

RECEIVERS = beside(Path(__file__).with_name("receivers.py"), "alerts_receivers")
Receiver, STATUS = RECEIVERS.Receiver, RECEIVERS.STATUS


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture
def minute(hub, clock, monkeypatch):
    """One device of the tenant north, ill or not, and a round a minute later."""
    monkeypatch.setattr(module, "free_share", lambda state: 1.0)
    with hub.state.database.write(hub.tenants["north"]) as session:
        session.add(
            Device(name="pump-1", group="line-3", labels={}, facts={}, revision=0, config={}, collect={}, status=STATUS,
                   made=clock(), seen=clock(), changed=clock())
        )  # fmt: skip

    sender = Sender(hub.state)

    def run(ill=True, minutes=1):
        for _ in range(minutes):
            clock.go_on(minutes=1)
            with hub.state.database.write(hub.tenants["north"]) as session:
                row = session.find(Device, "pump-1")
                row.seen, row.status = clock(), STATUS | {"free_bytes": 0 if ill else 1 << 33}
            rounds(hub.state, clock())
            sender.round()

    with contextlib.closing(sender):
        yield run
