"""App: the device listener's ASGI app, dispatched by hand. A refusal is a problem, a fault a line in the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.types import Receive, Scope, Send

from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.hub.errors import Absent, Conflict, Spent, TooMany
from edgewright.hub.fleet import benchmarks, presence, statuses, telemetry, uploads
from edgewright.hub.fleet.roster import Fresh, used
from edgewright.hub.listener.answers import Answer, Call, Gone, Refusal, later
from edgewright.hub.listener.comings import Comings
from edgewright.hub.listener.fetches import Fetches
from edgewright.hub.listener.gate import Gate
from edgewright.hub.listener.polls import Polls
from edgewright.hub.listener.tellings import Tellings
from edgewright.hub.listener.watcher import Watcher
from edgewright.hub.listener.writer import Store, Writer
from edgewright.hub.state import State

_LOG = logging.getLogger("edgewright.hub")
_METHODS = {
    "anchors": "GET", "enrol": "POST", "renew": "POST", "sync": "POST", "reports": "POST", "updates": "GET",
    "bundles": "GET", "deltas": "GET", "files": "GET", "uploads": "PUT",
}  # fmt: skip
"""Calls by the first word behind /device/v1/; all but the first two take a certificate."""


class DeviceApp:
    """Made on the loop's thread; ``start`` before the first request, ``close`` after the last."""

    def __init__(self, state: State) -> None:
        self._state = state
        stores: dict[str, Store] = {
            "status": statuses.store, "seen": presence.store, "serial": used, "report": telemetry.take
        }  # fmt: skip
        self._writer = Writer(state.database, stores)
        self.gate = Gate(state, self._writer)
        self.polls = Polls(state, self.gate, self._writer)
        self._watcher = Watcher(state, self._learn)
        self._comings = Comings(state, self.gate, self._writer)
        self._fetches = Fetches(state, self.gate)
        self._tellings = Tellings(state, self.gate, self._writer)

    def start(self) -> None:
        """Read the roster, begin to watch."""
        self._watcher.start()

    def close(self) -> None:
        """End the threads; what waits to be written is."""
        self._watcher.close()
        self._writer.close()

    def _learn(self, fresh: Sequence[Fresh]) -> None:
        self.gate.learn(fresh)
        self.polls.wake(fresh, self._watcher)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        call = Call(scope, receive, send)
        try:
            try:
                made = await self._dispatch(call)
                if made is not None:
                    await call.answer(made)
            except Gone:
                return
            except Exception as error:  # noqa: BLE001 - the edge: everything becomes an answer
                if call.begun:
                    _LOG.error("an answer to a device failed in its middle", exc_info=error)
                    call.connection.give_up()
                else:
                    await call.refuse(_refusal(error))
        finally:
            scope["headers"].clear()

    async def _dispatch(self, call: Call) -> Answer | None:
        path = call.scope["path"]
        if not path.startswith("/device/v1/") or len(path) > 300 or call.parts[0] not in _METHODS:
            raise Refusal("not-found", "there is no such call; see docs/reference/device-protocol.md")
        if call.method != _METHODS[call.parts[0]]:
            raise Refusal("method-not-allowed", f"{call.parts[0]} is asked for with {_METHODS[call.parts[0]]}")
        if self.polls.stopped:
            raise later("this worker of the hub ends; ask again", close=True)
        watcher = self._watcher
        match call.parts:
            case ["sync"]:
                return await self.polls.sync(call, watcher)
            case ["reports"]:
                return await self._tellings.report(call, watcher)
            case ["anchors"]:
                return self._comings.anchors()
            case ["enrol"]:
                return await self._comings.enrol(call)
            case ["renew"]:
                return await self._comings.renew(call, watcher)
            case ["updates", name]:
                return await self._fetches.updates(call, watcher, name)
            case ["bundles" | "files", digest]:
                return await self._fetches.file(call, watcher, digest)
            case ["deltas", new, old]:
                return await self._fetches.delta(call, watcher, new, old)
            case ["uploads", benchmarks.KIND, number]:
                return await self._tellings.benchmark(call, watcher, number)
            case ["uploads", kind, number] if kind in uploads.KINDS:
                return await self._tellings.upload(call, watcher, kind, number)
        raise Refusal("not-found", "there is no such call; see docs/reference/device-protocol.md")


def _refusal(error: Exception) -> Refusal:
    """What a device is told of an error."""
    match error:
        case Refusal():
            return error
        case TooMany():
            return Refusal("too-many-requests", str(error), error.retry_after_s)
        case Spent():
            return Refusal("limit-reached", str(error))
        case Absent():
            return Refusal("not-found", str(error))
        case Conflict():
            return Refusal("conflict", str(error))
        case InputError():
            return Refusal("unfit", str(error))
        case StorageError():
            return later(str(error), 60.0)
        case DBAPIError() | SQLAlchemyError():
            _LOG.warning("the database does not answer the device listener: %s", error)
            return later("the hub's database does not answer", 60.0)
        case EdgewrightError():
            return Refusal("unfit", str(error))
    _LOG.error("a device's request failed", exc_info=error)
    return Refusal("failed", "the hub could not do this; its log tells more")
