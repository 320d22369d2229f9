"""Sources: where updates come from. The hub is one (see the sync); a bundle's file on this disk is the simplest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from edgewright.agent.effects import Outcome, done, failed
from edgewright.agent.states import Situation, Update
from edgewright.bundles.archive import pack_files
from edgewright.bundles.names import MANIFEST, Limits
from edgewright.bundles.sources import open_source
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError, StorageError
from edgewright.core.files import read_file, storage, sync_folder, write_file

BUNDLE = "bundle.ewb"
"""What ``reconstruct`` leaves in the update's folder."""
_CHUNK = 1 << 20


class Source(Protocol):
    """The part of an update's effects that is about whence it comes. Each as ``effects.Effects`` has it; ``work``: the
    update's own folder, in which things stay until it is over."""

    def metadata(self, now: Situation) -> Outcome:
        """Learn what the update is made of, and that it may run here."""
        ...

    def fetch(self, now: Situation, work: Path) -> Outcome:
        """Bring its bytes into ``work``, durably; go on where it was cut off."""
        ...

    def reconstruct(self, now: Situation, work: Path) -> Outcome:
        """Leave the bundle as ``work / BUNDLE``, durably. It is verified afterwards, by the caller."""
        ...

    def shadow(self, now: Situation) -> Outcome:
        """Let it run beside what serves, if that is asked for."""
        ...

    def wait(self, now: Situation) -> Outcome:
        """Wait until it may be switched on."""
        ...

    def sync(self, now: Situation) -> Outcome:
        """One successful sync while the bundle serves."""
        ...


class FileSource:
    """Bundles on this machine's disks: ``Update.details["path"]`` names the file or folder. Nothing in it depends on
    clock or network."""

    def metadata(self, now: Situation) -> Outcome:
        """Its size."""
        return done(size_bytes=_size(_path(now)))

    def fetch(self, now: Situation, work: Path) -> Outcome:
        """A copy, so that the file may be taken away (a stick)."""
        path = _path(now)
        if path.is_dir():
            limits = Limits()
            files = {str(p.relative_to(path)): p for p in path.rglob("*") if p.is_file()}
            if len(files) > limits.files or sum(p.stat().st_size for p in files.values()) > limits.total_bytes:
                return failed(f"{path} holds more than a bundle does; name the bundle's own folder")
            write_file(work / BUNDLE, pack_files({name: read_file(p, limits.file_bytes) for name, p in files.items()}))
        else:
            _copy(path, work / BUNDLE)
        return done()

    def reconstruct(self, now: Situation, work: Path) -> Outcome:
        """Nothing to do."""
        return done() if (work / BUNDLE).is_file() else failed("the bundle's copy is gone; update again")

    def shadow(self, now: Situation) -> Outcome:
        """None."""
        return done()

    def wait(self, now: Situation) -> Outcome:
        """At once."""
        return done()

    def sync(self, now: Situation) -> Outcome:
        """There is nobody to sync with."""
        return done()


def update_from(path: Path) -> Update:
    """The update to the bundle at ``path``, a file or a folder. Raises InputError, TrustError."""
    with open_source(path) as source:
        manifest = source.read(MANIFEST, Limits().manifest_bytes)
    return Update(digest_bytes(manifest), path.name[:100], {"path": str(path.resolve())})


def _path(now: Situation) -> Path:
    told = now.update.details.get("path") if now.update is not None else None
    if not isinstance(told, str):
        raise StorageError("the update tells not where its bundle lies; update again")
    path = Path(told)
    if not path.exists():
        raise StorageError(f"{path} is not there any more; update again")
    return path


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file())


def _copy(path: Path, copy: Path) -> None:
    part = copy.with_suffix(".part")
    with storage(copy):
        with path.open("rb") as stream, part.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        part.replace(copy)
        sync_folder(copy.parent)


def file_digest(path: Path) -> str:
    """SHA-256 of a file. Raises InputError."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
