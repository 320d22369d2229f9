"""Front: the protocol's routes, and what is asked of a server besides."""

from __future__ import annotations

from typing import Any

from edgewright.core.trend import Verdict
from edgewright.runtime.diagnosis.whys import Whys
from edgewright.runtime.lanes.http import Handler, Head
from edgewright.runtime.metrics import Metrics
from edgewright.runtime.oip.routes import Routes
from edgewright.runtime.served import Served


class Front(Routes):
    """Adds ``/metrics``, and to the statistics why a model is slow or refuses. Costs the other routes nothing: a route
    is looked up once per head."""

    def __init__(self, *told: Any, metrics: Metrics, whys: Whys) -> None:
        super().__init__(*told)
        self._metrics, self._whys = metrics, whys

    def _stats(self, body: bytes, name: str = "", version: str = "") -> dict[str, Any]:
        return {**super()._stats(body, name, version), "server": self._whys.server()}

    def _told(self, served: Served) -> dict[str, Any]:
        told = super()._told(served)
        return {**told, "why": self._whys.of(served, Verdict(**told["latency_trend"]))}

    def _route(self, head: Head) -> Handler:
        if head.target.partition("?")[0].rstrip("/") == "/metrics" and head.method in ("GET", "HEAD"):
            return lambda head, body, answer: answer(self._metrics.reply())
        return super()._route(head)
