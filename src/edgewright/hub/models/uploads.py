"""Uploads: bytes come in any number of requests, and what came stays. Each part is an object of the store once it is
full or its request ends, so that a hub that was killed, or another worker, goes on behind the last of them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from edgewright.core.files import scratch, storage
from edgewright.hub.accounts.access import Caller
from edgewright.hub.errors import Conflict
from edgewright.hub.models.entering import enter
from edgewright.hub.models.tables import Part, Upload
from edgewright.hub.objects import PIECE_BYTES, expect, object_name, objects, work_folder
from edgewright.hub.state import State
from edgewright.hub.turns import Turns
from edgewright.hub.web.problems import Problem

PART_BYTES = 32 * 2**20
KEPT = timedelta(days=7)
"""How long an upload waits for its next byte."""
_AT_ONCE, _OF_ONE = 32, 8


def receiving(state: State, tenant: str) -> AbstractContextManager[None]:
    """A turn to bring bytes; clients that get none wait and go on. Raises TooMany, Unavailable."""
    turns = state.part("models.receiving", lambda: Turns(_AT_ONCE, 0, _OF_ONE))
    return turns.turn(tenant, "others upload as many files as may be at the same time")


async def receive(request: Request, caller: Caller, upload: Upload, offset: int) -> Upload:
    """Take the request's body as the upload's bytes from ``offset`` on; the upload as it is then. What came before the
    request broke off is kept. Raises Conflict for another offset than the upload's, Problem, TooMany, StorageError."""
    state, tenant = caller.state, caller.tenant
    if offset != upload.offset:
        raise _elsewhere(upload.offset)
    with receiving(state, tenant), contextlib.ExitStack() as stack:
        folder = await run_in_threadpool(stack.enter_context, scratch("part", work_folder(state)))
        coming = _pieces(request, upload.length - offset)
        over = False
        while not over:
            path = folder / "part"
            with storage(path), path.open("wb", buffering=0) as stream:
                digest, length, over = await _fill(coming, path, stream)
            if length:
                upload = await run_in_threadpool(_keep, caller, upload.id, offset, path, digest, length)
                offset += length
    return upload


async def _pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body, up to a client that goes away. Raises Problem for more than ``most`` bytes."""
    with contextlib.suppress(ClientDisconnect):
        async for data in request.stream():
            most -= len(data)
            if most < 0:
                raise Problem("too-large", "there are more bytes than Upload-Length said", {"Connection": "close"})
            yield data


async def _fill(coming: AsyncIterator[bytes], path: Path, stream: BinaryIO) -> tuple[str, int, bool]:
    """One part: its digest, its bytes, and whether it is the last one of this request."""
    digest, length, held, over = hashlib.sha256(), 0, bytearray(), True

    def write(data: bytes) -> None:
        with storage(path):
            digest.update(data)
            stream.write(data)

    async for data in coming:
        held += data
        length += len(data)
        if len(held) >= PIECE_BYTES:
            await run_in_threadpool(write, bytes(held))
            held.clear()
        if length >= PART_BYTES:
            over = False
            break
    await run_in_threadpool(write, bytes(held))
    return digest.hexdigest(), length, over


def _keep(caller: Caller, upload: str, offset: int, path: Path, digest: str, length: int) -> Upload:
    """Store a part and enter it; with the last one the upload becomes what it is to be. Raises Conflict when somebody
    else brought these bytes meanwhile."""
    state, tenant = caller.state, caller.tenant
    name = object_name("parts", digest)
    expect(state, tenant, name)
    objects(state).put(tenant, name, path)
    with state.database.write(tenant) as session:
        row = session.lock(Upload, upload)
        if row.offset != offset:
            raise _elsewhere(row.offset)
        session.add(Part(upload=upload, start=offset, length=length, object=name))
        row.offset += length
        row.until = caller.now + KEPT
        if row.offset == row.length:
            enter(session, caller, row)
    return row


def free_bytes(state: State) -> int | None:
    """What the disk of the store has left, where the store is a folder."""
    import shutil

    folder = objects(state).folder
    return None if folder is None else shutil.disk_usage(folder).free


def _elsewhere(offset: int) -> Conflict:
    return Conflict(f"the upload goes on at byte {offset:,}; ask for its offset (HEAD) and send from there")
