"""Uploads: a body that is written to a temporary file as it comes, a mebibyte in memory at a time."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from edgewright.core.errors import Unavailable
from edgewright.core.files import scratch, storage
from edgewright.hub.errors import TooMany
from edgewright.hub.library.bundles import Arrived
from edgewright.hub.objects import PIECE_BYTES, work_folder
from edgewright.hub.state import State
from edgewright.hub.web.problems import Problem

MOST_BYTES = 2 * 2**30
_AT_ONCE, _OF_ONE = 8, 3
_VERIFYING = 2  # each child may hold a bundle in memory
_RETRY_S = 10.0


class Turns:
    """How many uploads one process takes at once, in all and of one tenant, and how many it verifies."""

    def __init__(self) -> None:
        self._now: dict[str, int] = {}
        self._lock = threading.Lock()
        self._verifying = threading.BoundedSemaphore(_VERIFYING)

    @contextlib.contextmanager
    def upload(self, tenant: str) -> Iterator[None]:
        """Raises TooMany."""
        with self._lock:
            own = self._now.get(tenant, 0)
            if own >= _OF_ONE or sum(self._now.values()) >= _AT_ONCE:
                raise TooMany("too many bundles are being uploaded; wait for one to end", _RETRY_S)
            self._now[tenant] = own + 1
        try:
            yield
        finally:
            with self._lock:
                self._now[tenant] -= 1
                if not self._now[tenant]:
                    del self._now[tenant]

    @contextlib.contextmanager
    def verification(self) -> Iterator[None]:
        """Raises Unavailable when no turn comes in time."""
        if not self._verifying.acquire(timeout=240):
            raise Unavailable("other bundles are being verified; try again in a moment")
        try:
            yield
        finally:
            self._verifying.release()


def turns(state: State) -> Turns:
    """Of this process."""
    return state.part("library.turns", Turns)


@contextlib.asynccontextmanager
async def received(request: Request, state: State, tenant: str) -> AsyncIterator[Arrived]:
    """The request's body in a file of a folder of its own, both gone afterwards. Raises Problem when it is too long or
    breaks off, TooMany, StorageError."""
    with turns(state).upload(tenant), contextlib.ExitStack() as stack:
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
