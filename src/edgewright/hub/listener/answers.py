"""Answers and refusals of the device listener, and bodies read within their bounds."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.types import Receive, Scope, Send

from edgewright.core.messages import LIMITS, read, render
from edgewright.core.messages.wire import Message
from edgewright.hub.ids import new_id
from edgewright.hub.listener.protocol import CONNECTION, DeviceProtocol
from edgewright.hub.web.problems import KINDS, MEDIA, problem_body

M = TypeVar("M", bound=Message)
_HEARD_OUT_BYTES = 2**20


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """What is answered instead: a ``kind`` of ``web.problems.KINDS``, what happened and what to do."""

    def __init__(self, kind: str, detail: str, retry_after_s: float = 0.0, *, close: bool = False) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.retry_after_s, self.close = kind, detail, retry_after_s, close


class Gone(Exception):  # noqa: N818 - nobody is left to answer
    """The client went away in the middle."""


def later(detail: str, at_most_s: float = 10.0, *, close: bool = False) -> Refusal:
    """Not now; come back in a while: another one for each, so that they do not come together."""
    return Refusal("unavailable", detail, random.uniform(1.0, at_most_s), close=close)  # noqa: S311


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = b""
    media: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_of(message: Message) -> Answer:
    """A message with 200."""
    return Answer(200, render(message))


class Call:
    """One request: ``connection`` is whose it is, ``method``, ``parts`` of the path behind ``/device/v1/``."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.connection: DeviceProtocol = scope[CONNECTION]
        self.method: str = scope["method"]
        self.parts = scope["path"].split("/")[3:]
        self.begun = False

    @property
    def network(self) -> str:
        """The address it comes from."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    def header(self, name: bytes) -> str:
        """A header's (first) value, "" without one."""
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == name), "")

    def number(self, name: str, default: float) -> float:
        """A number of the query. Raises Refusal."""
        told = dict(part.partition("=")[::2] for part in self.scope["query_string"].decode("latin-1").split("&"))
        text = told.get(name, "")
        if not text:
            return default
        if len(text) > 10 or not text.replace(".", "", 1).isdecimal() or not text.isascii():
            raise Refusal("unfit", f"{name} is a number of seconds")
        return float(text)

    async def body(self, most: int) -> bytes:
        """The body, of at most so many bytes. Raises Refusal, Gone."""
        data = bytearray()
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > most:
                data.clear()  # read on for a while, so that the client can hear why
                if size > most + _HEARD_OUT_BYTES:
                    raise Refusal("too-large", f"a body has at most {most:,} bytes here", close=True)
            else:
                data += part
        if size > most:
            raise Refusal("too-large", f"a body has at most {most:,} bytes here")
        return bytes(data)

    async def message(self, kind: type[M]) -> M:
        """The body as a message. Raises Refusal, InputError, Gone."""
        return read(kind, await self.body(LIMITS[kind.__name__]))

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Status line and headers."""
        spelled = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": spelled})

    async def write(self, data: bytes, *, more: bool = False) -> None:
        """A part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(self, answer: Answer) -> None:
        """A whole answer."""
        headers: dict[str, Any] = dict(answer.headers)
        if answer.body:
            headers["Content-Type"] = answer.media
        if answer.status != 204:
            headers["Content-Length"] = str(len(answer.body))
        await self.begin(answer.status, headers)
        await self.write(answer.body)

    async def refuse(self, refusal: Refusal) -> None:
        """A problem."""
        body = problem_body(refusal.kind, refusal.detail, new_id("req"))
        headers = {"Retry-After": str(max(1, round(refusal.retry_after_s)))} if refusal.retry_after_s else {}
        if refusal.close:
            headers["Connection"] = "close"
        await self.answer(Answer(KINDS[refusal.kind][0], body, MEDIA, headers))
