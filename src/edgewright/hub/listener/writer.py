"""Writer: what many devices told at about the same time, in one transaction."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import OperationalError

from edgewright.core.errors import StorageError
from edgewright.hub.database import Database, Scoped
from edgewright.hub.listener.answers import later

T = TypeVar("T")
GATHER_S = 0.05
"""At least so far apart are transactions while there is much to write; a first one waits for nothing."""
_MOST_WAITING = 20_000
_MOST_AT_ONCE = 500
_LOG = logging.getLogger("edgewright.hub")

Store = Callable[[Scoped, Sequence[Any]], Any]
"""Writes items of one kind and one tenant, in the writer's transaction."""


class _Item(NamedTuple):
    kind: str
    tenant: str
    value: Any
    done: asyncio.Future[Any]


class Writer:
    """A thread. ``stores``: what writes the items of each kind; items of the kind ``call`` are themselves called with
    the session, and give their answer. Made and used on the loop's thread."""

    def __init__(self, database: Database, stores: Mapping[str, Store]) -> None:
        self._database, self._stores = database, stores
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Item] = deque()
        self._bell, self._over = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="edgewright-writer", daemon=True)
        self._thread.start()

    def put(self, kind: str, tenant: str, value: Any) -> asyncio.Future[Any]:
        """Write it with others; the future is done after the commit. Raises Refusal when too much waits already."""
        if len(self._waiting) >= _MOST_WAITING:
            raise later("the hub has more to write than it can; come back", 60.0)
        done: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(_Item(kind, tenant, value, done))
        self._bell.set()
        return done

    async def call(self, tenant: str, job: Callable[[Scoped], T]) -> T:
        """Run ``job`` in a writing transaction; its answer after the commit. It may be run again when others that
        shared the transaction failed."""
        made: T = await self.put("call", tenant, job)
        return made

    def close(self) -> None:
        """Write what waits, and end."""
        self._over = True
        self._bell.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._bell.wait()
            began = time.monotonic()
            self._bell.clear()
            while self._waiting:
                try:
                    self._round()
                except Exception as error:  # noqa: BLE001 - logged: the thread lives on, its loop may be ending
                    _LOG.error("what devices told could not be written", exc_info=error)
            if self._over:
                return
            time.sleep(max(0.0, GATHER_S - (time.monotonic() - began)))

    def _round(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
        by_tenant: dict[str, list[_Item]] = {}
        for item in batch:
            by_tenant.setdefault(item.tenant, []).append(item)
        results: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        for tenant, items in by_tenant.items():
            results += self._written(tenant, items)
        self._loop.call_soon_threadsafe(_tell, results)

    def _written(self, tenant: str, items: list[_Item]) -> list[tuple[asyncio.Future[Any], Any, BaseException | None]]:
        try:
            told = self._transaction(tenant, items)
            return [(item.done, value, None) for item, value in zip(items, told, strict=True)]
        except Exception as error:  # noqa: BLE001 - told to all who wait for it
            alone = len(items) == 1 or isinstance(error, OperationalError | StorageError)
            if alone:
                return [(item.done, None, error) for item in items]
        # One of them does not fit: the others are not to suffer for it.
        return [result for item in items for result in self._written(tenant, [item])]

    def _transaction(self, tenant: str, items: list[_Item]) -> list[Any]:
        told: dict[int, Any] = {}
        with self._database.write(tenant) as session:
            for kind, store in self._stores.items():
                if values := [item.value for item in items if item.kind == kind]:
                    store(session, values)
            for number, item in enumerate(items):
                if item.kind == "call":
                    told[number] = item.value(session)
        return [told.get(number) for number in range(len(items))]


def _tell(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for done, value, error in results:
        if done.done():
            continue
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)
            done.exception()  # whoever does not wait for it has not forgotten it
