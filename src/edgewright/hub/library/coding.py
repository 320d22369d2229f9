"""One delta, made in a child process that is shut off: it reads two packed bundles and writes one file.

The file holds the chunks, one after the other, and the recipe. What it says is checked here as a stranger's: each
piece against its digest, the recipe against the new bundle's signed files.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.bundles.deltas import make_delta, read_recipe
from edgewright.bundles.names import MANIFEST, SIGNATURE
from edgewright.core.child import run_child
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import StorageError, TrustError

OUT = "delta"
_CHILD = "edgewright.hub.library.coding:make"
_TIMEOUT_S = 900.0
_SPARE_BYTES = 2**30
_WORTH = 0.9
_DIGEST = re.compile("[0-9a-f]{64}")
_MOST_BYTES = 8 * 2**20  # of one piece: a chunk, or the recipe

Files = Mapping[str, Any]
"""Name -> [SHA-256, bytes, where it begins], as ``Bundle.files`` has it."""


@dataclass(frozen=True)
class Coded:
    """The delta's file: ``recipe`` and ``chunks`` as (SHA-256, where it begins, bytes)."""

    path: Path
    recipe: tuple[str, int, int]
    chunks: tuple[tuple[str, int, int], ...]


def code(folder: Path, old: Files, new: Files, stop: int) -> Coded | None:
    """The delta between the packed bundles ``old`` and ``new`` in ``folder``; None where whole files are as good.

    ``stop``: a descriptor that ends it (see ``core.child``). Raises TrustError, StorageError, ChildError.
    """
    sizes = [sum(place[1] for place in files.values()) for files in (old, new)]
    memory = 2 * sum(sizes) + 2 * max(sizes) + _SPARE_BYTES
    told = run_child(
        _CHILD, {"old": dict(old), "new": dict(new)}, timeout_s=_TIMEOUT_S, memory_bytes=memory, sandbox=True,
        folder=folder, stop=stop, priority="low",
    )  # fmt: skip
    if told is None:
        return None
    path = folder / OUT
    try:
        recipe, chunks = _piece(told["recipe"]), tuple(map(_piece, told["chunks"]))
    except (TypeError, KeyError, ValueError) as error:
        raise TrustError("the delta's maker gave an answer that cannot be used") from error
    _check(path, recipe, chunks, new)
    return Coded(path, recipe, chunks)


def make(argument: dict[str, Any]) -> dict[str, Any] | None:
    """In the child."""
    with Path("old").open("rb") as one, Path("new").open("rb") as other, Path(OUT).open("wb") as out:
        chunks: list[list[Any]] = []

        def keep(digest: str, data: bytes) -> None:
            chunks.append([digest, out.tell(), len(data)])
            out.write(data)

        old = mmap.mmap(one.fileno(), 0, access=mmap.ACCESS_READ)
        new = mmap.mmap(other.fileno(), 0, access=mmap.ACCESS_READ)
        made = make_delta(_laid(old, argument["old"]), _laid(new, argument["new"]), keep)
        if made.size_bytes > _WORTH * made.whole_bytes:
            return None
        recipe = [digest_bytes(made.recipe), out.tell(), len(made.recipe)]
        out.write(made.recipe)
    return {"recipe": recipe, "chunks": chunks}


def _laid(data: mmap.mmap, files: Files) -> dict[str, memoryview]:
    whole = memoryview(data)
    return {name: whole[start : start + size] for name, (_, size, start) in files.items()}


def _piece(value: Any) -> tuple[str, int, int]:
    digest, start, size = value
    if type(digest) is not str or not _DIGEST.fullmatch(digest) or type(start) is not int or type(size) is not int:
        raise ValueError("no piece")
    if start < 0 or not 0 < size <= _MOST_BYTES:
        raise ValueError("no piece of this size")
    return digest, start, size


def _check(path: Path, recipe: tuple[str, int, int], chunks: tuple[tuple[str, int, int], ...], new: Files) -> None:
    sizes = {name: (place[0], place[1]) for name, place in new.items() if name not in (MANIFEST, SIGNATURE)}
    if path.is_symlink() or not path.is_file():
        raise TrustError("the delta's maker left no file")
    try:
        with path.open("rb") as stream:
            for digest, start, size in chunks:
                stream.seek(start)
                if digest_bytes(stream.read(size)) != digest:
                    raise TrustError("a chunk of the delta is not what its digest says")
            stream.seek(recipe[1])
            data = stream.read(recipe[2])
    except OSError as error:
        raise StorageError(f"the delta cannot be read: {error.strerror or error}") from error
    made = read_recipe(data, sizes)
    if {(chunk.digest, chunk.size) for chunk in made.chunks} - {(digest, size) for digest, _, size in chunks}:
        raise TrustError("the delta's recipe needs a chunk that was not made")


def copied(pieces: Iterator[bytes], path: Path) -> None:
    """Write ``pieces`` to ``path``. Raises StorageError."""
    try:
        with path.open("wb") as stream:
            for piece in pieces:
                stream.write(piece)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
