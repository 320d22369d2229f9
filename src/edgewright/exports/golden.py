"""Golden calls as files that any language reads: raw tensors as the protocol's binary extension has them, and an index.

``golden/golden.json``: ``calls``, each with ``inputs`` and ``outputs``: name, ``datatype``, ``shape``, ``file``; and
``tolerances`` by output. A float y answers for a golden g when |y - g| <= absolute + relative |g|.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.session import Arrays
from edgewright.exports.subject import Subject, Tensor


def golden_index(subject: Subject) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The index, and the raw files that it names, relative to ``golden/``."""
    files: dict[str, bytes] = {}

    def told(arrays: Arrays, tensors: Sequence[Tensor], stem: str) -> list[dict[str, Any]]:
        found = []
        for number, tensor in enumerate(tensors):
            array = arrays[tensor.name]
            file = f"{stem}-{number}.bin"
            files[file] = wire_bytes(array)
            found.append({"name": tensor.name, "datatype": tensor.kind.wire, "shape": list(array.shape), "file": file})
        return found

    golden = subject.bundle.content.golden
    index = {
        "calls": [
            {"inputs": told(call.inputs, subject.inputs, f"{number}-input"),
             "outputs": told(call.outputs, subject.outputs, f"{number}-output")}
            for number, call in enumerate(golden.calls)
        ],
        "tolerances": {
            name: {"absolute": one.absolute, "relative": one.relative} for name, one in golden.tolerances.items()
        },
    }  # fmt: skip
    return index, files


def golden_files(subject: Subject, folder: str = "golden") -> dict[str, bytes]:
    """Index and raw files, by name below ``folder``."""
    index, files = golden_index(subject)
    made = {f"{folder}/{name}": data for name, data in files.items()}
    return {f"{folder}/golden.json": json.dumps(index, indent=1, sort_keys=True).encode() + b"\n", **made}


def wire_bytes(array: NDArray[Any]) -> bytes:
    """An array as it travels: little-endian, rows first; each string as four bytes of length and UTF-8."""
    if array.dtype.kind in "OSU":
        found = [one if isinstance(one, bytes) else str(one).encode() for one in array.ravel().tolist()]
        return b"".join(len(one).to_bytes(4, "little") + one for one in found)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
