"""The recipe: which bytes of the old files and which chunks make each new file. As bytes, one zstd frame of JSON.

    {"schema": "edgewright.delta/1",
     "have": [SHA-256 of an old file, ...],
     "chunks": [[SHA-256, bytes], ...],
     "files": {name: {"sha256": ..., "size": ..., "parts": [part, ...] or null}}}

A part is [length, file, start]: bytes of the old file ``have[file]``; or [length, code, width, chunk, start, size] and,
for codes with a base, its [..., file, start, length]. A file whose parts are null is the device's own, by its digest,
or fetched whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.bundles.deltas.codec import Code, pack, unpack
from edgewright.bundles.names import Limits, check_names
from edgewright.core.digests import canonical_json
from edgewright.core.errors import TrustError
from edgewright.core.fields import Fields, each
from edgewright.core.strict import parse_json

SCHEMA = "edgewright.delta/1"
RECIPE_BYTES = 4 * 2**20
"""Unpacked, and as it is sent."""
PART_BYTES = 2 * 2**20
"""Of one coded part, and what bounds the memory of both sides: a tensor that is longer has several parts."""
BASE_BYTES = 2 * PART_BYTES
_CHUNK_BYTES = 4 * PART_BYTES
_MOST_PARTS = 65_536
_CODES: tuple[Code, ...] = ("stored", "zstd", "bytes", "bits", "prefix")
_BASED = ("bytes", "bits", "prefix")
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Range:
    """``length`` bytes from ``start`` of the file with the SHA-256 ``digest``."""

    digest: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Part:
    """``length`` bytes of a new file: a copy of ``base`` when ``chunk`` is None, else ``size`` bytes from ``start`` of
    the chunk of that number, decoded."""

    length: int
    base: Range | None
    code: Code = "stored"
    width: int = 1
    chunk: int | None = None
    start: int = 0
    size: int = 0


@dataclass(frozen=True)
class Chunk:
    """What is fetched: a file of so many bytes, named by its SHA-256."""

    digest: str
    size: int


@dataclass(frozen=True)
class Made:
    """A new file: its SHA-256, its bytes and its parts; None for a file that only comes whole."""

    digest: str
    size: int
    parts: tuple[Part, ...] | None

    def bases(self) -> set[str]:
        """Digests of the old files that its parts need."""
        return {part.base.digest for part in self.parts or () if part.base is not None}


@dataclass(frozen=True)
class Recipe:
    """How the new files are made, by name."""

    chunks: tuple[Chunk, ...]
    files: Mapping[str, Made]


def read_recipe(data: bytes, sizes: Mapping[str, tuple[str, int]]) -> Recipe:
    """The recipe in ``data`` for exactly the files of ``sizes``: name -> (SHA-256, bytes), from signed metadata.

    Raises TrustError for anything else, and for what would read, fetch or write more than the files' sizes explain.
    """
    try:
        if len(data) > RECIPE_BYTES:
            raise ValueError(f"it has {len(data):,} bytes, more than the {RECIPE_BYTES:,} allowed")
        value = parse_json(unpack(data, RECIPE_BYTES), RECIPE_BYTES)
        recipe = _recipe(Fields(value, "the recipe"))
        _check(recipe)
    except (ValueError, RecursionError) as error:
        raise TrustError(f"the delta's recipe cannot be used ({error}); fetch the bundle's files whole") from error
    hold(recipe, sizes)
    return recipe


def hold(recipe: Recipe, sizes: Mapping[str, tuple[str, int]]) -> None:
    """Raise TrustError unless the recipe makes exactly the signed files."""
    told = {name: (made.digest, made.size) for name, made in recipe.files.items()}
    if told != dict(sizes):
        name = min(name for name in {*told, *sizes} if told.get(name) != sizes.get(name))
        raise TrustError(f"the delta's recipe makes {name[:80]!r} other than it is signed; fetch the files whole")


def render(recipe: Recipe) -> bytes:
    """The recipe's bytes: the same for the same recipe."""
    have = sorted(set().union(*(made.bases() for made in recipe.files.values())))
    number = {digest: i for i, digest in enumerate(have)}

    def part(p: Part) -> list[Any]:
        base = [] if p.base is None else [number[p.base.digest], p.base.start]
        if p.chunk is None:
            return [p.length, *base]
        whole = base if p.base is None else [*base, p.base.length]
        return [p.length, _CODES.index(p.code), p.width, p.chunk, p.start, p.size, *whole]

    files = {
        name: {
            "sha256": made.digest,
            "size": made.size,
            "parts": None if made.parts is None else [part(p) for p in made.parts],
        }
        for name, made in recipe.files.items()
    }
    chunks = [[chunk.digest, chunk.size] for chunk in recipe.chunks]
    return pack(canonical_json({"schema": SCHEMA, "have": have, "chunks": chunks, "files": files}))


def _recipe(fields: Fields) -> Recipe:
    if fields.text("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA!r}; update the agent")
    have = [_digest(text) for text in fields.texts("have")]
    chunks = tuple(Chunk(_digest(row[0]), _numbers(row[1:], 1)[0]) for row in _rows(fields.take("chunks", list)))

    def made(entry: Fields) -> Made:
        rows = entry.optional("parts", list)
        parts = None if rows is None else tuple(_part(row, have) for row in _rows(rows))
        return Made(_digest(entry.text("sha256")), entry.whole("size"), parts)

    files = each(fields.named("files"), "the entry of", made)
    fields.end()
    return Recipe(chunks, files)


def _part(row: list[Any], have: list[str]) -> Part:
    numbers = _numbers(row, 3, 6, 9)
    if len(numbers) == 3:
        length, file, start = numbers
        return Part(length, Range(_at(have, file), start, length))
    length, code, width, chunk, start, size = numbers[:6]
    base = Range(_at(have, numbers[6]), *numbers[7:]) if len(numbers) == 9 else None
    if (_at(_CODES, code) in _BASED) != (base is not None):
        raise ValueError("a part with a base that its code has no use for, or without one")
    return Part(length, base, _CODES[code], width, chunk, start, size)


def _check(recipe: Recipe) -> None:
    """Bounds on what following it costs, each in proportion to the files' own sizes. Raises ValueError."""
    limits = Limits()
    check_names(recipe.files)
    total = sum(made.size for made in recipe.files.values())
    if total > limits.total_bytes or any(made.size > limits.file_bytes for made in recipe.files.values()):
        raise ValueError("its files are larger than a bundle's may be")
    if len(recipe.files) > limits.files or sum(len(m.parts or ()) for m in recipe.files.values()) > _MOST_PARTS:
        raise ValueError("it has too many files or parts")
    if len(set(recipe.chunks)) < len(recipe.chunks) or any(not 0 < c.size <= _CHUNK_BYTES for c in recipe.chunks):
        raise ValueError("it has a chunk twice, or one of an impossible size")
    # An honest chunk is no longer than what is made of it.
    if sum(chunk.size for chunk in recipe.chunks) > total + 2**20:
        raise ValueError("its chunks are more than the files")
    read = 0
    for name, made in recipe.files.items():
        if made.parts is not None and sum(part.length for part in made.parts) != made.size:
            raise ValueError(f"the parts of {name!r} do not make up its size")
        for part in made.parts or ():
            read += part.size + (part.base.length if part.base else 0)
            _check_part(part, recipe.chunks)
    if read > 4 * total + 2**26:
        raise ValueError("it reads far more than it makes")


def _check_part(part: Part, chunks: tuple[Chunk, ...]) -> None:
    if part.length <= 0:
        raise ValueError("an empty part")
    if part.chunk is None:
        return
    if part.length > PART_BYTES or part.width not in (1, 2, 4, 8):
        raise ValueError("a coded part that is too long")
    if part.start + part.size > _at(chunks, part.chunk).size:
        raise ValueError("a part that lies beyond its chunk")
    if part.base and part.base.length > BASE_BYTES:
        raise ValueError("a base that is too long")


def _rows(value: list[Any]) -> list[list[Any]]:
    if not all(type(row) is list and row for row in value):
        raise ValueError("a row that is no list")
    return value


def _numbers(row: list[Any], *counts: int) -> list[int]:
    if len(row) not in counts or not all(type(n) is int and 0 <= n < 2**53 for n in row):
        raise ValueError("a row of other numbers than it should have")
    return row


def _digest(text: Any) -> str:
    if type(text) is not str or not _DIGEST.fullmatch(text):
        raise ValueError("something that is no SHA-256")
    return text


def _at(values: Any, index: int) -> Any:
    if index >= len(values):
        raise ValueError("a number that leads nowhere")
    return values[index]
