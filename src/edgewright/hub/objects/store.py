"""Objects: bytes under a digest, in a folder of the hub's own or in a store that speaks S3 (obstore reads both).

Keys are ``TENANT/KIND/SHA256`` and are made here alone, of checked words. An object is whole or not there, never
changes, and is on the disk when ``put`` returns.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from edgewright.core.errors import DiskFull, InputError, StorageError, Unavailable
from edgewright.core.files import family, storage, sync_folder
from edgewright.hub.errors import Absent
from edgewright.hub.ids import is_id
from edgewright.hub.state import State

if TYPE_CHECKING:
    from obstore.store import RetryConfig

PIECE_BYTES = 2**20
"""What is read and written at once."""
_DIGEST = re.compile("[0-9a-f]{64}")
_KINDS = ("bundles", "deltas", "models", "parts", "reports", "caches", "artifacts")
_RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}  # obstore's own: ten, three minutes
_PART_BYTES, _PARTS = 5 * 2**20, 2  # S3 takes no smaller part but the last


@dataclass(frozen=True)
class Stored:
    """An object that is there: ``tenant``, ``name`` (``KIND/SHA256``), when it was written."""

    tenant: str
    name: str
    written: datetime


@dataclass(frozen=True)
class Objects:
    """The store. ``folder``: where it lies, for a folder of this machine; None elsewhere."""

    store: ObjectStore
    folder: Path | None

    def put(self, tenant: str, name: str, path: Path) -> None:
        """Store the file at ``path``, which lies on the file system of ``folder`` and may be gone afterwards.

        obstore's own local store renames without fsync (apache/arrow-rs-object-store#643), so a folder is written
        here. Raises StorageError.
        """
        key = _key(tenant, name)
        if self.folder is None:
            with _told():
                obstore.put(self.store, key, path, chunk_size=_PART_BYTES, max_concurrency=_PARTS)
            return
        place = self.folder / key
        with storage(place):
            for folder in reversed((place.parent, *place.parent.parents)):
                if not folder.is_dir():
                    folder.mkdir(exist_ok=True, mode=0o700)
                    sync_folder(folder.parent)
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            path.replace(place)
            sync_folder(place.parent)

    def read(self, tenant: str, name: str, start: int, length: int) -> bytes:
        """``length`` bytes from ``start``. Raises Absent, StorageError."""
        if length <= 0:
            return b""
        with _told():
            data = bytes(obstore.get_range(self.store, _key(tenant, name), start=start, length=length))
        if len(data) != length:
            raise StorageError("an object of the store is shorter than it was; restore it from its backup")
        return data

    def pieces(self, tenant: str, name: str, start: int, length: int) -> Iterator[bytes]:
        """The same, a piece at a time."""
        end = start + length
        for at in range(start, end, PIECE_BYTES):
            yield self.read(tenant, name, at, min(PIECE_BYTES, end - at))

    def whole(self, tenant: str, name: str, most: int) -> bytes:
        """All of it. Raises Absent, StorageError (also for more than ``most`` bytes)."""
        with _told():
            found = obstore.get(self.store, _key(tenant, name))
            if found.meta["size"] > most:
                raise StorageError("an object of the store is longer than it was; restore it from its backup")
            return bytes(found.bytes())

    def list(self, tenant: str) -> Iterator[Stored]:
        """The tenant's objects; whatever else lies there is passed over. Raises StorageError."""
        with _told():
            for some in obstore.list(self.store, tenant):
                for one in some:
                    owner, _, name = one["path"].partition("/")
                    if owner == tenant and _is_name(name):
                        yield Stored(owner, name, one["last_modified"])

    def delete(self, tenant: str, name: str) -> None:
        """Remove it, if it is there. Raises StorageError."""
        with _told(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self.store, _key(tenant, name))


def objects(state: State) -> Objects:
    """The hub's store. ``State.objects`` is "" for a folder, or ``s3://BUCKET/PREFIX``; endpoint and credentials come
    from the environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ALLOW_HTTP).
    Raises InputError."""
    return state.part("library.objects", lambda: _open(state))


def work_folder(state: State) -> Path:
    """Where temporary files lie: on the file system of the local objects, wherever that folder leads."""
    return state.folder / "work" if state.objects else state.folder / "objects" / ".work"


def object_name(kind: str, digest: str) -> str:
    """``KIND/SHA256``. Raises InputError."""
    name = f"{kind}/{digest}"
    if not _is_name(name):
        raise InputError("that names no object")
    return name


def _open(state: State) -> Objects:
    if not state.objects:
        folder = state.folder / "objects"
        with storage(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Objects(LocalStore(folder), folder.resolve())
    if not urlsplit(state.objects).netloc or not state.objects.startswith("s3://"):
        raise InputError("objects lie in a folder of the hub's, or at --objects s3://BUCKET/PREFIX")
    try:
        return Objects(from_url(state.objects, retry_config=_RETRY), None)
    except (BaseError, ValueError) as error:
        raise InputError("the store of objects cannot be opened; write --objects s3://BUCKET/PREFIX") from error


def _is_name(name: str) -> bool:
    kind, _, digest = name.partition("/")
    return kind in _KINDS and _DIGEST.fullmatch(digest) is not None


def _key(tenant: str, name: str) -> str:
    if not is_id(tenant, "ten") or not _is_name(name):
        raise InputError("that names no object")
    return f"{tenant}/{name}"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """The store's errors as ours; nothing of them is told to callers, they may hold addresses."""
    try:
        yield
    except FileNotFoundError as error:
        raise Absent("there are no such bytes in the store") from error
    except (BaseError, OSError) as error:
        if isinstance(error, OSError) and family(error) is DiskFull:
            raise DiskFull("the disk of the store of objects is full; free some space there") from error
        raise Unavailable("the store of objects does not answer; try again in a moment") from error
