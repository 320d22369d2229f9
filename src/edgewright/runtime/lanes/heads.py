"""Heads of requests. Those that came before are looked up, not parsed; httptools reads all others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httptools

from edgewright.runtime.lanes.limits import Limits

_MOST_HEADERS = 128
_MEMO = 256
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """A request's head. ``headers``: lower-case names; one that came twice keeps both, comma-separated."""

    method: str
    target: str
    headers: dict[str, str]
    length: int
    alive: bool
    chunked: bool = False
    memo: dict[str, Any] = field(default_factory=dict, compare=False)
    """What handlers keep with this very head, for the next request that has it."""


class BadHead(Exception):  # noqa: N818 - caught at once and turned into a reply
    """``status``, what is wrong, and further header lines for the reply (each ending in CRLF)."""

    def __init__(self, status: int, why: str, more: bytes = b"") -> None:
        super().__init__(why)
        self.status, self.more = status, more


class _Collector:
    """What httptools calls back while it reads one head."""

    def __init__(self) -> None:
        self.target, self.headers = b"", list[tuple[bytes, bytes]]()
        self.begun = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def read_head(raw: bytes, limits: Limits) -> Head:
    """The head in ``raw``, which ends in an empty line. Raises BadHead."""
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise BadHead(400, f"this is no HTTP/1.1 request: {error}") from error
    if collector.begun != 1:
        raise BadHead(400, "this is not one HTTP/1.1 request")
    version = parser.get_http_version()
    if version not in ("1.0", "1.1"):
        raise BadHead(505, f"this server speaks HTTP/1.1, not HTTP/{version}")
    if len(collector.headers) > _MOST_HEADERS:
        raise BadHead(431, f"a request may have {_MOST_HEADERS} headers")
    headers: dict[str, str] = {}
    for name, value in collector.headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")
        if key in ("content-length", "transfer-encoding", "host") and key in headers and headers[key] != text:
            raise BadHead(400, f"the header {key} is given twice, differently")
        headers[key] = f"{headers[key]}, {text}" if key in headers and headers[key] != text else text
    chunked = "transfer-encoding" in headers
    if chunked and (headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers):
        raise BadHead(400, "Transfer-Encoding is chunked alone, and excludes Content-Length")
    if version == "1.0":
        headers.pop("expect", None)  # such a client means something else (RFC 9110, 10.1.1)
        if chunked:
            raise BadHead(400, "a request of HTTP/1.0 has no Transfer-Encoding (RFC 9112, 6.1)")
    told = headers.get("content-length", "0")
    if not told.isascii() or not told.isdigit() or len(told) > 15:
        raise BadHead(400, "Content-Length is no number")
    if int(told) > limits.body_bytes:
        raise BadHead(413, f"the body may have {limits.body_bytes:,} bytes, {int(told):,} are announced")
    if "host" not in headers and version == "1.1":
        raise BadHead(400, "a request of HTTP/1.1 names its Host (RFC 9112, 3.2)")
    target = collector.target.decode("latin-1")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute:  # as to a proxy; its host is the one that counts (RFC 9112, 3.2.2)
        headers["host"], target = absolute[1], absolute[2] or "/"
    if not _HOST.fullmatch(headers.get("host", "")):
        raise BadHead(400, "Host is no name or address (RFC 9112, 3.2)")
    method = parser.get_method().decode("ascii")
    # Not the parser's should_keep_alive: it speaks of the next message once this one is complete.
    wishes = {wish.strip() for wish in headers.get("connection", "").lower().split(",")}
    alive = "close" not in wishes and (version == "1.1" or "keep-alive" in wishes)
    return Head(method, target, headers, int(told), alive, chunked)


class Heads:
    """Heads by their very bytes (``known``, another dict after ``forget``); the oldest are forgotten first.

    ``check`` is asked about each new head and raises BadHead where its sender may not ask: what it let pass is let
    pass again until ``forget``.
    """

    def __init__(self, limits: Limits, check: Callable[[Head], None] | None = None) -> None:
        self._limits, self._check, self.known = limits, check, dict[bytes, Head]()

    def forget(self) -> None:
        """Check every head anew."""
        self.known = {}

    def find(self, raw: bytes) -> Head:
        """The head in ``raw``. Raises BadHead."""
        head = self.known.get(raw)
        if head is None:
            head = read_head(raw, self._limits)
            if self._check is not None:
                self._check(head)
            self.known[raw] = head
            if len(self.known) > _MEMO:
                del self.known[next(iter(self.known))]
        return head
