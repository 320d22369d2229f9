"""The single-file form: an uncompressed POSIX ustar archive with one spelling.

Every byte follows from the files' names and contents: the manifest first, its signature second, the others by name;
mode 0644, owner 0, time 0; two zero blocks at the end and nothing after them. A reader can therefore demand each header
byte for byte, which leaves no room for links, devices, duplicates, other names, sparse or extended headers. Nothing
is compressed: no ratio to bomb with, no bytes that hang on a compressor's release; transports compress.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from edgewright.bundles.names import MANIFEST, SIGNATURE

BLOCK = 512
END = b"\0" * (2 * BLOCK)
# IEEE Std 1003.1-1988, "ustar": name, mode, uid, gid, size, mtime, checksum, type, link, magic, version, user, group,
# device numbers, prefix.
_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_KINDS = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"5": "a folder",
    b"6": "a pipe", b"x": "an extended header", b"g": "an extended header", b"L": "a long name", b"S": "a sparse file",
}  # fmt: skip


def header(name: str, size: int) -> bytes:
    """The one header of a file of that portable name and size in bytes."""
    prefix, short = _split(name)
    parts = [
        short.encode("ascii"), b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % size, b"00000000000\0",
        b" " * 8, b"0", b"", b"ustar\0", b"00", b"", b"", b"", b"", prefix.encode("ascii"),
    ]  # fmt: skip
    parts[6] = b"%06o\0 " % sum(_FIELDS.pack(*parts))
    return _FIELDS.pack(*parts)


def _split(name: str) -> tuple[str, str]:
    if len(name) <= 100:
        return "", name
    cut = name.index("/", len(name) - 101)  # there is one: `names.portable` bounds the whole and each segment
    return name[:cut], name[cut + 1 :]


def padding(size: int) -> bytes:
    """The zeros that fill a file of ``size`` bytes up to whole blocks."""
    return b"\0" * (-size % BLOCK)


def order(names: Mapping[str, object]) -> list[str]:
    """The order of files in an archive: what must be verified first comes first."""
    return [MANIFEST, SIGNATURE, *sorted(names.keys() - {MANIFEST, SIGNATURE})]


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """The archive of a bundle's files, ``manifest.json`` and ``signature.json`` among them."""
    parts: list[bytes] = []
    for name in order(files):
        parts += [header(name, len(files[name])), files[name], padding(len(files[name]))]
    return b"".join([*parts, END])


def stated_size(block: bytes) -> int | None:
    """The size a header states, or None when it does not state one as ``header`` would."""
    digits = block[124:135]
    return int(digits, 8) if len(digits) == 11 and not digits.strip(b"01234567") else None


def begun(block: bytes) -> bool:
    """Whether it could be an archive's header at all."""
    return len(block) == BLOCK and block[257:262] == b"ustar"


def describe(block: bytes) -> str:
    """What a header that is not the expected one seems to be, for an error."""
    if len(block) < BLOCK:
        return "the archive's end"
    if not block.strip(b"\0"):
        return "an empty block"
    short, prefix = block[:100].rstrip(b"\0"), block[345:500].rstrip(b"\0")
    name = prefix + b"/" + short if prefix and block[257:263] == b"ustar\0" else short
    kind = _KINDS.get(block[156:157], "an entry")
    return f"{kind} {name.decode('ascii', 'replace')[:80]!r}"
