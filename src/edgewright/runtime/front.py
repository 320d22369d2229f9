"""Front: the protocol's routes, and what is asked of a server besides."""

from __future__ import annotations

import time
from typing import Any

from edgewright.runtime import logs
from edgewright.runtime.lanes.http import Answer, Handler, Head, Reply
from edgewright.runtime.lanes.stream import GiveUp
from edgewright.runtime.metrics import Metrics
from edgewright.runtime.oip.routes import Routes


class Front(Routes):
    """Adds ``/metrics``. Costs the other routes nothing: a route is looked up once per head."""

    def __init__(self, *told: Any, metrics: Metrics) -> None:
        super().__init__(*told)
        self._metrics = metrics

    def _route(self, head: Head) -> Handler:
        if head.target.partition("?")[0].rstrip("/") == "/metrics" and head.method in ("GET", "HEAD"):
            return lambda head, body, answer: answer(self._metrics.reply())
        return super()._route(head)


def logged(handler: Handler, peer: str) -> Handler:
    """``handler``, each request with a line in the log: who, what, how it ended. No query, no header, no body."""

    def handle(head: Head, body: bytes, answer: Answer) -> GiveUp | None:
        begin = time.perf_counter()

        def told(reply: Reply) -> None:
            path, took_ms = head.target.partition("?")[0], 1e3 * (time.perf_counter() - begin)
            # Ready to be sent (HTTP/1.1 200 OK...), or in its parts.
            status, size = (int(reply[9:12]), len(reply)) if isinstance(reply, bytes) else (reply[0], len(reply[2]))
            fields: dict[str, Any] = {
                "peer": peer or "unix", "method": head.method, "path": path[:200],
                "status": status, "ms": round(took_ms, 3), "bytes": size,
            }  # fmt: skip
            logs.info("access", " ".join(str(value) for value in fields.values()), **fields)
            answer(reply)

        return handler(head, body, told)

    return handle
