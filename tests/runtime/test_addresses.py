"""Whose a client's address is, and how many connections its owner may have."""

import socket
from contextlib import closing

import pytest

from edgewright.runtime.addresses import network
from edgewright.runtime.lanes.connections import Connections
from edgewright.runtime.lanes.heads import Heads
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.talk import Talk, _Full


@pytest.mark.parametrize(
    ("peer", "owner"),
    [
        ("", ""),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::7", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64%eth0"),
    ],
)
def test_in_ipv6_a_host_has_a_network(peer, owner):
    assert network(peer) == owner


@pytest.fixture
def room():
    """Connections for two of each owner, and how somebody comes: true where he is let in."""
    limits, loop, clients = Limits(connections_per_address=2), Loop(), []
    found = Connections(limits)
    talk = Talk(loop, Budget(limits), _Full(), Heads(limits), None, False)

    def comes(peer):
        before = found.admitted
        client, theirs = socket.socketpair()
        clients.append(client)
        found.admit(talk, theirs, peer)
        return found.admitted > before

    with closing(loop):
        yield found, comes
        found.close()
        for client in clients:
            client.close()


def test_another_address_of_the_same_host_is_no_other_client(room):
    connections, comes = room
    assert comes("2001:db8::1") and comes("2001:db8::2")
    assert not comes("2001:db8::3") and connections.turned_away == 1
    assert comes("2001:db8:0:1::1") and comes("192.0.2.1") and comes("::ffff:192.0.2.1")
    assert not comes("192.0.2.1")
    next(iter(connections)).close()
    assert comes("2001:db8::4") and not comes("2001:db8::1")
    connections.close()
    assert not len(connections) and not connections._peers
