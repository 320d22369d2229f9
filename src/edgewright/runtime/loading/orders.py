"""Orders: one thread that does what it is told, one thing after the other, and looks around in between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from edgewright.runtime import logs

Order = Callable[[], None]


class Orders:
    """``look`` is called after each order and when its time has come: it answers in how many s it wants to be called
    again (None: after the next order). Nothing that either of them raises ends the thread."""

    def __init__(self, name: str, look: Callable[[], float | None]) -> None:
        self._look, self._queue = look, queue.SimpleQueue[Order | None]()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin; what was put before is done first."""
        self._thread.start()

    def put(self, order: Order) -> None:
        """Have it done when those before it are; from any thread or a signal handler."""
        self._queue.put(order)

    def close(self) -> None:
        """End the thread when the order that is carried out is done, and those that wait."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        wait_s = self._looked()
        while True:
            try:
                order = self._queue.get(timeout=wait_s)
            except queue.Empty:
                pass
            else:
                if order is None:
                    return
                try:
                    order()
                except Exception:  # noqa: BLE001 - without this thread no order would ever be carried out again
                    logs.trouble("an order could not be carried out")
            wait_s = self._looked()

    def _looked(self) -> float | None:
        try:
            return self._look()
        except Exception:  # noqa: BLE001 - as above
            logs.trouble("the models could not be looked at")
            return 1.0
