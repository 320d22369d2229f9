"""Rebuilding: a bundle's file from the bundle that lies here and a few chunks, or nothing, and then it comes whole.

    work/delta/recipe, head, chunks/DIGEST      what was fetched          work/delta/files/...    what is made of it

The head (manifest and signature) is the beginning of the bundle's own file. What comes out is the very file that was
signed, held against its digest as if it had come whole: a delta saves bytes and is never believed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from edgewright.agent.net.downloads import Pace, Reading, fetch_file
from edgewright.agent.net.hub import PATIENCE_S, Hub, Refusal
from edgewright.bundles import archive
from edgewright.bundles.deltas import accept, bundle_files, needed, read_recipe, reconstruct
from edgewright.bundles.deltas.recipe import RECIPE_BYTES
from edgewright.bundles.manifest import parse
from edgewright.bundles.names import MANIFEST, SIGNATURE, Limits
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, remove, storage, write_file, write_parts
from edgewright.trust.updates import Release

DELTA = "delta"
_HEAD_BYTES, _SMALL_BYTES, _WORTH, _BLOCK = 8 * 1024, 64 * 1024, 0.9, 2**18


def fetch_delta(hub: Hub, release: Release, old: str, have: Path, work: Path, pace: Pace) -> bool:
    """Bring all that makes the release's file of the bundle ``old`` in the folder ``have``; False where the whole is
    better. Raises Offline, Refusal (not 404), Stopped, StorageError."""
    folder = work / DELTA
    if release.length < _SMALL_BYTES:
        return False
    try:
        if not (folder / "recipe").is_file():
            path = f"/device/v1/deltas/{release.bundle}/{old}"
            write_file(folder / "recipe", hub.ask("GET", path, most_bytes=RECIPE_BYTES).body)
        if not (folder / "head").is_file():
            write_file(folder / "head", _head(hub, release))
        head = Head.of(read_file(folder / "head", release.length), release)
        recipe = read_recipe(read_file(folder / "recipe", RECIPE_BYTES), head.table)
        chunks, known = folder / "chunks", set(bundle_files(have))
        total = sum(chunk.size for chunk in needed(recipe, known, folder / "none"))
        if total > _WORTH * release.length or _lacks_room(work, 3 * release.length):
            return False
        for chunk in needed(recipe, known, chunks):
            with closing(_file(hub, chunk.digest, chunk.size, pace)) as reading:
                fetch_file(reading, folder / "parts" / chunk.digest, chunk.size)
            accept(folder / "parts" / chunk.digest, chunk, chunks)
        return True
    except (TrustError, InputError):
        return False
    except Refusal as refusal:
        if refusal.status in (404, 410, 502):
            return False
        raise


def rebuild(release: Release, have: Path, work: Path, target: Path) -> str:
    """Make ``target`` of what ``fetch_delta`` brought; "" or why it cannot be. Raises StorageError."""
    folder = work / DELTA
    try:
        head = Head.of(read_file(folder / "head", release.length), release)
        recipe = read_recipe(read_file(folder / "recipe", RECIPE_BYTES), head.table)
        wrong = reconstruct(recipe, bundle_files(have), folder / "chunks", folder / "files", head.table)
    except (TrustError, InputError) as error:
        return str(error)
    if wrong:
        return next(f"{name}: {why}" for name, why in wrong.items())
    write_parts(target, _packed(head, folder / "files"))
    return ""


def drop(work: Path) -> None:
    """Forget what was fetched of a delta. Raises StorageError."""
    if (work / DELTA).exists():
        with storage(work):
            remove(work / DELTA)


class Head:
    """The beginning of a bundle's file: ``table``, by the manifest, whose digest is the signed one, and both files."""

    def __init__(self, data: bytes, table: Mapping[str, tuple[str, int]]) -> None:
        self.data, self.table = data, table

    @classmethod
    def of(cls, data: bytes, release: Release) -> Head:
        """Raises TrustError for what is not the release's."""
        first = needs(data)
        if first > len(data):
            raise TrustError("the bundle's beginning was cut off; fetch it whole")
        size = archive.stated_size(data[: archive.BLOCK]) or 0
        manifest = data[archive.BLOCK : archive.BLOCK + size]
        if data[: archive.BLOCK] != archive.header(MANIFEST, size) or digest_bytes(manifest) != release.bundle:
            raise TrustError("the bundle's manifest is not the one that was signed; fetch it whole")
        try:
            _, table = parse(manifest, Limits())
        except (ValueError, RecursionError) as error:
            raise TrustError(f"the bundle's manifest cannot be used: {error}") from error
        return cls(data[:first], {name: told for name, told in table.items() if name not in (MANIFEST, SIGNATURE)})


def needs(data: bytes) -> int:
    """How many bytes manifest and signature take with their headers, as far as ``data`` tells; more than it has where
    it ends before. Raises TrustError for what is no bundle."""
    place = 0
    for _ in range(2):
        if len(data) < place + archive.BLOCK:
            return place + archive.BLOCK
        size = archive.stated_size(data[place : place + archive.BLOCK])
        if size is None or size > Limits().manifest_bytes:
            raise TrustError("this is no bundle's beginning; fetch it whole")
        place += archive.BLOCK + size + len(archive.padding(size))
    return place


def _head(hub: Hub, release: Release) -> bytes:
    data, wanted = b"", min(_HEAD_BYTES, release.length)
    while True:
        headers = {"Range": f"bytes={len(data)}-{wanted - 1}", "Accept-Encoding": "identity"}
        path, most = f"/device/v1/bundles/{release.sha256}", wanted - len(data)
        answer = hub.ask("GET", path, most_bytes=most, seconds=PATIENCE_S, headers=headers)
        if answer.status != 206 or len(answer.body) != most:
            raise TrustError("the hub sends no part of a bundle; fetch it whole")
        data += answer.body
        wanted = min(needs(data), release.length)
        if wanted <= len(data):
            return data[:wanted]


def _file(hub: Hub, digest: str, size: int, pace: Pace) -> Reading:
    return Reading(hub, f"/device/v1/files/{digest}", digest, size, pace)


def _packed(head: Head, folder: Path) -> Iterator[bytes]:
    """The archive, as ``bundles.archive.pack_files`` would have it, block by block."""
    yield head.data
    for name in sorted(head.table):
        size = head.table[name][1]
        yield archive.header(name, size)
        with (folder / name).open("rb") as stream:
            while data := stream.read(_BLOCK):
                yield data
        yield archive.padding(size)
    yield archive.END


def _lacks_room(work: Path, wanted: int) -> bool:
    with storage(work):
        facts = os.statvfs(work)
    return facts.f_bavail * facts.f_frsize < wanted
