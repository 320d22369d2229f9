"""Server: a runtime behind sockets. One loop's thread answers; runs that take long happen on executors."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgewright.core.errors import InputError
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.plan import Experiments
from edgewright.runtime.lanes.frames import FrameConnection, Greeting
from edgewright.runtime.lanes.http import Connection, Heads, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import Stream
from edgewright.runtime.loading.loader import Loader, Settings
from edgewright.runtime.oip.routes import Routes
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Scheduler

_SWITCH_S = 0.0005
"""How long a thread may hold the interpreter while another wants it: the reaper must not be late by Python's 5 ms."""

_DRAIN_S = 10.0
"""How long requests that are being answered are waited for at the end."""


@dataclass(frozen=True)
class Address:
    """Where to listen: ``host`` and ``port`` (0: a free one), or ``path`` of a Unix socket."""

    host: str = "127.0.0.1"
    port: int = 8000
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """``host:port``, ``[v6]:port`` or ``:port``. Raises InputError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
            raise InputError(f"{text!r} is no address; write it as 127.0.0.1:8000")
        return cls(host.strip("[]") or "127.0.0.1", int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path is not None else f"http://{host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.path is not None or self.host in ("127.0.0.1", "::1", "localhost")


class Lane(Protocol):
    """A way in with threads of its own. It listens since it was made."""

    @property
    def busy(self) -> bool:
        """Whether answers are owed, once ``drain`` was called."""
        ...

    def start(self) -> None:
        """Take requests."""
        ...

    def sweep(self) -> None:
        """Hang up on clients that keep others waiting; called every second."""
        ...

    def drain(self, grace_s: float) -> None:
        """Take no more, end what is not answered after so many seconds; returns at once."""
        ...

    def close(self) -> None:
        """End everything."""
        ...


class Server:
    """Listens as soon as it is made; ``run`` serves until ``stop``. ``addresses`` holds where it really listens.

    ``beside``: makers of further lanes; ``lanes`` holds these. ``experiments``: splits, shadows and the cache.
    ``strict``: ready only while all models are.
    """

    def __init__(
        self, settings: Settings, addresses: list[Address], limits: Limits | None = None,
        beside: Sequence[Callable[[Repository, Desk, Loader], Lane]] = (),
        experiments: Experiments | None = None, strict: bool = False,
    ) -> None:  # fmt: skip
        self._limits = limits or Limits()
        chosen = experiments or Experiments()
        self._loop, self.repository = Loop(), Repository()
        self._desk = chosen.desk(self.repository, Scheduler())
        self.loader = Loader(self.repository, self._desk, settings)
        drawing, local = chosen.drawing(self.repository), all(address.local for address in addresses)
        self._routes = Routes(
            self.repository, self._desk, self._loop.call, drawing, self.loader, strict, local
        )  # fmt: skip
        self._heads = Heads(self._limits)
        self._connections: set[Stream] = set()
        self._forget = self._connections.discard
        self._draining = 0.0
        self._listeners: list[socket.socket] = []
        self.lanes: list[Lane] = []
        try:
            for address in addresses:
                self._listeners.append(_listen(address))
            for make in beside:
                self.lanes.append(make(self.repository, self._desk, self.loader))
            self.loader.start()
        except BaseException:
            for lane in self.lanes:
                lane.close()
            for sock in self._listeners:
                sock.close()
            self._desk.close()
            self.loader.close()
            self._loop.close()
            raise
        self.addresses = [_bound(sock, address) for sock, address in zip(self._listeners, addresses, strict=True)]

    def run(self) -> None:
        """Serve until ``stop`` is called; then answer what is going on and close everything."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        try:
            for sock in self._listeners:
                self._loop.watch(sock, _Door(sock, self._admit))
            for lane in self.lanes:
                lane.start()
            self._loop.later(1.0, self._sweep)
            self._loop.run()
        finally:
            sys.setswitchinterval(before)
            self.close()

    def stop(self) -> None:
        """Let nobody in any more, answer what was asked, end ``run``; from any thread or a signal handler."""
        self._loop.call(self._drain)

    def _drain(self) -> None:
        if not self._draining:
            self._draining = time.monotonic() + _DRAIN_S
            for sock in self._listeners:
                self._loop.forget(sock)
            for lane in self.lanes:
                lane.drain(_DRAIN_S)
        busy = any(c.busy for c in self._connections) or any(lane.busy for lane in self.lanes)
        if busy and time.monotonic() < self._draining:
            self._loop.later(0.005, self._drain)
        else:
            self._loop.stop()

    def close(self) -> None:
        """Give everything back."""
        for sock, address in zip(self._listeners, self.addresses, strict=True):
            sock.close()
            if address.path is not None:
                address.path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()
        for lane in self.lanes:
            lane.close()
        self._desk.close()
        self.loader.close()
        self._routes.close()
        self._loop.close()

    def _admit(self, sock: socket.socket) -> None:
        if len(self._connections) >= self._limits.connections:
            sock.close()
            return
        if sock.family == socket.AF_UNIX:
            self._connections.add(Greeting(sock, self._loop, (self._speak_http, self._speak_frames), self._forget))
        else:
            self._speak_http(sock)

    def _speak_http(self, sock: socket.socket) -> Stream:
        connection = Connection(sock, self._loop, self._routes, self._heads, self._limits, self._forget)
        self._connections.add(connection)
        return connection

    def _speak_frames(self, sock: socket.socket) -> Stream:
        connection = FrameConnection(sock, self._loop, self._routes.inference.frame, self._limits, self._forget)
        self._connections.add(connection)
        return connection

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            if connection.stale(now):
                connection.close()
        for lane in self.lanes:
            lane.sweep()
        self._loop.later(1.0, self._sweep)


class _Door:
    """A listening socket on the loop."""

    def __init__(self, sock: socket.socket, admit: Callable[[socket.socket], None]) -> None:
        self._sock, self._admit = sock, admit

    def ready(self, events: int) -> None:
        """Let everybody in who is at the door."""
        with contextlib.suppress(BlockingIOError, InterruptedError, ConnectionAbortedError):
            while True:
                sock, _ = self._sock.accept()
                if sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._admit(sock)


def _listen(address: Address) -> socket.socket:
    if address.path is not None:
        return _listen_at(address.path)
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
    except OSError as error:
        sock.close()
        raise InputError(f"cannot listen on {address.host}:{address.port}: {error.strerror}") from error
    sock.listen(1024)
    sock.setblocking(False)
    return sock


def _listen_at(path: Path) -> socket.socket:
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink()  # left behind by a server that was killed
            else:
                raise InputError(f"another server listens at {path}; stop it or choose another path")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise InputError(f"cannot listen at {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    sock.listen(1024)
    sock.setblocking(False)
    return sock


def _bound(sock: socket.socket, address: Address) -> Address:
    return address if address.path is not None else Address(*sock.getsockname()[:2])


def serving(server: Server) -> threading.Thread:
    """``server`` running in a thread of its own, for tests and for programs that do other things."""
    thread = threading.Thread(target=server.run, name="edgewright-server", daemon=True)
    thread.start()
    return thread
