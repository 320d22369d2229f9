"""Serving: the hub as a program. The people's listener, the devices', and what has to be done from time to time beside
them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Self

import uvicorn
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.notify import notify
from edgewright.hub import artifacts, events, library, models
from edgewright.hub.accounts.heads import export_heads
from edgewright.hub.accounts.tables import Attempt, Login
from edgewright.hub.alerts.rounds import rounds
from edgewright.hub.alerts.sending import Sender
from edgewright.hub.app import make_app
from edgewright.hub.certificates import Certificates
from edgewright.hub.database import EVERY
from edgewright.hub.fleet import folding
from edgewright.hub.fleet.ca import renew_ca
from edgewright.hub.fleet.desired import leap
from edgewright.hub.fleet.place import place
from edgewright.hub.jobs.results import named as named_by_jobs
from edgewright.hub.jobs.stages import advance_all
from edgewright.hub.listener import Listener, raise_limit
from edgewright.hub.objects import sweep as sweep_objects
from edgewright.hub.rollouts.reconcile import Reconciler
from edgewright.hub.state import State
from edgewright.hub.web.connections import Connection, Socket, sweep
from edgewright.hub.web.door import Door
from edgewright.hub.web.idempotency import forget

_ROUND_S = 60.0
_SWEEP_TICKS = 10  # of uvicorn's, which are 0.1 s
_HEADS_EVERY = timedelta(minutes=10)
_LOG = logging.getLogger("edgewright.hub")


@dataclass(frozen=True)
class Address:
    """``host`` is an IP address or a name, ``port`` 0 a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``HOST:PORT``, an IPv6 address in brackets. Raises InputError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise InputError(f"{text[:80]!r} is no address; write HOST:PORT, as 127.0.0.1:8443")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def any(self) -> bool:
        """Whether it is every address of this machine."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def bind(address: Address) -> socket.socket:
    """A listening socket there. Raises InputError."""
    made = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(2048)
    except OSError as error:
        if made is not None:
            made.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"another program listens at {address.host}:{address.port}, maybe another hub; end it, or name another "
                "port with --listen or --device-listen"
            ) from error
        raise InputError(f"cannot listen at {address.host}:{address.port}: {error.strerror or error}") from error
    return made


@dataclass(frozen=True)
class Devices:
    """Where devices connect: ``listening`` is a bound socket, ``names`` are what they may call the hub."""

    listening: socket.socket
    names: tuple[str, ...]

    @classmethod
    def at(cls, address: Address, names: Sequence[str], listening: socket.socket) -> Self:
        """With the names that go without saying: the address itself, or this machine's name where it is any; and those
        of this machine for itself."""
        own = socket.gethostname() if address.any else address.host
        plain = own.replace("-", "").replace(".", "").replace(":", "").isalnum() and own.isascii()
        found = dict.fromkeys([*names, *([own] if plain else []), "localhost", "127.0.0.1"])
        return cls(listening, tuple(found))

    @property
    def url(self) -> str:
        """The first name is what devices are told."""
        return _url("https", self.names[0], self.listening)


def serve(
    state: State,
    listening: socket.socket,
    certificates: Certificates | None,
    ready: Callable[[str], None] = lambda _: None,
    devices: Devices | None = None,
) -> None:
    """Serve at a bound socket until SIGINT or SIGTERM; requests that are being answered are answered, devices that wait
    are sent to another worker. ``certificates``: for TLS, which any address but the loopback needs. ``ready`` is told
    the URL when connections are taken. Raises InputError."""
    host = listening.getsockname()[0]
    if certificates is None and not Address(host, 0).loopback:
        raise InputError(f"{host} can be reached from other machines, and there is no TLS; listen at 127.0.0.1")
    url = _url("http" if certificates is None else "https", host, listening)
    settings = uvicorn.Config(
        make_app(state), log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off",
        timeout_graceful_shutdown=10, callback_notify=_alive, timeout_notify=20, http=Connection,
        ws=Socket, ws_max_size=4096, ws_per_message_deflate=False,
        ssl_context_factory=None if certificates is None else lambda *_: certificates.context,
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.enter_context(listening)
        stopped = stack.enter_context(_quiet_signals())
        stack.enter_context(Keeping(state, certificates))
        stack.enter_context(Sender(state))
        stack.enter_context(Reconciler(state))
        stops: list[Callable[[], None]] = [lambda: events.close(state)]
        if devices is not None:
            if warning := raise_limit():
                _LOG.warning(warning)
            place(state).url = devices.url
            with state.database.write(EVERY) as session:
                leap(session, state.clock())
            stops.append(stack.enter_context(Listener(state, devices.listening, devices.names)).stop)
        _settle()
        _Server(settings, lambda: ready(url), lambda: [stop() for stop in stops], stopped).run(sockets=[listening])


def _settle() -> None:
    """What a hub consists of stays until it ends: looking through all of it for garbage again and again took a fifth of
    the time of short requests."""
    if threading.current_thread() is threading.main_thread():
        gc.collect()
        gc.freeze()


def _url(scheme: str, host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{listening.getsockname()[1]}"


async def _alive() -> None:
    """On the loop that answers people."""
    notify("WATCHDOG=1")


class _Server(uvicorn.Server):
    def __init__(
        self, settings: uvicorn.Config, ready: Callable[[], None], stop: Callable[[], object], early: threading.Event
    ) -> None:
        super().__init__(settings)
        self._ready, self._stop, self._early = ready, stop, early

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        make = partial(Connection, self.config, self.server_state, {}, _loop=asyncio.get_running_loop())
        doors = [Door(one, make, self.config.ssl) for one in sockets or ()]
        self.servers, self._doors = [], [asyncio.create_task(door.run()) for door in doors]
        self.started = True
        self._ready()
        notify("READY=1")

    async def on_tick(self, counter: int) -> bool:
        if counter % _SWEEP_TICKS == 0:
            sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter) or self._early.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop()
        for door in self._doors:
            door.cancel()
        await asyncio.gather(*self._doors, return_exceptions=True)
        await super().shutdown(sockets)


@contextlib.contextmanager
def _quiet_signals() -> Iterator[threading.Event]:
    """Set by a signal to stop that comes before uvicorn listens to them. It raises those that it was stopped by once
    more when it is done; they have had their effect."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {one: signal.signal(one, lambda *_: stopped.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class Keeping:
    """A thread that does ``keep`` every minute while the block lasts, at once where something stirs it
    (``State.stir``), and once more at its end."""

    def __init__(self, state: State, certificates: Certificates | None = None) -> None:
        self._state, self._certificates, self._over = state, certificates, threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgewright-keeping", daemon=True)
        self._heads = state.clock() - _HEADS_EVERY

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._state.stir.set()
        self._thread.join()
        self._round(last=True)

    def _run(self) -> None:
        while not self._over.is_set():
            self._round()
            self._state.stir.wait(_ROUND_S)
            self._state.stir.clear()

    def _round(self, last: bool = False) -> None:
        now = self._state.clock()
        due = last or now - self._heads >= _HEADS_EVERY
        well = keep(self._state, due)
        if not last:
            well &= _done("looking for alerts", lambda: rounds(self._state, now))
        if self._certificates is not None:
            well &= _done("renewing the certificate", self._certificates.renew)
        if due and well:
            self._heads = now


def keep(state: State, heads: bool = True) -> bool:
    """Remove what is over; renew update metadata; every ten minutes (``heads``) sign and export the heads of the audit
    logs, and sweep the store of objects. Each apart: one that fails keeps no other from being done. Whether all were.
    """
    now = state.clock()
    folder = state.folder / "audit"
    sometimes: dict[str, Callable[[], object]] = {
        "signing the audit logs": lambda: export_heads(state.database, folder, state.key, now),
        "sweeping the store": lambda: sweep_objects(
            state, now, (library.named, models.named, named_by_jobs, artifacts.named)
        ),
        "making deltas": lambda: library.resume(state),
    }
    always: dict[str, Callable[[], object]] = {
        "renewing the CA": lambda: renew_ca(state),
        "merging telemetry": lambda: folding.merge(state),
        "folding telemetry": lambda: folding.fold(state, now),
        "removing what is over": lambda: _forget(state, now),
        "renewing update metadata": lambda: library.renew(state, now),
        "checking uploads": lambda: models.resume(state, now),
        "reading older bundles": lambda: library.name_sources(state),
        "advancing models": lambda: advance_all(state),
    }
    jobs = always | (sometimes if heads else {})
    went = [_done(what, job) for what, job in jobs.items()]  # all of them, also after one that failed
    return all(went)


def _done(what: str, job: Callable[[], object]) -> bool:
    """Do it; False when it failed, with a line in the log. The thread lives on, whatever it was."""
    try:
        job()
    except (EdgewrightError, SQLAlchemyError, OSError) as error:
        _LOG.warning("%s failed, and is tried again: %s", what, error)
        return False
    except Exception as error:  # noqa: BLE001 - a fault of ours: the log has all of it
        _LOG.error("%s failed, and is tried again", what, exc_info=error)
        return False
    return True


def _forget(state: State, now: datetime) -> None:
    with state.database.write(EVERY) as session:
        forget(session, now)
        events.forget(session, now)
        artifacts.forget(session, now)
        session.execute(delete(Login).where(Login.until < now))
        session.execute(delete(Attempt).where(Attempt.until < now))
