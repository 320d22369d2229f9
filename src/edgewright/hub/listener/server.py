"""Server: the device listener in a thread with a loop of its own, so that people and devices do not wait for one
another.

Connections are taken one in each turn of the loop: of a thousand that come at once most wait in the kernel's queue, and
polls that are parked are answered in between. Handshakes and requests that do not go on are ended.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import logging
import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Self

import uvicorn
from uvicorn.server import ServerState

from edgewright.core.errors import EdgewrightError
from edgewright.hub.fleet.ca import authority, server_identity
from edgewright.hub.listener.app import DeviceApp
from edgewright.hub.listener.protocol import DeviceProtocol
from edgewright.hub.state import State
from edgewright.hub.web.connections import sweep
from edgewright.trust.authority import Peer, server_context

HANDSHAKE_S, KEEP_ALIVE_S = 10.0, 75
_MANY_HANDSHAKES, _MOST_HANDSHAKES = 256, 2048
_SILENT_S, _ROOM_S = 3.0, 0.005
"""From the first number on the next ones are taken with a pause; at the second the oldest, if it is silent for so long,
makes room."""
_BUFFER_BYTES = 16 * 2**10  # of asyncio's TLS, for each connection: 256 kB by default
_SWEEP_S, _CONTEXT_S = 2.0, 60.0
_GRACE_S, _GOODBYE_S = 10.0, 0.5
"""At its end: for requests that are being answered; for clients to close after their last answer."""
_LOG = logging.getLogger("edgewright.hub")


class Listener:
    """Takes devices at ``listening`` (a bound socket, closed at the end) under ``names`` while the block lasts."""

    def __init__(self, state: State, listening: socket.socket, names: Sequence[str]) -> None:
        self._state, self._socket, self._names = state, listening, tuple(names)
        self._ready = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="edgewright-devices", daemon=True)
        self._handshakes: OrderedDict[asyncio.Task[None], float] = OrderedDict()
        self.app: DeviceApp | None = None

    def __enter__(self) -> Self:
        """Raises what hinders it: the database, the CA's folder."""
        self._context = self._make_context()
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def stop(self) -> None:
        """Take no more connections and send the devices away; the block's end waits for it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join()

    def _run(self) -> None:
        # Before any connection is made: what asyncio's TLS holds for each.
        asyncio.sslproto.SSLProtocol.max_size = _BUFFER_BYTES
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - told to whoever started the thread
            if self._ready.is_set():
                _LOG.error("the device listener ended", exc_info=error)
            self._failed = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self.app = app = DeviceApp(self._state)
        settings = uvicorn.Config(
            app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE_S,
        )  # fmt: skip
        settings.load()
        self._connections = ServerState()
        self._protocol = partial(DeviceProtocol, self._authenticate, settings, self._connections, {}, _loop=self._loop)
        try:
            app.start()
            self._socket.setblocking(False)
            loops = [self._loop.create_task(one()) for one in (self._accept, self._sweep, self._renew)]
            self._ready.set()
            await self._end.wait()
            for one in loops:
                one.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            self._socket.close()
            await self._drain()
        finally:
            app.close()

    def _authenticate(self, der: bytes) -> Peer:
        return authority(self._state).authenticate(der)

    def _make_context(self) -> ssl.SSLContext:
        path = server_identity(self._state, self._names, self._state.clock())
        return server_context(path, authority(self._state).anchors)

    async def _accept(self) -> None:
        while True:
            try:
                taken, _ = await self._loop.sock_accept(self._socket)
            except OSError as error:
                _LOG.warning("the device listener takes no connection: %s", error)
                await asyncio.sleep(0.2)
                continue
            with contextlib.suppress(OSError):
                taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._shake(taken))
            self._handshakes[task] = self._loop.time()
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))
            await asyncio.sleep(0)  # a turn of the loop for all others
            await self._room()

    async def _room(self) -> None:
        """Of thousands that come at once most wait in the kernel's queue. Who goes on is through in two round trips:
        whoever was silent for longer makes room for others."""
        if len(self._handshakes) >= _MANY_HANDSHAKES:
            await asyncio.sleep(_ROOM_S)
        while len(self._handshakes) >= _MOST_HANDSHAKES:
            oldest, since = next(iter(self._handshakes.items()))
            if self._loop.time() - since >= _SILENT_S:
                oldest.cancel()
            await asyncio.sleep(_ROOM_S)

    async def _shake(self, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, taken, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=5.0
            )
        except (OSError, asyncio.CancelledError):
            taken.close()  # it broke off, showed a certificate that is not ours, or took too long

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            sweep(self._open(), self._loop.time())
            assert self.app is not None  # noqa: S101
            self.app.polls.present()

    async def _renew(self) -> None:
        """Another certificate when it is time, or another process issued one: for the connections from then on."""
        while True:
            await asyncio.sleep(_CONTEXT_S)
            self.renew()

    def renew(self) -> None:
        """Look whether there is another certificate."""
        try:
            self._context = self._make_context()
        except EdgewrightError as error:
            _LOG.error("the device listener keeps its certificate: %s", error)

    async def _drain(self) -> None:
        """Parked polls are answered, requests finished, connections closed."""
        assert self.app is not None  # noqa: S101
        self.app.polls.stop()
        for task in list(self._handshakes):
            task.cancel()
        for connection in self._open():
            connection.shutdown()
        began = self._loop.time()
        while self._connections.connections and self._loop.time() < began + _GRACE_S:
            await asyncio.sleep(0.05)
            if self._loop.time() > began + _GOODBYE_S:
                for connection in self._open():
                    if connection.done:
                        connection.give_up()
        for connection in self._open():
            connection.give_up()
        await asyncio.sleep(0)

    def _open(self) -> list[DeviceProtocol]:
        return [one for one in self._connections.connections if isinstance(one, DeviceProtocol)]
