"""Front: the protocol's routes, and what is asked of a server besides."""

from __future__ import annotations

import json
from typing import Any

from edgewright.core.trend import Verdict
from edgewright.runtime.accesslog import logged_frames, logged_http
from edgewright.runtime.diagnosis.whys import Whys
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.frames import Handler as Frames
from edgewright.runtime.lanes.http import JSON, Answer, Handler, Head, Reply
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import Body, GiveUp
from edgewright.runtime.metrics import Metrics
from edgewright.runtime.oip.admin import read_object
from edgewright.runtime.oip.routes import Routes, allow
from edgewright.runtime.served import Served
from edgewright.runtime.service import Service
from edgewright.runtime.tokens import MANAGE, READ

OBSERVATIONS = "/edgewright/v1/observations"
"""Hands over what models did since the batch ``taken`` (``observations.Observations``)."""


class Front(Routes):
    """Adds ``/metrics``, to the statistics why a model is slow or refuses, and a line in the log for each request where
    that is wanted. Costs the other routes nothing: a route is looked up once per head."""

    def __init__(self, service: Service, loop: Loop, metrics: Metrics, whys: Whys) -> None:
        super().__init__(service, loop)
        self._metrics, self._whys, self._logs = metrics, whys, service.table.access_log
        frame: Frames = self.inference.frame
        self.frame = logged_frames(frame) if self._logs else frame

    def of(self, peer: str) -> Handler:
        """What answers the requests of a client at that address ("" at a Unix socket)."""
        return logged_http(self, peer) if self._logs else self

    def _stats(self, body: Body, name: str = "", version: str = "") -> dict[str, Any]:
        return {**super()._stats(body, name, version), "server": self._whys.server()}

    def _told(self, served: Served) -> dict[str, Any]:
        told = super()._told(served)
        return {**told, "why": self._whys.of(served, Verdict(**told["latency_trend"]))}

    def _route(self, head: Head) -> Handler:
        if head.target.partition("?")[0].rstrip("/") == "/metrics" and head.method in ("GET", "HEAD"):
            allow(head, READ)
            return lambda head, body, answer: self._aside(self._metrics.reply, answer)
        if head.target.partition("?")[0].rstrip("/") == OBSERVATIONS and head.method == "POST":
            allow(head, MANAGE)  # what is handed over is not counted again
            return self._observations
        return super()._route(head)

    def _observations(self, head: Head, body: Body, answer: Answer) -> GiveUp:
        taken = read_object(body).get("taken", "")
        if not isinstance(taken, str):
            raise BadRequest("'taken' is the name of a batch")

        def made() -> Reply:
            name, told = self._repository.observations.batch(taken)
            return 200, JSON, json.dumps({"batch": name, "observations": told}).encode()

        return self._aside(made, answer)
