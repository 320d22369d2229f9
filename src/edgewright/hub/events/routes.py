"""Routes of events: pages for programs, server-sent events and a websocket for whoever watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from edgewright.core.errors import EdgewrightError
from edgewright.hub.accounts.access import Caller, may, socket_caller
from edgewright.hub.events.following import last, read
from edgewright.hub.events.telling import permission
from edgewright.hub.events.viewing import Viewer, tell
from edgewright.hub.ids import PATTERN
from edgewright.hub.web.bodies import Answer, Moment, Router
from edgewright.hub.web.problems import Problem, refusal

router = Router(prefix="/api/edge/events", tags=["events"])
Reads = Annotated[Caller, may("jobs.read")]
After = Annotated[int | None, Query(ge=0, lt=2**53, description="the last number that was seen")]
Of = Annotated[str | None, Query(pattern=PATTERN, description="only what happens to this one")]
_STREAM = "text/event-stream"
_EXAMPLE: dict[str, Any] = {
    "seq": 4711, "at": "2026-11-21T09:30:00.000Z", "kind": "job.state", "of": "job_01jd7x3w9q4e5r6t7y8a9b0c1d",
    "data": {"state": "running"},
}  # fmt: skip


class HappenedTold(Answer):
    """Something that happened: ``seq`` rises by one in the tenant; ``of``: what it happened to. ``events.cut``: some
    before this number are forgotten, so read anew what is shown."""

    seq: int
    at: Moment
    kind: str
    of: str
    data: dict[str, Any]

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class HappenedPage(Answer):
    """``last``: ask for what comes after it. It may be higher than the last one shown: others are not yours to see."""

    items: list[HappenedTold]
    last: int


@router.get(
    "",
    response_model=HappenedPage,
    responses={200: {"content": {_STREAM: {"schema": {"type": "string"}, "example": "id: 7\ndata: {...}\n\n"}}}},
)
async def events(request: Request, caller: Reads, after: After = None, of: Of = None) -> Response:
    """What happened after a number. With `Accept: text/event-stream` (as an EventSource asks) a stream that goes on;
    without `after` or `Last-Event-ID` it begins now. Otherwise one page, from the oldest that is kept."""
    given = request.headers.get("last-event-id", "")
    if given.isascii() and given.isdigit() and len(given) < 16:
        after = int(given)
    if _STREAM not in request.headers.get("accept", ""):
        return await run_in_threadpool(_page, caller, after or 0, of)
    return _Streamed(Viewer(caller, after, of))


@router.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    """The same as messages, one JSON text for each event; what the client says is not listened to."""
    async with contextlib.AsyncExitStack() as watching:
        try:
            caller = await socket_caller(websocket, "jobs.read")
            viewer = await watching.enter_async_context(Viewer(caller, _number(websocket), _of(websocket)))
        except (EdgewrightError, Problem) as error:
            await websocket.send_denial_response(refusal(websocket.state.request_id, error))
            return
        await websocket.accept()
        gone = asyncio.create_task(_until_gone(websocket))
        try:
            await _send(websocket, viewer, gone)
        finally:
            gone.cancel()


def _page(caller: Caller, after: int, of: str | None) -> Response:
    with caller.read() as session:
        found, latest = read(session, after), last(session)
    shown = [tell(one) for one in found if of in (None, one.of) and permission(one.kind) in caller.may]
    return JSONResponse({"items": shown, "last": found[-1].seq if found else latest})


class _Streamed(StreamingResponse):
    """What a viewer sees. Whether there is room for one more is found out before anything is answered."""

    def __init__(self, viewer: Viewer) -> None:
        headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
        super().__init__(_stream(viewer), media_type=_STREAM, headers=headers)
        self._viewer = viewer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._viewer:
            await super().__call__(scope, receive, send)


async def _stream(viewer: Viewer) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    while (found := await viewer.next()) is not None:
        yield "".join(f"id: {one['seq']}\ndata: {_text(one)}\n\n" for one in found) or ": still here\n\n"


async def _send(websocket: WebSocket, viewer: Viewer, gone: asyncio.Task[None]) -> None:
    while True:
        coming = asyncio.create_task(viewer.next())
        await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            return
        found = coming.result()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            if found is None:
                await websocket.close(1012, "connect again")
                return
            for one in found:
                await websocket.send_text(_text(one))
        if gone.done():
            return


async def _until_gone(websocket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass


def _number(websocket: WebSocket) -> int | None:
    given = websocket.query_params.get("after", "")
    if given and not (given.isascii() and given.isdigit() and len(given) < 16):
        raise Problem("unfit", "after is the last number that was seen")
    return int(given) if given else None


def _of(websocket: WebSocket) -> str | None:
    given = websocket.query_params.get("of")
    if given is not None and not re.fullmatch(PATTERN, given):
        raise Problem("unfit", "of is an id")
    return given


def _text(one: dict[str, Any]) -> str:
    return json.dumps(one, ensure_ascii=False, separators=(",", ":"))
