"""Front: the protocol's routes, and what is asked of a server besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgewright.core.strict import parse_json
from edgewright.core.trend import Verdict
from edgewright.runtime.accesslog import logged_frames, logged_http
from edgewright.runtime.diagnosis.whys import Whys
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.frames import Handler as Frames
from edgewright.runtime.lanes.http import JSON, Answer, Handler, Head, Reply
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import Body, GiveUp
from edgewright.runtime.metrics import Metrics
from edgewright.runtime.oip.admin import read_object, told_when_done
from edgewright.runtime.oip.routes import Routes, allow
from edgewright.runtime.served import Served
from edgewright.runtime.service import Service
from edgewright.runtime.tokens import INFER, MANAGE, READ

OBSERVATIONS = "/edgewright/v1/observations"
"""Hands over what models did since the batch ``taken`` (``observations.Observations``)."""
SHADOWS = "/edgewright/v1/shadows"
"""GET: what shadows that were begun here saw. POST: ``{"model", "path", "share"?}`` begins one; ``path`` "" ends it."""
LABELS = "/edgewright/v1/labels"
"""Takes the right classes of earlier answers (``labels.Labels``)."""
_LABELS_BYTES = 2**20


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
        if head.target.partition("?")[0].rstrip("/") == SHADOWS and head.method in ("GET", "HEAD", "POST"):
            allow(head, MANAGE if head.method == "POST" else READ)
            return self._shadow if head.method == "POST" else self._shadows
        if head.target.partition("?")[0].rstrip("/") == LABELS and head.method == "POST":
            allow(head, INFER)
            return self._labels
        return super()._route(head)

    def _shadows(self, head: Head, body: Body, answer: Answer) -> None:
        shadows = self._desk.shadows
        answer((200, JSON, json.dumps({"shadows": [] if shadows is None else shadows.beside()}).encode()))

    def _shadow(self, head: Head, body: Body, answer: Answer) -> None:
        told = read_object(body)
        model, path, share = told.get("model"), told.get("path"), told.get("share", 0.05)
        odd = told.keys() - {"model", "path", "share"} or isinstance(share, bool) or not isinstance(share, int | float)
        if odd or not isinstance(model, str) or not isinstance(path, str):
            raise BadRequest(
                'a shadow takes "model", "path" (a bundle\'s folder on this machine, "" to end it) and "share"'
            )
        done = told_when_done(answer, self._later)
        if path:
            self._control.shadow(model, Path(path), float(share), done)
        else:
            self._control.unshadow(model, done)

    def _labels(self, head: Head, body: Body, answer: Answer) -> GiveUp:
        raw = bytes(body[: _LABELS_BYTES + 1])

        def made() -> Reply:
            try:
                told = parse_json(raw, _LABELS_BYTES)
            except ValueError as error:
                raise BadRequest(f"the request is no JSON that can be read: {error}") from error
            if not isinstance(told, list):
                raise BadRequest('labels are a list of {"id": "...", "label": "..."}')
            return 200, JSON, json.dumps(self._service.labels.take(told)).encode()

        return self._aside(made, answer)

    def _observations(self, head: Head, body: Body, answer: Answer) -> GiveUp:
        taken = read_object(body).get("taken", "")
        if not isinstance(taken, str):
            raise BadRequest("'taken' is the name of a batch")

        def made() -> Reply:
            name, told = self._repository.observations.batch(taken)
            return 200, JSON, json.dumps({"batch": name, "observations": told}).encode()

        return self._aside(made, answer)
