"""Metadata: every device fetches the update metadata, and what is new in it is verified once for all of them.

The verification is the real one (``trust.updates.refresh``), in one folder that the whole fleet shares: what it has
seen binds every device, so a hub that tells one device older news than another is found out. A device that meets bytes
that were verified before takes the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from edgewright.core.errors import TrustError
from edgewright.trust.updates import Releases, refresh

Get = Callable[[str], Awaitable[bytes]]
"""Fetches a file of the metadata by its name. Raises FileNotFoundError."""
_TIMESTAMP = "timestamp.json"


class Verified:
    """What a refresh came to: the releases, and the files that it is made of, by name, with their digests."""

    def __init__(self, releases: Releases, files: dict[str, str]) -> None:
        self.releases, self.files = releases, files


class Metadata:
    """``folder``: begun with the tenant's root (``trust.updates.begin``). ``verifications``: how many were made."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder, self._clock = folder, clock
        self._known: dict[str, Verified] = {}
        self._turn = asyncio.Lock()
        self._next_root = 2
        self.verifications = 0

    async def refresh(self, get: Get, held: dict[str, str]) -> Releases:
        """What may run, over a device's own connection. ``held``: names and digests of the files that it has, which
        is brought up to date. Raises TrustError and what ``get`` raises."""
        digest = ""
        try:
            await get(f"{self._next_root}.root.json")  # a root that came is verified below, with all that follows
        except FileNotFoundError:
            digest = _digest(await get(_TIMESTAMP))
        known = self._known.get(digest)
        if known is None:
            async with self._turn:
                known = self._known.get(digest) or await self._verify(get)
        for name, wanted in known.files.items():
            if name != _TIMESTAMP and held.get(name) != wanted and _digest(await get(name)) != wanted:
                raise TrustError(f"{name} is another file than the one that was verified")
        held.clear()
        held.update(known.files)
        return known.releases

    async def _verify(self, get: Get) -> Verified:
        """By way of one device's connection."""
        loop, files, asked = asyncio.get_running_loop(), dict[str, str](), list[str]()

        async def got(name: str) -> bytes:
            return await get(name)

        def fetch(name: str, limit: int) -> bytes:
            asked.append(name)
            data = asyncio.run_coroutine_threadsafe(got(name), loop).result()[:limit]
            files[name] = _digest(data)
            return data

        releases = await asyncio.to_thread(refresh, self._folder, fetch, self._clock())
        self.verifications += 1
        self._next_root = max(int(name.partition(".")[0]) for name in asked if name.endswith(".root.json"))
        before = next(reversed(self._known.values())).files if self._known else {}
        held = {name: digest for name, digest in before.items() if _role(name) not in map(_role, files)}
        made = Verified(releases, {**held, **{n: d for n, d in files.items() if _role(n) != "root"}})
        self._known[files[_TIMESTAMP]] = made
        return made


def _role(name: str) -> str:
    return name.removesuffix(".json").rpartition(".")[2]


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
