"""Uploads: a body that is written to a temporary file as it comes, a mebibyte in memory at a time."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from edgewright.core.files import scratch, storage
from edgewright.hub.library.bundles import Arrived
from edgewright.hub.objects import PIECE_BYTES, work_folder
from edgewright.hub.state import State
from edgewright.hub.turns import Turns
from edgewright.hub.web.problems import Problem

MOST_BYTES = 2 * 2**30
_AT_ONCE, _OF_ONE = 8, 3
_VERIFYING = 2


def receiving(state: State, tenant: str) -> AbstractContextManager[None]:
    """A turn to send a bundle. Raises TooMany, Unavailable."""
    turns = state.part("library.receiving", lambda: Turns(_AT_ONCE, 0, _OF_ONE))
    return turns.turn(tenant, "other bundles are being uploaded")


def verifying(state: State, tenant: str) -> AbstractContextManager[None]:
    """A turn to look at one that was sent: each child may hold a bundle in memory. Raises Unavailable."""
    turns = state.part("library.verifying", lambda: Turns(_VERIFYING, _AT_ONCE, _AT_ONCE))
    return turns.turn(tenant, "other bundles are being verified")


@contextlib.asynccontextmanager
async def received(request: Request, state: State, tenant: str) -> AsyncIterator[Arrived]:
    """The request's body in a file of a folder of its own, both gone afterwards. Raises Problem when it is too long or
    breaks off, TooMany, Unavailable, StorageError."""
    with receiving(state, tenant), contextlib.ExitStack() as stack:
        folder = await run_in_threadpool(stack.enter_context, scratch("upload", work_folder(state)))
        path = folder / "bundle.ewb"
        with storage(path), path.open("wb", buffering=0) as stream:
            sha256, length = await _write(request, path, stream)
        yield Arrived(path, sha256, length)


async def _write(request: Request, path: Path, stream: BinaryIO) -> tuple[str, int]:
    state, length, held = hashlib.sha256(), 0, bytearray()

    def write(data: bytes) -> None:
        with storage(path):
            state.update(data)
            stream.write(data)

    try:
        async for data in request.stream():
            length += len(data)
            if length > MOST_BYTES:
                raise Problem("too-large", f"a bundle has at most {MOST_BYTES:,} bytes", {"Connection": "close"})
            held += data
            if len(held) >= PIECE_BYTES:
                await run_in_threadpool(write, bytes(held))
                held.clear()
    except ClientDisconnect as error:
        raise Problem("bad-request", "the body broke off; send it again") from error
    await run_in_threadpool(write, bytes(held))
    return state.hexdigest(), length
