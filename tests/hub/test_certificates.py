"""TLS for people: what a client sees of it."""

import socket
import ssl
import threading
from datetime import timedelta

import pytest

from edgewright.core.errors import InputError
from edgewright.hub.certificates import ANCHORS, Certificates
from edgewright.hub.state import open_state


@pytest.fixture
def state(tmp_path):
    with open_state(tmp_path / "data") as made:
        yield made


def seen(made, anchors, name="localhost"):
    """The end of the certificate that a client is shown which trusts ``anchors`` alone."""
    client = ssl.create_default_context(cadata=anchors)
    ours, theirs = socket.socketpair()

    def serve():
        with made.context.wrap_socket(theirs, server_side=True) as stream:
            stream.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as stream:
            return stream.getpeercert()["notAfter"]
    finally:
        thread.join()


def test_the_hubs_own_ca_stands_for_it(state):
    made = Certificates(state, ["hub.plant", "localhost"])
    anchors = (state.folder / ANCHORS).read_text()
    assert seen(made, anchors) == seen(made, anchors, "hub.plant")


def test_a_newer_certificate_is_taken_up(state):
    made = Certificates(state, ["localhost"])
    anchors = (state.folder / ANCHORS).read_text()
    before = seen(made, anchors)
    made.renew()
    assert seen(made, anchors) == before
    later = state.clock() + timedelta(days=70)
    object.__setattr__(state, "clock", lambda: later)
    made.renew()
    assert seen(made, anchors) != before


def test_files_of_ones_own(state, tmp_path):
    Certificates(state, ["localhost"])
    pem = state.folder / "authority" / "people.pem"
    assert seen(Certificates(state, (), (pem, pem)), (state.folder / ANCHORS).read_text())
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for path in (broken, tmp_path / "absent.pem"):
        with pytest.raises(InputError, match="cannot be used for TLS"):
            Certificates(state, (), (path, path))
