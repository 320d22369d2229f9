"""Copies: every device fetches the bundle's bytes and hashes them; one copy is kept and verified for all."""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from pathlib import Path

from edgewright import bundles
from edgewright.agent.net.hub import Offline
from edgewright.core.errors import TrustError
from edgewright.testing.fleet.wire import Line
from edgewright.trust import PublicKey
from edgewright.trust.updates import Release, verify_bundle

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
PIECE_BYTES = 2**20


class Copies:
    """In ``folder``, bundles by the digest of their file. ``verify`` False: bundles are not opened (any bytes will do),
    as in tests of the wire."""

    def __init__(self, folder: Path, verify: bool = True) -> None:
        self._folder, self._verify = folder, verify
        self._sound: set[str] = set()
        self._turn = asyncio.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    async def fetch(self, line: Line, release: Release, piece_bytes: int = PIECE_BYTES) -> int:
        """The bundle's bytes over the device's own connection, by ranges, held against the signed digest; how many.
        Raises Offline, Refusal, TrustError."""
        keep = release.sha256 not in self._sound
        seen, parts, done = sha256(), list[bytes](), 0

        def sink(data: bytes) -> None:
            nonlocal done
            seen.update(data)
            done += len(data)
            if keep:
                parts.append(data)

        while done < release.length:
            begun, last = done, min(done + piece_bytes, release.length) - 1
            headers = {"Range": f"bytes={begun}-{last}", "Accept-Encoding": "identity"}
            answer = await line.ask("GET", f"/device/v1/bundles/{release.sha256}", headers=headers, sink=sink)
            if answer.status == 206:
                found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
                if found is None or [int(n) for n in found.groups()] != [begun, last, release.length]:
                    raise Offline(f"asked for {begun}-{last}, {answer.headers.get('content-range', '')!r} came")
            if done != (last + 1 if answer.status == 206 else release.length):
                raise Offline(f"{done:,} bytes came of {release.length:,}")
        if seen.hexdigest() != release.sha256:
            raise TrustError("what came is not the bundle that was signed")
        if keep:
            await self._keep(release, b"".join(parts))
        return done

    async def _keep(self, release: Release, data: bytes) -> None:
        async with self._turn:
            if release.sha256 in self._sound:
                return
            await asyncio.to_thread(self._check, release, data)
            self._sound.add(release.sha256)

    def _check(self, release: Release, data: bytes) -> None:
        path = self._folder / f"{release.sha256}.ewb"
        path.write_bytes(data)
        verify_bundle(release, path)
        if self._verify:
            keys = [PublicKey(bytes.fromhex(release.signer))] if release.signer else []
            if bundles.verify(path, keys).digest != release.bundle:
                raise TrustError("the bundle's manifest is not the one that was signed")
