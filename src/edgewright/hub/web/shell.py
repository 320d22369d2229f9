"""The shell around the app: request ids, limits on bodies, headers that every answer has, and a problem for what
failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgewright.hub.ids import new_id
from edgewright.hub.web.problems import KINDS, MEDIA, Problem, problem_body

BODY_BYTES = 1 << 20
"""What a body may have where no route was given more."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_PLAIN = [(name.lower().encode(), name.encode(), value.encode()) for name, value in _HEADERS.items()]
_LOG = logging.getLogger("edgewright.hub")


class Shell:
    """Wrap ``app``. ``bodies``: how many bytes a body may have (0: no limit here) where "METHOD PATH" begins so, in
    place of BODY_BYTES; ``given``: what every request's ``state`` has."""

    def __init__(
        self, app: ASGIApp, bodies: Mapping[str, int] | None = None, given: Mapping[str, Any] | None = None
    ) -> None:  # fmt: skip
        self._app, self._given = app, dict(given or {})
        self._bodies = sorted((bodies or {}).items(), key=lambda entry: -len(entry[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        scope.setdefault("state", {}).update(self._given)
        if scope["type"] != "http":
            scope["state"]["request_id"] = new_id("req")
            await self._app(scope, receive, send)
            return
        call = _Call(scope, receive, send, self._limit(f"{scope['method']} {scope['path']}"))
        try:
            call.check_length()
            await self._app(scope, call.receive, call.send)
        except Problem as problem:
            await call.fail(problem.kind, str(problem.detail))
        except Exception as error:  # noqa: BLE001 - the edge: the log has it all, the caller an id to ask with
            _LOG.error("%s failed", call.id, exc_info=error)
            if not call.over:
                await call.fail("failed", "the hub could not do this; its log tells more under the request's id")

    def _limit(self, asked: str) -> int:
        return next((limit for begin, limit in self._bodies if asked.startswith(begin)), BODY_BYTES)


class _Call:
    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self.id = new_id("req")
        self.limit = limit
        self._scope, self._receive, self._send = scope, receive, send
        self._read = 0
        self._begun = False
        self.over = False
        scope.setdefault("state", {})["request_id"] = self.id

    def check_length(self) -> None:
        """Refuse what says that it is too long before it is read."""
        told = dict(self._scope["headers"]).get(b"content-length", b"")
        if self.limit and told.isdigit() and int(told[:20]) > self.limit:
            raise self._too_large()

    def _too_large(self) -> Problem:
        # A Problem, so that it passes through what reads the body for a route.
        return Problem("too-large", f"a body has at most {self.limit:,} bytes here", {"Connection": "close"})

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self.limit and self._read > self.limit:
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            headers += [(name, value) for lower, name, value in _PLAIN if lower not in there]
            headers.append((b"X-Request-Id", self.id.encode()))
            if self._scope.get("scheme") == "https" and b"strict-transport-security" not in there:
                headers.append((b"Strict-Transport-Security", b"max-age=31536000"))
            message = {**message, "headers": headers}
        await self._send(message)
        self.over = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def fail(self, kind: str, detail: str) -> None:
        """A problem, unless the answer has begun: then the connection ends in the middle, which the client sees."""
        if self._begun:
            raise ConnectionAbortedError(detail)
        body = problem_body(kind, detail, self.id)
        headers = [(b"content-type", MEDIA.encode()), (b"content-length", str(len(body)).encode())]
        if kind == "too-large":
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": KINDS[kind][0], "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
