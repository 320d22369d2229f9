"""Using a delta, on the device: what to fetch, and the files made of it. Memory is bounded by the parts, not the files.

Nothing here trusts a chunk, a base or a recipe: they are only ever a way to bytes whose SHA-256 is known from before.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from edgewright.bundles.deltas.codec import decode
from edgewright.bundles.deltas.recipe import Chunk, Made, Part, Range, Recipe, hold
from edgewright.bundles.manifest import parse
from edgewright.bundles.names import MANIFEST, SIGNATURE, Limits
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, storage, sync_folder, write_parts

_BLOCK = 2**18

Have = Mapping[str, Path]
"""Files that the device has: SHA-256 -> path. A wrong entry costs a fetch of the whole file, never a wrong file."""


def bundle_files(folder: Path) -> dict[str, Path]:
    """The files of the bundle in ``folder``, by the digests that its manifest gives. Raises InputError.

    Nothing is verified: what is made of them is.
    """
    manifest = read_file(folder / MANIFEST, Limits().manifest_bytes)
    try:
        _, table = parse(manifest, Limits())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{folder} holds no bundle that can be read: {error}; fetch the new files whole") from error
    found = {digest: folder / name for name, (digest, _) in table.items()}
    found[digest_bytes(manifest)] = folder / MANIFEST
    if (folder / SIGNATURE).is_file():
        found[digest_bytes(read_file(folder / SIGNATURE, 2**20))] = folder / SIGNATURE
    return found


def needed(recipe: Recipe, have: Collection[str], folder: Path, whole: Collection[str] = ()) -> tuple[Chunk, ...]:
    """What is to be fetched before ``reconstruct``, each once; what ``folder`` holds already is left out.

    ``have``: digests of the files that the device has. A file one of whose bases is not among them, or whose name is
    in ``whole``, is fetched whole, under its own digest.
    """
    wanted: dict[Chunk, None] = {}
    for name, made in recipe.files.items():
        if name in whole or made.digest not in have:
            if name in whole or made.parts is None or not made.bases() <= set(have):
                wanted[Chunk(made.digest, made.size)] = None
            else:
                wanted.update(dict.fromkeys(recipe.chunks[p.chunk] for p in made.parts if p.chunk is not None))
    return tuple(chunk for chunk in wanted if not _there(folder / chunk.digest, chunk.size))


def accept(part: Path, chunk: Chunk, folder: Path) -> Path:
    """Make the fetched file ``part``, on the same file system, a chunk of ``folder``: its path there.

    Raises TrustError, and removes ``part``, when its bytes are not the chunk's; StorageError.
    """
    if not _is(part, chunk.digest, chunk.size):
        part.unlink(missing_ok=True)
        raise TrustError(f"what was fetched as {chunk.digest[:12]} has other bytes; fetch it again")
    path = folder / chunk.digest
    with storage(path):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        part.replace(path)
        sync_folder(folder)
    return path


def reconstruct(
    recipe: Recipe, have: Have, folder: Path, into: Path, sizes: Mapping[str, tuple[str, int]]
) -> dict[str, str]:
    """Make the files of ``sizes`` (name -> signed SHA-256 and bytes) in ``into``, each whole or not at all.

    Files that are there and right are kept. Gives the names of those that could not be made, each with the reason;
    fetch these whole (``needed(..., whole=names)``) and run again. Empty: all are there, and every one has its digest.
    Raises TrustError for a recipe of other files, StorageError for a full or broken disk.
    """
    hold(recipe, sizes)
    wrong: dict[str, str] = {}
    for name, made in recipe.files.items():
        target = into / name
        if _is(target, made.digest, made.size):
            continue
        reasons = []
        for source in _sources(recipe, made, have, folder):
            try:
                write_parts(target, _checked(source, made))
                break
            except _UnmadeError as error:
                reasons.append(str(error))
        else:
            wrong[name] = "; ".join(reasons) or "neither the file nor its chunks are there"
    return wrong


class _UnmadeError(Exception):
    """This way does not lead to the file."""


def _sources(recipe: Recipe, made: Made, have: Have, folder: Path) -> Iterator[Iterator[bytes]]:
    """The ways to a file's bytes, the cheapest first."""
    if made.digest in have:
        yield _copy(have[made.digest], 0, made.size)
    if _there(folder / made.digest, made.size):
        yield _copy(folder / made.digest, 0, made.size)
    if made.parts is not None:
        yield _follow(recipe, made.parts, have, folder)


def _checked(source: Iterator[bytes], made: Made) -> Iterator[bytes]:
    """The bytes of ``source``; raises _UnmadeError at the end, before they are a file, when they are not the file's."""
    state, left = hashlib.sha256(), made.size
    for data in source:
        left -= len(data)
        if left < 0:
            raise _UnmadeError("more bytes than it should have")
        state.update(data)
        yield data
    if left or state.hexdigest() != made.digest:
        raise _UnmadeError("other bytes than were signed: a base or a chunk is damaged")


def _follow(recipe: Recipe, parts: tuple[Part, ...], have: Have, folder: Path) -> Iterator[bytes]:
    for part in parts:
        if part.chunk is None:
            assert part.base is not None  # noqa: S101 - narrowing: a part is a copy or has a chunk
            yield from _copy(_place(have, part.base), part.base.start, part.length)
            continue
        coded = b"".join(_copy(folder / recipe.chunks[part.chunk].digest, part.start, part.size))
        base = b"" if part.base is None else b"".join(_copy(_place(have, part.base), part.base.start, part.base.length))
        try:
            yield decode(part.code, coded, base, part.width, part.length)
        except ValueError as error:
            raise _UnmadeError(f"a chunk does not decode ({error})") from error


def _place(have: Have, base: Range) -> Path:
    if base.digest not in have:
        raise _UnmadeError(f"the base {base.digest[:12]} is not here")
    return have[base.digest]


def _copy(path: Path, start: int, length: int) -> Iterator[bytes]:
    """``length`` bytes from ``start`` of a plain file, in blocks. Raises _UnmadeError when it does not hold them."""
    try:
        with _open(path) as stream:
            stream.seek(start)
            while length:
                data = stream.read(min(length, _BLOCK))
                if not data:
                    raise _UnmadeError(f"{path.name[:40]} is too short")
                length -= len(data)
                yield data
    except OSError as error:
        raise _UnmadeError(f"{path.name[:40]} cannot be read ({error.strerror})") from error


def _open(path: Path) -> BinaryIO:
    # A pipe would keep us waiting, a link could lead anywhere.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "not a plain file")
    return os.fdopen(handle, "rb")


def _there(path: Path, size: int) -> bool:
    try:
        facts = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size == size


def _is(path: Path, digest: str, size: int) -> bool:
    """Whether the file there has these very bytes."""
    if not _there(path, size):
        return False
    state = hashlib.sha256()
    try:
        for data in _copy(path, 0, size):
            state.update(data)
    except _UnmadeError:
        return False
    return state.hexdigest() == digest
