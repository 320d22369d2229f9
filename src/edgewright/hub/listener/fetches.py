"""Fetches: update metadata, bundles, deltas and files, in ranges, and never faster than they are read."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from typing import Any

from edgewright.hub.errors import Absent
from edgewright.hub.listener import library
from edgewright.hub.listener.answers import Answer, Call, Gone
from edgewright.hub.listener.gate import Gate, Let
from edgewright.hub.listener.protocol import WRITE_S
from edgewright.hub.listener.recent import Recent
from edgewright.hub.listener.watcher import Watcher
from edgewright.hub.state import State

PART_BYTES = 2**17
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"([0-9]{1,16}\.)?[a-z]{1,20}\.json")
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")


class Fetches:
    """``updates``, ``bundles``, ``deltas`` and ``files``."""

    def __init__(self, state: State, gate: Gate) -> None:
        self._state, self._gate, self._recent = state, gate, Recent()

    async def _read(self, let: Let, key: Any, read: Callable[..., Any], *arguments: Any) -> Any:
        """What ``read`` gives, shared with others who ask now."""
        tenant = let.known.key.tenant
        return await self._recent.get((tenant, *key), let.known.revision, self._gate.newest(tenant), read, *arguments)

    async def updates(self, call: Call, watcher: Watcher, name: str) -> Answer:
        """A file of update metadata, with an ETag."""
        let = await self._gate.enter(call, watcher)
        if not _NAME.fullmatch(name):
            raise Absent("there is no such metadata")
        data, tag = await self._read(let, ("updates", name), self._metadata, let.known.key.tenant, name)
        if call.header(b"if-none-match") == tag:
            return Answer(304, headers={"ETag": tag})
        return Answer(200, data, headers={"ETag": tag})

    def _metadata(self, tenant: str, name: str) -> tuple[bytes, str]:
        """With its tag."""
        with self._state.database.read(tenant) as session:
            data = library.metadata(session, name)
        return data, f'"{hashlib.sha256(data).hexdigest()}"'

    async def delta(self, call: Call, watcher: Watcher, new: str, old: str) -> Answer:
        """The recipe that makes one bundle's files of another's."""
        let = await self._gate.enter(call, watcher)
        for digest in (new, old):
            _check(digest)
        data = await asyncio.to_thread(library.delta, self._state, let.known.key.tenant, new, old)
        return Answer(200, data, headers={"ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

    async def file(self, call: Call, watcher: Watcher, digest: str) -> Answer | None:
        """A file by its digest, or a range of it, as fast as it is read. A device that is revoked in the middle gets no
        more."""
        let = await self._gate.enter(call, watcher)
        _check(digest)
        tenant = let.known.key.tenant
        found = await self._read(let, ("file", digest), library.open_file, self._state, tenant, digest)
        length: int = found.length
        wanted = _range(call.header(b"range"), length)
        if wanted is None:
            return Answer(416, headers={"Content-Range": f"bytes */{length}"})
        first, last, status = wanted
        headers = {
            "Content-Type": "application/octet-stream", "Content-Length": str(last - first + 1), "ETag": f'"{digest}"',
            "Accept-Ranges": "bytes",
        }  # fmt: skip
        if status == 206:
            headers["Content-Range"] = f"bytes {first}-{last}/{length}"
        await call.begin(status, headers)
        await self._send(call, let, found, first, last)
        return None

    async def _send(self, call: Call, let: Let, found: Any, first: int, last: int) -> None:
        at = first
        while at <= last:
            if let.known.revoked:
                call.connection.give_up()
                raise Gone
            length = min(PART_BYTES, last - at + 1)
            part = await self._read(let, ("part", found.sha256, at, length), found.read, at, length)
            if not part or call.connection.transport.is_closing():
                call.connection.give_up()  # what was promised does not come: the client must see it
                raise Gone
            at += len(part)
            try:
                await asyncio.wait_for(call.write(part, more=at <= last), WRITE_S)
            except TimeoutError as error:
                call.connection.give_up()
                raise Gone from error
        if first > last:
            await call.write(b"")


def _check(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise Absent("a digest has 64 hexadecimal digits")


def _range(text: str, length: int) -> tuple[int, int, int] | None:
    """First and last byte, and the status (RFC 9110, section 14.2: what is no single range is passed over); None where
    it begins behind the end."""
    told = _RANGE.fullmatch(text)
    if told is None:
        return 0, length - 1, 200
    first = int(told[1])
    last = min(int(told[2]) if told[2] else length - 1, length - 1)
    if first >= length or first > last:
        return None
    return first, last, 206
