"""Making a delta, on the hub: the recipe and the chunks that turn one bundle's files into another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from edgewright.bundles.deltas.codec import Code, encode
from edgewright.bundles.deltas.onnxwire import Buffer
from edgewright.bundles.deltas.recipe import (
    BASE_BYTES,
    PART_BYTES,
    Chunk,
    Made,
    Part,
    Range,
    Recipe,
    read_recipe,
    render,
)
from edgewright.bundles.deltas.splitting import Segment, split
from edgewright.bundles.names import MANIFEST, SIGNATURE
from edgewright.core.digests import digest_bytes

_CHUNK_BYTES = 2**20
"""A chunk is closed once it holds so much: few requests, and little lost when one breaks off."""
_WORTH = 0.9
"""A file takes bases only where they leave at most this share of what zstd alone leaves: each is one more to lose."""
_COPY_BYTES = 64
"""Shorter copies cost more in the recipe than they save, unless they prolong another."""

Keep = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Delta:
    """``recipe``: as ``read_recipe`` takes it. ``chunks``: by digest; empty where they were handed on as they came.
    ``size_bytes``: recipe and chunks; ``whole_bytes``: the files themselves."""

    recipe: bytes
    chunks: Mapping[str, bytes]
    size_bytes: int
    whole_bytes: int


def make_delta(old: Mapping[str, Buffer], new: Mapping[str, Buffer], keep: Keep | None = None) -> Delta:
    """What turns the files ``old`` into ``new``, both by name. The same files give the same bytes.

    The manifest and its signature are left out of ``new``: a device gets them first, with the update's metadata, and
    reads the others' digests from them. ``keep`` takes each chunk (digest, bytes) as it is made; then memory beside
    the files themselves, which may be memory maps, is bounded by the largest file's coded form.
    """
    wanted = {name: data for name, data in new.items() if name not in (MANIFEST, SIGNATURE)}
    held: dict[str, bytes] = {}
    packer = _Packer(keep or held.__setitem__)
    known = _Known(old)
    files: dict[str, Made] = {}
    segments = split(wanted)
    for name, data in wanted.items():
        digest = digest_bytes(memoryview(data))
        own = digest in known.digests
        files[name] = Made(digest, len(data), None if own else tuple(_parts(data, segments[name], known, packer)))
    packer.flush()
    recipe = render(Recipe(tuple(packer.chunks), files))
    read_recipe(
        recipe, {name: (made.digest, made.size) for name, made in files.items()}
    )  # what none could use is a bug
    size = len(recipe) + sum(chunk.size for chunk in packer.chunks)
    return Delta(recipe, held, size, sum(map(len, wanted.values())))


class _Known:
    """The old files: where each of their parts lies, by content, and each segment, by its keys."""

    def __init__(self, files: Mapping[str, Buffer]) -> None:
        self.files = {digest_bytes(memoryview(data)): data for data in files.values()}
        digest_of = {name: digest_bytes(memoryview(data)) for name, data in files.items()}
        self.digests = set(self.files)
        self.places: dict[str, Range] = {}
        self.segments: dict[str, tuple[str, Segment]] = {}
        for name, segments in split(files).items():
            for segment in segments:
                for key in segment.keys:
                    self.segments.setdefault(key, (digest_of[name], segment))
                for start, length in _cut(segment):
                    piece = memoryview(files[name])[start : start + length]
                    self.places.setdefault(digest_bytes(piece), Range(digest_of[name], start, length))

    def base(self, segment: Segment, offset: int, length: int) -> Range | None:
        """The old bytes that ``length`` ones at ``offset`` of a new segment are coded against."""
        found = next((self.segments[key] for key in segment.keys if key in self.segments), None)
        if found is None:
            return None
        digest, old = found
        if old.length == segment.length:
            return Range(digest, old.start + offset, length)
        if segment.tensor:
            return None
        # What moved has moved a little: the same place, and half a part more on either side.
        start = max(min(offset, old.length) - PART_BYTES // 2, 0)
        return Range(digest, old.start + start, min(length + PART_BYTES, old.length - start, BASE_BYTES))

    def read(self, place: Range) -> bytes:
        """The bytes there."""
        return bytes(memoryview(self.files[place.digest])[place.start : place.start + place.length])


@dataclass
class _Packer:
    """Coded parts, put together to chunks; what was coded before is not coded again."""

    keep: Keep
    chunks: list[Chunk] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)
    filled: int = 0
    known: dict[str, Part] = field(default_factory=dict)

    def put(self, digest: str, part: Part, coded: bytes) -> Part:
        """``part`` with its place; ``digest`` is that of its content."""
        if digest in self.known:
            return self.known[digest]
        if self.filled and self.filled + len(coded) > 2 * _CHUNK_BYTES:
            self.flush()
        placed = replace(part, chunk=len(self.chunks), start=self.filled, size=len(coded))
        self.known[digest] = placed
        self.waiting.append(coded)
        self.filled += len(coded)
        if self.filled >= _CHUNK_BYTES:
            self.flush()
        return placed

    def flush(self) -> None:
        """Close the chunk that is being filled."""
        if self.filled:
            data = b"".join(self.waiting)
            digest = digest_bytes(data)
            self.keep(digest, data)
            self.chunks.append(Chunk(digest, len(data)))
            self.waiting, self.filled = [], 0


@dataclass(frozen=True)
class _Coded:
    """A part and its coded bytes; none for a copy."""

    part: Part
    data: bytes


def _cut(segment: Segment) -> Iterator[tuple[int, int]]:
    """(start, length) of a segment's parts."""
    for start in range(segment.start, segment.start + segment.length, PART_BYTES):
        yield start, min(PART_BYTES, segment.start + segment.length - start)


def _parts(data: Buffer, segments: list[Segment], known: _Known, packer: _Packer) -> list[Part]:
    """The parts of one new file, coded parts put into chunks."""
    with_bases: list[tuple[str, _Coded]] = []
    without: list[_Coded] = []
    for segment in segments:
        for start, length in _cut(segment):
            piece = bytes(memoryview(data)[start : start + length])
            digest = digest_bytes(piece)
            plain = _best(piece, [("zstd", width) for width in sorted({1, segment.width})], b"", None)
            without.append(plain)
            place = known.places.get(digest)
            if place is not None and _pays(place, with_bases):
                with_bases.append((digest, _Coded(Part(length, place), b"")))
                continue
            base = known.base(segment, start - segment.start, length)
            against = None if base is None else _best(piece, _ways(segment, base, length), known.read(base), base)
            with_bases.append((digest, min(filter(None, (plain, against)), key=lambda c: len(c.data))))
    if sum(len(c.data) for _, c in with_bases) > _WORTH * sum(len(c.data) for c in without):
        with_bases = [(digest, c) for (digest, _), c in zip(with_bases, without, strict=True)]
    placed = [packer.put(digest, c.part, c.data) if c.data else c.part for digest, c in with_bases]
    return _joined(placed)


def _pays(place: Range, before: list[tuple[str, _Coded]]) -> bool:
    last = before[-1][1].part.base if before and not before[-1][1].data else None
    return place.length >= _COPY_BYTES or (last is not None and _follows(place, last))


def _ways(segment: Segment, base: Range, length: int) -> list[tuple[Code, int]]:
    """The codes worth trying against a base."""
    same: list[tuple[Code, int]] = []
    if base.length == length:
        same = [("bytes", segment.width), ("bits", segment.width)]
    return same if segment.tensor else [*same, ("prefix", 1)]


def _best(piece: bytes, ways: list[tuple[Code, int]], base: bytes, place: Range | None) -> _Coded:
    """The shortest of these codings; stored where none is shorter than the bytes themselves."""
    best = _Coded(Part(len(piece), None), piece)
    for code, width in ways:
        coded = encode(code, piece, base, width)
        if len(coded) < len(best.data):
            best = _Coded(Part(len(piece), place, code, width), coded)
    return best


def _joined(parts: list[Part]) -> list[Part]:
    """The parts, copies that follow one another in an old file made one."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1].base if joined and joined[-1].chunk is None else None
        if last is not None and part.chunk is None and part.base is not None and _follows(part.base, last):
            length = last.length + part.length
            joined[-1] = Part(length, replace(last, length=length))
        else:
            joined.append(part)
    return joined


def _follows(place: Range, last: Range) -> bool:
    return (place.digest, place.start) == (last.digest, last.start + last.length)
