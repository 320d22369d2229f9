"""Server: a runtime behind sockets. One loop's thread answers; runs that take long happen on executors."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from edgewright.core.errors import InputError
from edgewright.runtime import logs
from edgewright.runtime.access import Access, Tokens, loopback
from edgewright.runtime.accesslog import logged_frames, logged_http
from edgewright.runtime.diagnosis.whys import Whys
from edgewright.runtime.experiments.plan import Experiments
from edgewright.runtime.experiments.series import series
from edgewright.runtime.faults import Infeasible, NotReady, Overloaded
from edgewright.runtime.front import Front
from edgewright.runtime.lanes.door import Door
from edgewright.runtime.lanes.frames import FrameConnection, Greeting
from edgewright.runtime.lanes.frames import Handler as Frames
from edgewright.runtime.lanes.http import Connection, Handler, Head, Heads
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import Stream
from edgewright.runtime.lanes.tls import Certificate, TlsConnection
from edgewright.runtime.loading.loader import Loader
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.logs import Rejections
from edgewright.runtime.metrics import Family, Metrics
from edgewright.runtime.repository import Repository
from edgewright.runtime.safedesk import safe_desk
from edgewright.runtime.scheduling.scheduler import Scheduler, spare_cores

_SWITCH_S = 0.0005
"""How long a thread may hold the interpreter while another wants it: the reaper must not be late by Python's 5 ms."""

_REFUSED_S, _REFUSED = 60.0, (Overloaded.kind, Infeasible.kind, NotReady.kind)
"""How often refusals are told in the log at most, in s, and which."""

_DRAIN_S = 10.0
"""How long requests that are being answered are waited for at the end."""


@dataclass(frozen=True)
class Address:
    """Where to listen: ``host`` and ``port`` (0: a free one), with or without TLS, or ``path`` of a Unix socket."""

    host: str = "127.0.0.1"
    port: int = 8000
    path: Path | None = None
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Address:
        """``host:port``, ``[v6]:port`` or ``:port``. Raises InputError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
            raise InputError(f"{text!r} is no address; write it as 127.0.0.1:8000")
        return cls(host.strip("[]") or "127.0.0.1", int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path is not None else f"http{'s' * self.tls}://{host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.path is not None or loopback(self.host)


@dataclass(frozen=True)
class Safety:
    """``certificate``: for addresses with TLS. ``tokens``: asked for at every TCP address. ``hosts``, ``origins``: see
    ``Access``. ``access_log``: a line per request."""

    certificate: Certificate | None = None
    tokens: Tokens | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    access_log: bool = False


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
        safety: Safety | None = None, beside: Sequence[Callable[[Server], Lane]] = (),
        experiments: Experiments | None = None, strict: bool = False,
    ) -> None:  # fmt: skip
        self._limits = limits or settings.config.limits
        self._safety = safety or Safety()
        chosen = experiments or Experiments.of(settings.config)
        self._loop, self.repository, self._scheduler = Loop(), Repository(), Scheduler(spare_cores())
        self.desk = safe_desk(chosen.desk(self.repository, self._scheduler), settings.config)
        self.loader = Loader(self.repository, self.desk, settings)
        metrics, strict = Metrics(self.repository, self._told), strict or settings.config.server.strict_readiness
        self.splits, local = chosen.drawing(self.repository), all(address.local for address in addresses)
        self._whys = Whys(self.repository, self.desk, self._rejected)
        self._routes = Front(
            self.repository, self.desk, self._loop, self.splits, self.loader, strict, local,
            metrics=metrics, whys=self._whys,
        )  # fmt: skip
        self.regions = self._routes.regions
        """The shared memory that clients registered; None where they may not."""
        self._budget, self._rejections = Budget(self._limits.buffered_bytes), Rejections()
        self._refusals = Rejections(_REFUSED_S, "refused", "requests were refused")
        self._connections: dict[Stream, str] = {}
        self._peers: Counter[str] = Counter()
        self._admitted = self._turned_away = 0
        self._draining = 0.0
        self._listeners: list[socket.socket] = []
        self._doors: list[Door] = []
        self.lanes: list[Lane] = []
        try:
            for address in addresses:
                self._listeners.append(_listen(address))
            for make in beside:
                self.lanes.append(make(self))
            self.loader.start()
        except BaseException:
            for lane in self.lanes:
                lane.close()
            for sock, address in zip(self._listeners, addresses, strict=False):
                sock.close()
                if address.path is not None:
                    address.path.unlink(missing_ok=True)
            self.desk.close()
            self.loader.close()
            self._loop.close()
            raise
        self.addresses = [_bound(sock, address) for sock, address in zip(self._listeners, addresses, strict=True)]
        self._heads = [Heads(self._limits, self._check(address)) for address in self.addresses]

    def _check(self, address: Address) -> Callable[[Head], None] | None:
        if address.path is not None:
            return None  # who may use it is the file's mode
        safety = self._safety
        here = address.host if address.local and safety.tokens is None else ""
        return Access(safety.tokens, here, safety.hosts, safety.origins).check

    def run(self) -> None:
        """Serve until ``stop`` is called; then answer what is going on and close everything."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        # What the imports made is never garbage. Looking through it takes 35 ms, with everybody waiting.
        gc.collect()
        gc.freeze()
        try:
            for sock, address, heads in zip(self._listeners, self.addresses, self._heads, strict=True):
                self._doors.append(Door(sock, partial(self._admit, address, heads)))
                self._loop.watch(sock, self._doors[-1])
            for lane in self.lanes:
                lane.start()
            self._loop.later(1.0, self._sweep)
            self._loop.run()
        finally:
            sys.setswitchinterval(before)
            gc.unfreeze()
            self.close()

    def refresh(self) -> None:
        """Look at the certificate, the tokens and the models' files again; from any thread or a signal handler."""
        self.loader.rescan()
        self._loop.call(partial(self._refresh, True))

    def _refresh(self, certificate: bool = False) -> None:
        safety = self._safety
        try:
            if safety.tokens is not None and safety.tokens.refresh():
                for heads in self._heads:
                    heads.forget()
                logs.info("tokens", "read anew")
            if certificate and safety.certificate is not None:
                safety.certificate.reload()
                logs.info("tls", "the certificate was read anew")
        except InputError as error:
            logs.warning("refresh", f"{error}; what was there before still holds")

    def stop(self) -> None:
        """Let nobody in any more, answer what was asked, end ``run``; from any thread or a signal handler."""
        self._loop.call(self._drain)

    def _drain(self) -> None:
        now = time.monotonic()
        if not self._draining:
            self._draining = now
            for sock, door in zip(self._listeners, self._doors, strict=True):
                door.ready(0)  # who knocked already is let in: closing the door would reset them
                self._loop.forget(sock)
                sock.close()
            for lane in self.lanes:
                lane.drain(_DRAIN_S)
        for connection in list(self._connections):
            connection.drain(self._draining, now)
        busy = bool(self._connections) or any(lane.busy for lane in self.lanes)
        if busy and now < self._draining + _DRAIN_S:
            self._loop.later(0.005, self._drain)
        else:
            self._loop.stop()

    def close(self) -> None:
        """Give everything back."""
        for sock, address in zip(self._listeners, self.addresses, strict=True):
            sock.close()
            if address.path is not None:
                address.path.unlink(missing_ok=True)
        for door in self._doors:
            door.close()
        for connection in list(self._connections):
            connection.close()
        for lane in self.lanes:
            lane.close()
        self.loader.end_all()  # who was still waited for was given the time of a drain
        self.desk.close()
        self.loader.close()
        self._routes.close()
        self._loop.close()

    def _admit(self, address: Address, heads: Heads, sock: socket.socket, peer: str) -> None:
        limits = self._limits
        if len(self._connections) >= limits.connections or self._peers[peer] >= limits.connections_per_address:
            self._turned_away += 1
            sock.close()
            return
        self._admitted += 1
        if peer:
            self._peers[peer] += 1
        if address.path is None:
            self._speak_http(address, heads, peer, sock)
            return
        lanes = (partial(self._speak_http, address, heads, peer), self._speak_frames)
        greeting = Greeting(sock, self._loop, lanes, limits, self._budget, self._forget)
        self._connections[greeting] = peer

    def _speak_http(self, address: Address, heads: Heads, peer: str, sock: socket.socket) -> Stream:
        handler: Handler = logged_http(self._routes, peer) if self._safety.access_log else self._routes
        rest = (self._loop, handler, heads, self._limits, self._budget, self._forget)
        certificate = self._safety.certificate
        if address.tls and certificate is not None:
            connection: Stream = TlsConnection(sock, certificate, *rest)
        else:
            connection = Connection(sock, *rest)
        self._connections[connection] = peer
        return connection

    def _speak_frames(self, sock: socket.socket) -> Stream:
        frame: Frames = self._routes.inference.frame
        frame = logged_frames(frame) if self._safety.access_log else frame
        connection = FrameConnection(sock, self._loop, frame, self._limits, self._budget, self._forget)
        self._connections[connection] = ""
        return connection

    def _forget(self, connection: Stream) -> None:
        peer = self._connections.pop(connection, "")
        if peer:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            if connection.stale(now):
                connection.close()
        for lane in self.lanes:
            lane.sweep()
        self._refresh()
        self._whys.look()
        self._rejections.tell(now, self._rejected())
        self._refusals.tell(now, self._refused())
        self._loop.later(1.0, self._sweep)

    def _rejected(self) -> Counter[str]:
        told = Counter({str(status): count for status, count in self._budget.refused.items()})
        if self._turned_away:
            told["connections"] = self._turned_away
        return told

    def _refused(self) -> Counter[str]:
        """Requests that a model's owner should know of, by model and kind, since the model was loaded."""
        told: Counter[str] = Counter()
        for served in self.repository.ready():
            for kind in _REFUSED:
                if count := served.stats.faults[kind]:
                    told[f"{served.source.name} {kind}"] += count
        for name, count in self.repository.totals.asleep.copy().items():
            told[f"{name} {NotReady.kind}"] += count
        return told

    def _told(self) -> Iterator[Family]:
        yield from series(self.repository, self.splits, self.desk.shadows)
        yield "line_length", "gauge", "Requests that wait.", [("", {}, self._scheduler.waiting)]
        cache = self.desk.report().get("cache")
        if cache is not None:
            yield "cache_bytes", "gauge", "Bytes of answers in the cache.", [("", {}, cache["bytes"])]
        yield "connections", "gauge", "Clients that are connected.", [("", {}, len(self._connections))]
        yield "accepted_total", "counter", "Clients that were let in.", [("", {}, self._admitted)]
        yield "buffered_bytes", "gauge", "Unfinished requests and unread replies.", [("", {}, self._budget.held_bytes)]
        strays = [("", {"outcome": kind}, count) for kind, count in sorted(self.desk.strays.copy().items())]
        yield "stray_requests_total", "counter", "Requests that reached no model, by what they were told.", strays
        rejected = sorted(self._rejected().items())
        told = "Clients turned away before their request was looked at, by status or reason."
        yield "rejected_total", "counter", told, [("", {"reason": reason}, count) for reason, count in rejected]


def _listen(address: Address) -> socket.socket:
    if address.path is not None:
        return _listen_at(address.path)
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
    except (OSError, UnicodeError) as error:
        sock.close()
        why = getattr(error, "strerror", None) or "that is no host's name"
        raise InputError(f"cannot listen on {address.host}:{address.port}: {why}") from error
    sock.listen(1024)
    sock.setblocking(False)
    return sock


def _listen_at(path: Path) -> socket.socket:
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # one whose queue is full lives, too
            if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink(missing_ok=True)  # left behind by a server that was killed
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
    return (
        address
        if address.path is not None
        else replace(address, host=sock.getsockname()[0], port=sock.getsockname()[1])
    )


def serving(server: Server) -> threading.Thread:
    """``server`` running in a thread of its own, for tests and for programs that do other things."""
    thread = threading.Thread(target=server.run, name="edgewright-server", daemon=True)
    thread.start()
    return thread
