"""Door: a listening socket on the loop."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.runtime.addresses import Address
from edgewright.runtime.lanes.loop import Loop

_OUT_OF_HANDLES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_QUEUE, _TURN = 1024, 64
"""How many may knock at a time, and how many are let in before others have their turn."""


class Occupied(InputError):  # noqa: N818 - reads as what it says
    """Somebody listens there already."""


class Door:
    """Listens at ``address`` from now on; its own ``address`` says where really. Raises InputError."""

    def __init__(self, address: Address) -> None:
        if address.path is not None:
            self._sock, self.address = _bound_at(address.path), address
        else:
            self._sock = _bound(address)
            host, port = self._sock.getsockname()[:2]
            self.address = replace(address, host=host, port=port)
        self._path = address.path
        self._sock.listen(_QUEUE)
        self._sock.setblocking(False)
        # Kept so that, when no file handle is left, a client can still be let in and sent away: one that stays in the
        # queue would wake the loop for ever.
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def open(self, loop: Loop, admit: Callable[[socket.socket, str], None]) -> None:
        """Let everybody in who comes: ``admit`` is given a client's socket and its address ("" at a Unix socket)."""
        self._admit = admit
        loop.watch(self._sock, self)

    def shut(self, loop: Loop) -> None:
        """Let nobody in any more but who knocked already: they would be reset."""
        self.ready(0)
        loop.forget(self._sock)
        self._sock.close()

    def ready(self, events: int) -> None:
        """Called by the loop."""
        for _ in range(_TURN if events else _QUEUE):
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
        self._let_go()  # and forgotten: should another thread be quicker to take it, it is not ours to close again
        with contextlib.suppress(OSError):
            self._sock.accept()[0].close()
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _let_go(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def close(self) -> None:
        """Give everything back. May be called twice: the second time the path may be another server's."""
        self._sock.close()
        self._let_go()
        path, self._path = self._path, None
        if path is not None:
            path.unlink(missing_ok=True)


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
    except (OSError, UnicodeError) as error:
        sock.close()
        why = getattr(error, "strerror", None) or "that is no host's name"
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        raise (Occupied if taken else InputError)(f"cannot listen on {address.place}: {why}") from error
    return sock


def _bound_at(path: Path) -> socket.socket:
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # one whose queue is full lives, too
            if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink(missing_ok=True)  # left behind by a server that was killed
            else:
                raise Occupied(f"another server listens at {path}; stop it or choose another path")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise InputError(f"cannot listen at {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    return sock
