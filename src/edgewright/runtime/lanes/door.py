"""Door: a listening socket on the loop."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable

_OUT_OF_HANDLES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Door:
    """Lets everybody in who is there: ``admit`` is given a client's socket and its address ("" at a Unix socket)."""

    def __init__(self, sock: socket.socket, admit: Callable[[socket.socket, str], None]) -> None:
        self._sock, self._admit = sock, admit
        # Kept so that, when no file handle is left, a client can still be let in and sent away: one that stays in the
        # queue would wake the loop for ever.
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def ready(self, events: int) -> None:
        """Let everybody in."""
        while True:
            try:
                sock, address = self._sock.accept()
            except OSError as error:  # nobody is left there; or one who went away again, which is nobody's fault
                if error.errno in _OUT_OF_HANDLES:
                    self._send_away()
                return
            try:
                if sock.family == socket.AF_UNIX:
                    self._admit(sock, "")
                else:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._admit(sock, address[0])
            except OSError:  # gone already
                sock.close()

    def _send_away(self) -> None:
        self.close()  # and forgotten: should another thread be quicker to take it, it is not ours to close again
        with contextlib.suppress(OSError):
            self._sock.accept()[0].close()
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Give the spare handle back; the socket is its owner's."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
