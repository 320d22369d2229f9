"""The cache: answers by what was asked, in bounded memory, each gone with the model version that gave it.

It holds what runs gave (``caching.CachingDesk``), or what preprocessing made of an image (``image_key``). Nothing of it
is on any path unless it was asked for.
"""

from __future__ import annotations

import secrets
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from sys import getsizeof
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.runtime.faults import BadRequest

Arrays = Mapping[str, NDArray[Any]]
_SECRET = secrets.token_bytes(16)
"""Of this process: a client cannot prepare two requests with one key, and so be given another's answer."""
_ENTRY_BYTES = 640
"""What an entry takes beside its arrays' data: key, dict, places in the order and with the owner (measured)."""
_ARRAY_BYTES = 192


def request_key(model: str, inputs: Arrays) -> bytes | None:
    """128 bits over everything an answer depends on; None for arrays that cannot be told apart by their bytes.

    ``model``: digest, engine and options. All its outputs are kept. Equal NaNs are equal, and 0.0 is not -0.0: what
    counts are bytes.
    """
    state = blake2b(digest_size=16, key=_SECRET)
    _tell(state.update, model.encode())
    for name in sorted(inputs):
        array = inputs[name]
        if not isinstance(array, np.ndarray | np.generic):
            raise BadRequest(f"input {name!r} must be a numpy array, got {type(array).__name__}; use numpy.asarray")
        dtype = array.dtype
        _tell(state.update, name.encode(), dtype.str.encode(), dtype.name.encode(), str(array.shape).encode())
        if not dtype.hasobject:
            if array.nbytes:
                state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            continue
        for element in array.ravel().tolist():
            if isinstance(element, str):
                _tell(state.update, b"s", element.encode("utf-8", "surrogatepass"))
            elif isinstance(element, bytes):
                _tell(state.update, b"b", element)
            else:
                return None
    return state.digest()


def image_key(image: bytes | memoryview, preprocessing: Mapping[str, Any]) -> bytes:
    """128 bits over an encoded image and the preprocessing declared for it."""
    state = blake2b(digest_size=16, key=_SECRET)
    _tell(state.update, b"image", canonical_json(dict(preprocessing)))
    state.update(image)
    return state.digest()


def _tell(update: Callable[[bytes], None], *parts: bytes) -> None:
    """Parts with their lengths before them, so that no two lists of parts read the same."""
    update(struct.pack("<I", len(parts)))
    for part in parts:
        update(struct.pack("<Q", len(part)))
        update(part)


@dataclass(frozen=True)
class Counts:
    """``hits`` and ``misses`` make up all that was asked; of the misses, ``joined`` waited for another's answer.
    ``evicted``: for want of room; ``dropped``: with their model."""

    hits: int = 0
    misses: int = 0
    joined: int = 0
    evicted: int = 0
    dropped: int = 0
    entries: int = 0
    bytes: int = 0


class Cache:
    """At most ``most_bytes``, the least recently used forgotten first. An owner is a model version, or what one has.

    What is handed out is read-only and the caller's own view: it can spoil neither the data nor the shape.
    """

    def __init__(self, most_bytes: int) -> None:
        if most_bytes < 1:
            raise InputError(f"a cache of {most_bytes} bytes holds nothing; leave it off, or give it some")
        self.most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[dict[str, NDArray[Any]], int, Any]] = OrderedDict()
        self._owned: WeakKeyDictionary[Any, set[bytes]] = WeakKeyDictionary()
        self._gone: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        self._hits = self._misses = self._joined = self._evicted = self._dropped = self._bytes = 0

    @classmethod
    def of_megabytes(cls, cache_mb: object) -> Cache | None:
        """From the configuration's number of MiB; None for 0. Raises InputError."""
        if isinstance(cache_mb, bool) or not isinstance(cache_mb, int | float) or not 0 <= cache_mb <= 2**20:
            raise InputError(f"cache_mb is a number of MiB from 0 on, not {cache_mb!r}")
        return cls(int(cache_mb * 2**20)) if cache_mb else None

    def find(self, key: bytes, again: bool = False) -> dict[str, NDArray[Any]] | None:
        """What is kept under this key, counted as a hit or a miss; ``again``: its miss was counted before."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self._misses += not again
                return None
            self._hits += 1
            self._kept.move_to_end(key)
        return views(found[0])

    def keep(self, owner: Any, key: bytes, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Remember ``arrays``, unless they are too large or ``owner`` is gone; read-only views of them either way.

        Arrays that are views of others are copied: nobody else must be able to write to what is kept.
        """
        mine = locked(arrays)
        size = _ENTRY_BYTES + sum(_bytes(name, array) for name, array in mine.items())
        if size <= self.most_bytes:
            with self._lock:
                if owner not in self._gone:
                    self._remove(key)
                    self._kept[key] = mine, size, owner
                    self._owned.setdefault(owner, set()).add(key)
                    self._bytes += size
                    while self._bytes > self.most_bytes:
                        self._remove(next(iter(self._kept)))
                        self._evicted += 1
        return views(mine)

    def joined(self) -> None:
        """Count one that waits for another's answer."""
        with self._lock:
            self._joined += 1

    def forget(self, owner: Any) -> None:
        """Drop all that ``owner`` has, and keep nothing for it any more."""
        with self._lock:
            self._gone[owner] = True
            for key in list(self._owned.get(owner, ())):
                self._remove(key)
                self._dropped += 1

    def counts(self) -> Counts:
        """The counters, and what is held now."""
        with self._lock:
            return Counts(
                self._hits, self._misses, self._joined, self._evicted, self._dropped, len(self._kept), self._bytes
            )

    def _remove(self, key: bytes) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            _, size, owner = found
            self._bytes -= size
            self._owned[owner].discard(key)


def locked(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Nobody can write to these; views of others are copied."""
    return {name: _locked(array) for name, array in arrays.items()}


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    own = array if array.base is None and array.flags.owndata else array.copy()
    own.flags.writeable = False
    return own


def views(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """One caller's own: what is done to a view's shape or dtype, nobody else sees."""
    return {name: array.view() for name, array in arrays.items()}


def _bytes(name: str, array: NDArray[Any]) -> int:
    size = _ARRAY_BYTES + getsizeof(name) + array.nbytes
    return size + sum(map(getsizeof, array.ravel().tolist())) if array.dtype.hasobject else size
