"""Content digests: one SHA-256 spelling for files, JSON values and arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def digest_bytes(data: bytes | memoryview) -> str:
    """SHA-256 of ``data`` as 64 hexadecimal digits, as ``sha256sum`` prints it."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling for a JSON value: sorted keys, no spaces, UTF-8, no NaN. Raises ValueError on NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_json(value: Any) -> str:
    """SHA-256 of the canonical spelling of a JSON value."""
    return digest_bytes(canonical_json(value))


def digest_array(array: NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and C-order bytes, so that equal bytes of another shape differ."""
    head = canonical_json([array.dtype.str, list(array.shape)])
    state = hashlib.sha256(head)
    state.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return state.hexdigest()


def digest_files(files: Mapping[str, bytes]) -> str:
    """Digest of a named set of files. A single file's digest is that of its bytes, whatever its name."""
    return digest_parts({name: digest_bytes(data) for name, data in files.items()})


def digest_parts(digests: Mapping[str, str]) -> str:
    """``digest_files`` of files that are too large to be held, from each one's own digest."""
    return next(iter(digests.values())) if len(digests) == 1 else digest_json(dict(digests))
