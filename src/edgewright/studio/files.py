"""Files of the pages, read once: each with its type, its compressed twin, and how long a browser may keep it."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}  # fmt: skip
_HASHED = re.compile(r"^assets/.+-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")
_FOREVER, _ASK = "public, max-age=31536000, immutable", "no-cache"


@dataclass(frozen=True)
class File:
    """``data`` and the same under gzip (None where that is no shorter); ``etag`` of the bytes; ``kept``: the
    Cache-Control; ``media``: the Content-Type."""

    data: bytes
    packed: bytes | None
    etag: str
    kept: str
    media: str


def read_pages(folder: Path) -> dict[str, File]:
    """All files below ``folder`` by their path in it; nothing where the pages were not built. What is not in here is
    never looked for on the disk: no path leads out of the folder."""
    if not (folder / INDEX).is_file():
        return {}
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _TYPES:
            name = path.relative_to(folder).as_posix()
            found[name] = _read(path, name)
    return found


def _read(path: Path, name: str) -> File:
    data, twin = path.read_bytes(), path.with_name(path.name + ".gz")
    packed = twin.read_bytes() if twin.is_file() else gzip.compress(data, 6, mtime=0)
    kept = _FOREVER if _HASHED.fullmatch(name) else _ASK
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    return File(data, packed if len(packed) < len(data) else None, etag, kept, _TYPES[path.suffix])
