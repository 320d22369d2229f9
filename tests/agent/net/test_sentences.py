"""What somebody reads whose hub is not reached: one line that says what to look at."""

import socket
import ssl
import threading

import pytest

from edgewright.agent.net import Offline, enrol
from edgewright.agent.net.hub import _said
from edgewright.core.errors import InputError, TrustError
from edgewright.trust.authority import load_identity

NAME = "press-1"


def refused(url, token, state, kind=Offline):
    with pytest.raises(kind) as caught:
        enrol(state, url, token, NAME)
    assert load_identity(state / "identity") is None
    return str(caught.value)


def test_the_address_is_not_the_hubs(hub, tmp_path):
    token = hub.token()
    assert "other names" in refused(hub.url.replace("127.0.0.1", "localhost"), token, tmp_path / "a")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "nobody listens" in refused(f"https://127.0.0.1:{free.getsockname()[1]}", token, tmp_path / "a")
    hub.faults.append(lambda exchange: exchange.refuse(404, "nothing here") or True)
    assert "devices at" in refused(hub.url, token, tmp_path / "a", InputError)
    hub.faults.clear()
    enrol(tmp_path / "a", hub.url, token, NAME)


def test_what_listens_speaks_no_tls(hub, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer():
            one, _ = plain.accept()
            with one:
                one.recv(100)
                one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"https://127.0.0.1:{plain.getsockname()[1]}"
        assert "does not speak TLS" in refused(url, hub.token(), tmp_path / "a")
        thread.join(60)


def test_another_hubs_token(hub, tmp_path):
    from edgewright.testing.hubs import TestHub

    with TestHub(tmp_path / "other") as other:
        assert "another hub" in refused(other.url, hub.token(), tmp_path / "a", TrustError)


@pytest.mark.parametrize(
    ("code", "said"), [(9, "set the clock"), (10, "set the clock"), (62, "--device-name"), (19, "the same hub")]
)
def test_certificates_that_do_not_hold(code, said):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    assert said in _said(error)


@pytest.mark.parametrize(
    ("error", "said"),
    [(socket.gaierror(-2, "x"), "DNS"), (TimeoutError(), "firewalls"), (OSError(101, "x"), "network"),
     (OSError(5, "it broke"), "it broke"), (ValueError(), "ValueError")],
)  # fmt: skip
def test_networks_that_lead_nowhere(error, said):
    assert said in _said(error)
