"""A connection to a server that does not do what it should."""

import socket
import threading

import pytest

from edgewright.runtime.remote import Remote, ServerError

_READY = b'[{"name": "m", "state": "READY"}]'


def test_after_a_server_that_was_too_slow_the_next_request_begins_anew():
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve():
            slow, _ = door.accept()
            with slow:
                quick, _ = door.accept()
                with quick:
                    assert quick.recv(65536)
                    quick.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_READY), _READY))

        server = threading.Thread(target=serve)
        server.start()
        with Remote(f"http://127.0.0.1:{door.getsockname()[1]}", timeout_s=0.2) as remote:
            with pytest.raises(ServerError, match=r"did not answer within 0.2 s"):
                remote.models()
            remote._connection.timeout = 60.0
            assert remote.models() == ["m"]
        server.join()
