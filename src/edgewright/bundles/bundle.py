"""Bundle: verified bytes and what they mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgewright.bundles import archive
from edgewright.bundles.content import BundleContent, Variant
from edgewright.bundles.names import BOM, MANIFEST
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError, StorageError
from edgewright.core.files import write_file, write_folder
from edgewright.core.session import Policy, Session
from edgewright.engines import open_session
from edgewright.trust import PublicKey


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle whose signature and digests held. It keeps the very bytes that were checked, and reads none again."""

    content: BundleContent
    files: Mapping[str, bytes]
    signer: PublicKey

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    def __repr__(self) -> str:
        engines = ", ".join(v.engine for v in self.content.variants)
        return f"<Bundle {self.digest[:12]}: {len(self.files)} files, {self.size_bytes:,} bytes, for {engines}>"

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which holds the digest of every other file: it names the bundle's content."""
        return digest_bytes(self.files[MANIFEST])

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(map(len, self.files.values()))

    @property
    def bom(self) -> dict[str, Any]:
        """The CycloneDX bill of materials."""
        value: dict[str, Any] = json.loads(self.files[BOM])
        return value

    def variant(self, engine: str = "") -> Variant:
        """The model for ``engine``; the first, which was chosen by measuring, by default. Raises InputError."""
        found = next((v for v in self.content.variants if engine in ("", v.engine)), None)
        if found is None:
            there = ", ".join(v.engine for v in self.content.variants)
            raise InputError(f"the bundle holds no model for {engine!r}; it holds: {there}")
        return found

    def session(self, engine: str = "", policy: Policy | None = None) -> Session:
        """A session with the options that were measured. Raises EngineError, MissingExtra."""
        variant = self.variant(engine)
        options = variant.options if policy is None else replace(variant.options, policy=policy)
        return open_session(variant.model, variant.engine, options)

    def write(self, folder: Path) -> None:
        """Write the folder form, whole or not at all. Raises StorageError rather than replace what is no bundle."""
        write_bundle(folder, self.files)

    def pack(self, path: Path) -> None:
        """Write the single-file form, whole or not at all: the same bytes for the same bundle. Raises StorageError."""
        if path.is_dir():
            raise StorageError(f"cannot write {path}: it is a folder; name a file")
        write_file(path, archive.pack_files(self.files))


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle's files as a folder, the signature last. Raises StorageError."""
    if folder.is_symlink():
        raise StorageError(f"cannot write {folder}: it is a link; name the folder itself")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise StorageError(f"cannot write {folder}: it holds something that is not a bundle; choose another folder")
    # Until the last file is there, no part of it verifies.
    write_folder(folder, {name: files[name] for name in reversed(archive.order(files))})
