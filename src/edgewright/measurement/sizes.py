"""Sizes: what a model takes on the disk, and what a download of it takes."""

from __future__ import annotations

import zlib
from typing import Any

from edgewright.core.measurement import Measurement
from edgewright.core.model import Model

_LEVEL = 9
_CHUNK = 1 << 20


def compressed_bytes(data: bytes, level: int = _LEVEL) -> int:
    """Bytes of ``data`` as a zlib stream of that level, made in pieces so that no second copy is held."""
    packer = zlib.compressobj(level)
    view = memoryview(data)
    size = sum(len(packer.compress(view[start : start + _CHUNK])) for start in range(0, len(data), _CHUNK))
    return size + len(packer.flush())


def measure_sizes(model: Model, target: str = "host") -> dict[str, Measurement]:
    """``size_bytes`` (all files) and ``download_bytes`` (each file compressed by itself, as a web server would).

    Exact counts: the same bytes give the same figures. The compressor and its level stand in the conditions.
    """
    files = {name: compressed_bytes(data) for name, data in sorted(model.files.items())}

    def exact(value: int, conditions: dict[str, Any]) -> Measurement:
        return Measurement(value, "B", "measured", 1, value, value, conditions, target, model.digest)

    how = f"zlib {zlib.ZLIB_RUNTIME_VERSION} level {_LEVEL}, file by file"
    return {
        "size_bytes": exact(model.size_bytes, {"files": len(files)}),
        "download_bytes": exact(sum(files.values()), {"files": len(files), "compression": how}),
    }
