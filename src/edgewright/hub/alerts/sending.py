"""Sending: a thread that looks every second for messages whose turn it is, and has them delivered beside it: one
tenant's slow webhooks hold up no other tenant."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, StorageError
from edgewright.hub.alerts import outbox
from edgewright.hub.alerts.delivering import deliver
from edgewright.hub.database import EVERY
from edgewright.hub.state import State

LOOK_S = 1.0
_AT_ONCE = 8  # tenants
_LOG = logging.getLogger("edgewright.hub")


class Sender(Closing):
    """Sends while its block lasts. ``round`` does it once."""

    def __init__(self, state: State) -> None:
        self._state, self._over = state, threading.Event()
        self._pool = ThreadPoolExecutor(_AT_ONCE, "edgewright-sending")
        self._busy: dict[str, Future[None]] = {}
        self._thread = threading.Thread(target=self._run, name="edgewright-sender", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """End the thread; tries that are on their way are finished."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def round(self) -> None:
        """What is due now, once, to its end."""
        self._look()
        wait(self._busy.values())

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            try:
                self._look()
            except (SQLAlchemyError, StorageError) as error:
                _LOG.warning("messages cannot be read, and are read again: %s", type(error).__name__)

    def _look(self) -> None:
        with self._state.database.read(EVERY) as session:
            tenants = outbox.ready(session, self._state.clock())
        self._busy = {tenant: one for tenant, one in self._busy.items() if not one.done()}
        for tenant in tenants:
            if tenant not in self._busy:
                self._busy[tenant] = self._pool.submit(self._deliver, tenant)

    def _deliver(self, tenant: str) -> None:
        try:
            deliver(self._state, tenant)
        except (EdgewrightError, SQLAlchemyError, OSError) as error:
            _LOG.warning("messages were not delivered, and are soon: %s", error)
        except Exception as error:  # noqa: BLE001 - a fault of ours: the log has all of it
            _LOG.error("messages were not delivered, and are soon", exc_info=error)
