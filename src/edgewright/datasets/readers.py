"""Readers: rows of a source as the model takes them, and a fingerprint of every row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.core.cpus import allowed_cpus
from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.datasets.decode import FILE_LIMIT, screen
from edgewright.datasets.preprocessing import Preprocessing

Rows = NDArray[np.intp]
Fingerprints = NDArray[np.uint8]
"""(n, 16): the first 16 bytes of a row's SHA-256."""
CACHE_BYTES = 256 * 2**20
_CHUNK_BYTES = 16 * 2**20
_WIDTH = 16


class Reader(Protocol):
    """What a split reads from."""

    def __len__(self) -> int: ...

    def read(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Inputs by name, (len(rows), ...)."""
        ...

    def fingerprints(self) -> Fingerprints:
        """One a row, equal exactly where the content is."""
        ...


class ArrayReader:
    """Rows of arrays, cast to the model's dtypes or, for a single image input, preprocessed."""

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], dtypes: Mapping[str, str], preprocessing: Preprocessing | None
    ) -> None:
        self._arrays, self._dtypes, self._preprocessing = dict(arrays), dict(dtypes), preprocessing
        self._count = len(next(iter(self._arrays.values())))

    def __len__(self) -> int:
        return self._count

    def read(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Inputs by name, (len(rows), ...)."""
        chosen = {name: array[rows] for name, array in self._arrays.items()}
        if self._preprocessing is None:
            with np.errstate(over="ignore"):
                return {name: array.astype(self._dtypes[name], copy=False) for name, array in chosen.items()}
        ((name, images),) = chosen.items()
        fit = self._preprocessing.fitted
        fitted = [fit(image, f"row {row} of {name!r}") for row, image in zip(rows, images, strict=True)]
        empty = np.empty((0, *self._preprocessing.size, self._preprocessing.channels), np.uint8)
        return {name: self._preprocessing.finish(np.stack(fitted) if fitted else empty)}

    def fingerprints(self) -> Fingerprints:
        """One a row, equal exactly where the content is."""
        made = np.empty((self._count, _WIDTH), np.uint8)
        for start, stop in self.chunks():
            states = [hashlib.sha256() for _ in range(start, stop)]
            for name in sorted(self._arrays):
                for state, row in zip(states, _bytes(self._arrays[name][start:stop]), strict=True):
                    state.update(row)
            for i, state in enumerate(states, start):
                made[i] = np.frombuffer(state.digest()[:_WIDTH], np.uint8)
        return made

    def not_finite(self) -> tuple[str, int, int] | None:
        """The first input with NaN or infinity once cast: its name, how many rows have some, and the first of them."""
        for name, array in self._arrays.items():
            if array.dtype.kind != "f":
                continue
            count, first = 0, -1
            for start, stop in self.chunks():
                with np.errstate(over="ignore"):
                    kind = self._dtypes[name] if self._preprocessing is None else "float32"
                    chunk = np.asarray(array[start:stop]).astype(kind, copy=False)
                if np.isfinite(chunk).all():
                    continue
                rows = np.flatnonzero(~np.isfinite(chunk.reshape(stop - start, -1)).all(axis=1))
                first = start + int(rows[0]) if first < 0 else first
                count += rows.size
            if count:
                return name, count, first
        return None

    def chunks(self) -> list[tuple[int, int]]:
        """Ranges of rows that together take a bounded number of bytes."""
        row = sum(array.nbytes for array in self._arrays.values()) // max(self._count, 1)
        step = max(_CHUNK_BYTES // max(row, 1), 1)
        return [(start, min(start + step, self._count)) for start in range(0, self._count, step)]


class ImageReader:
    """Image files, decoded when they are read. The first that fit into ``cache_bytes`` are kept, decoded and resized.

    A cache that kept the latest would miss every time in passes over a set larger than itself.
    """

    def __init__(
        self, paths: tuple[Path, ...], name: str, preprocessing: Preprocessing, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self._paths, self._name, self._preprocessing = paths, name, preprocessing
        self._room, self._kept = cache_bytes, dict[int, NDArray[Any]]()
        self._fingerprints: Fingerprints | None = None

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Inputs by name, (len(rows), ...)."""
        height, width = self._preprocessing.size
        pixels = np.empty((len(rows), height, width, self._preprocessing.channels), np.uint8)
        missing: list[int] = []
        for i, row in enumerate(rows):
            kept = self._kept.get(int(row))
            if kept is None:
                missing.append(i)
            else:
                pixels[i] = kept
        for i, image in zip(missing, _in_parallel(self._decode, [int(rows[i]) for i in missing]), strict=True):
            pixels[i] = image
            if image.nbytes <= self._room:
                self._room -= image.nbytes
                self._kept[int(rows[i])] = pixels[i].copy()  # a view would hold the batch, or the uncropped image
        return {self._name: self._preprocessing.finish(pixels)}

    def fingerprints(self) -> Fingerprints:
        """One a row, equal exactly where the files' bytes are. Raises InputError for a file that is no whole image."""
        if self._fingerprints is None:
            digests = _in_parallel(self._fingerprint, list(range(len(self._paths))))
            joined = np.frombuffer(b"".join(digests), np.uint8)
            self._fingerprints = joined.reshape(len(self._paths), _WIDTH)
        return self._fingerprints

    def _fingerprint(self, row: int) -> bytes:
        path = self._paths[row]
        data = read_file(path, FILE_LIMIT)
        screen(data, str(path))
        return hashlib.sha256(data).digest()[:_WIDTH]

    def _decode(self, row: int) -> NDArray[Any]:
        path = self._paths[row]
        data = read_file(path, FILE_LIMIT)
        if self._fingerprints is not None:
            found = hashlib.sha256(data).digest()[:_WIDTH]
            if found != self._fingerprints[row].tobytes():
                raise InputError(f"{path} changed while it was in use; run again")
        return self._preprocessing.fitted(data, str(path))


def _in_parallel(function: Any, rows: list[int]) -> list[Any]:
    """``function`` of each row, in order; decoding and hashing leave the interpreter's lock, so threads help."""
    cores = len(allowed_cpus())
    workers = min(cores, 8, len(rows) // 4)
    if workers < 2:
        return [function(row) for row in rows]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, rows))


def _bytes(chunk: NDArray[Any]) -> list[memoryview]:
    """The bytes of every row of ``chunk``."""
    flat = np.ascontiguousarray(chunk)
    width = flat.nbytes // max(len(chunk), 1)
    if width == 0:
        return [memoryview(b"")] * len(chunk)
    data = flat.reshape(-1).view(np.uint8).data
    return [data[i * width : (i + 1) * width] for i in range(len(chunk))]
