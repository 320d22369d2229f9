"""The access log: a line for each request, whatever lane it came by: who, what, how it ended. Never a query, a header,
a body or a token. Handlers are wrapped where the log is on; where it is off, nothing of this is on any path."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import unquote

from edgewright.core.errors import EdgewrightError
from edgewright.core.strict import parse_json
from edgewright.runtime import logs
from edgewright.runtime.faults import status_of
from edgewright.runtime.lanes import frames, http
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.stream import Body, GiveUp
from edgewright.runtime.oip.regions import Regions

_MOST_PATH, _MOST_NAME, _MOST_HEAD = 200, 200, 16 * 1024
_MODEL = re.compile(r"/v2/(?:repository/)?models/([^/]+)(?:/versions/([^/]+))?(?:/.*)?")
_now = time.perf_counter


def tell(lane: str, peer: str, method: str, begin: float, status: int, size: int, **more: Any) -> None:
    """One line. ``begin`` by ``time.perf_counter``; ``status`` is HTTP's on every lane; ``more``: ``path``, ``model``,
    ``version`` and ``code``, where there are such."""
    what = more.get("path") or ":".join(more[key] for key in ("model", "version") if more.get(key)) or "-"
    took_ms = round(1e3 * (_now() - begin), 3)
    text = f"{lane} {peer} {method} {what} {more.get('code', status)} {took_ms} ms {size} bytes"
    told = {key: value[:_MOST_NAME] for key, value in more.items() if value}
    logs.info("access", text, lane=lane, peer=peer, method=method, **told, status=status, ms=took_ms, bytes=size)


def logged_http(handler: http.Handler, peer: str) -> http.Handler:
    """``handler``, its requests in the log."""

    def handle(head: http.Head, body: Body, answer: http.Answer) -> GiveUp | None:
        begin = _now()

        def told(reply: http.Reply) -> None:
            path = head.target.partition("?")[0]
            model, version = _asked_of(path)
            # What is ready to be sent has status 200.
            status, size = reply[0] if isinstance(reply, tuple) else 200, http.reply_size(reply)
            tell("http", peer or "unix", head.method, begin, status, size,
                 path=path[:_MOST_PATH], model=model, version=version)  # fmt: skip
            answer(reply)

        return handler(head, body, told)

    return handle


def logged_frames(handler: frames.Handler) -> frames.Handler:
    """``handler``, its requests in the log."""

    def handle(
        body: Body, start: int, end: int, priority: int, timeout_s: float | None, regions: Regions | None,
        answer: frames.Answer,
    ) -> GiveUp | None:  # fmt: skip
        begin = _now()

        def told(reply: bytes | list[Buffer]) -> None:
            model, version = _named_in(bytes(body[start : min(end, start + _MOST_HEAD)]))
            status = frames.HEADER.unpack_from(reply if isinstance(reply, bytes) else reply[0])[4]
            tell("frames", "unix", "infer", begin, status, http.reply_size(reply), model=model, version=version)
            answer(reply)

        try:
            return handler(body, start, end, priority, timeout_s, regions, told)
        except EdgewrightError as error:
            told(frames.frame_fault(status_of(error), str(error)))
            return None

    return handle


def _asked_of(path: str) -> tuple[str, str]:
    found = _MODEL.fullmatch(path)
    if found is None or found[1] == "stats":
        return "", ""
    return unquote(found[1]), unquote(found[2] or "")


def _named_in(head: bytes) -> tuple[str, str]:
    try:
        told = parse_json(head, _MOST_HEAD)
    except ValueError:
        return "", ""
    names = (told.get(key) for key in ("model_name", "model_version")) if isinstance(told, dict) else ("", "")
    model, version = (name if isinstance(name, str) else "" for name in names)
    return model, version
