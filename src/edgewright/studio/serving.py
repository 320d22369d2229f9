"""Serving: the pages under one path, with a policy that lets nothing in from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from edgewright.studio.files import INDEX, File, read_pages

ROOT = "/edge-ai"
FOLDER = Path(__file__).parent / "pages"
_UNBUILT = (
    "The studio's pages are not part of this installation: they are made when the package is built.\n"
    "In a checkout, run scripts/setup. The API under /api/edge works without them.\n"
)
_POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "font-src 'self'",
    "connect-src 'self'", "manifest-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Content-Type-Options": "nosniff",
}


class Pages:
    """An ASGI app: GET and HEAD of files below ROOT; any other path there that names no file is the page's own (a deep
    link)."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = read_pages(folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Only GET and HEAD here.\n", 405, {**_HEADERS, "Allow": "GET, HEAD"})
        if not self._files:
            return PlainTextResponse(_UNBUILT, 503, _HEADERS)
        name = request.url.path.removeprefix(ROOT).strip("/")
        file = self._files.get(name) or (None if "." in name.rpartition("/")[2] else self._files[INDEX])
        if file is None:
            return PlainTextResponse("There is no such file.\n", 404, _HEADERS)
        return _told(request, file)


def _told(request: Request, file: File) -> Response:
    headers = {**_HEADERS, "Cache-Control": file.kept, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in _etags(request.headers.get("if-none-match", "")):
        return Response(None, 304, headers)
    packed = file.packed if "gzip" in _codings(request.headers.get("accept-encoding", "")) else None
    if packed is not None:
        headers["Content-Encoding"] = "gzip"
    return Response(packed or file.data, 200, headers, file.media)


def _etags(told: str) -> set[str]:
    """RFC 9110, 13.1.2: weak comparison."""
    return {part.strip().removeprefix("W/") for part in told.split(",")}


def _codings(told: str) -> Iterable[str]:
    """Those of Accept-Encoding that are wanted at all (RFC 9110, 12.5.3)."""
    for part in told.split(","):
        coding, _, weight = part.partition(";")
        if not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight):
            yield coding.strip().lower()
