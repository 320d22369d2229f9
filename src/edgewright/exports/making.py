"""Making: an export's files, held to what all exports promise, and written whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from edgewright import __version__
from edgewright.bundles import Bundle, verify
from edgewright.core.errors import InputError
from edgewright.core.files import read_file, safe_name, write_file, write_folder
from edgewright.core.table import Table
from edgewright.exports.contract import Export, Limit
from edgewright.exports.subject import Subject
from edgewright.trust import PublicKey

SCHEMA = "edgewright.export/1"
CARD = "edgewright-export.json"
"""What the export is and of which bundle; in every export."""
README = "README.md"
_ZIP = ".zip"
_CARD_BYTES = 2**20

EXPORTS = Table(
    "kind of export",
    "exports",
    {
        "android": "edgewright.exports.kinds.android:Android",
        "ci": "edgewright.exports.kinds.ci:Ci",
        "cpp": "edgewright.exports.kinds.cpp:Cpp",
        "cpp-onnxruntime": "edgewright.exports.kinds.cpp_onnxruntime:CppOnnxRuntime",
        "docker": "edgewright.exports.kinds.docker:Docker",
        "ios": "edgewright.exports.kinds.ios:Ios",
        "kserve": "edgewright.exports.kinds.kserve:KServe",
        "kubernetes": "edgewright.exports.kinds.kubernetes:Kubernetes",
        "python": "edgewright.exports.kinds.python:Python",
        "systemd": "edgewright.exports.kinds.systemd:Systemd",
        "typescript": "edgewright.exports.kinds.typescript:TypeScript",
    },
)


@dataclass(frozen=True, eq=False)
class Exported:
    """An export, made. ``path``: where it was written, None before that."""

    kind: str
    files: Mapping[str, bytes] = field(repr=False)
    identity: Mapping[str, str]
    verified: bool
    limit: Limit | None
    path: Path | None = None

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(map(len, self.files.values()))

    @property
    def fits(self) -> bool:
        """Whether it is within the platform's limit; True where there is none."""
        return self.limit is None or self.size_bytes <= self.limit.size_bytes

    def to_json(self) -> dict[str, Any]:
        """A JSON value: what it is, of which bundle, how large, and how large it may be."""
        return {
            "schema": SCHEMA, "kind": self.kind, "bundle": dict(self.identity), "verified": self.verified,
            "files": len(self.files), "size_bytes": self.size_bytes, "fits": self.fits,
            "limit": None if self.limit is None else vars(self.limit),
            "path": None if self.path is None else str(self.path),
        }  # fmt: skip


def catalogue() -> list[dict[str, Any]]:
    """Every kind there is: JSON values with ``kind``, ``title``, ``needs``, ``verified``, ``tested``, ``untested``,
    ``limit``."""
    found = []
    for name in EXPORTS:
        one: Export = EXPORTS[name]()
        found.append({
            "kind": name, "title": one.title, "needs": one.needs, "verified": bool(one.tested), "tested": one.tested,
            "untested": one.untested, "limit": None if one.limit is None else vars(one.limit),
        })  # fmt: skip
    return found


def make(bundle: Bundle, kind: str) -> Exported:
    """The export of that kind; nothing is written. The same bytes for the same bundle and release of ours.

    Raises InputError for an unknown kind, and for a bundle that it cannot be made of.
    """
    chosen: Export = EXPORTS[kind]()
    subject = Subject.of(bundle)
    files = dict(chosen.files(subject))
    _check_names(files)
    card = {
        "schema": SCHEMA, "kind": kind, "edgewright": __version__, "bundle": subject.identity,
        "verified": bool(chosen.tested), "tested": chosen.tested, "untested": chosen.untested,
        "files": sorted([*files, CARD]),
    }  # fmt: skip
    files[CARD] = json.dumps(card, indent=1, sort_keys=True).encode() + b"\n"
    return Exported(kind, files, subject.identity, bool(chosen.tested), chosen.limit)


def export(
    bundle: str | Path | Bundle, kind: str, out: str | Path, trusted: Iterable[PublicKey] | None = None
) -> Exported:
    """Verify the bundle, make the export of that kind, and write it: a folder, or one file where ``out`` ends in .zip.

    ``trusted``: as ``bundles.verify`` takes it. An older export in ``out`` is replaced unless there is anything in it
    that no export wrote. Raises
    TrustError, InputError, StorageError; nothing is written then.
    """
    found = bundle if isinstance(bundle, Bundle) else verify(bundle, trusted)
    made, path = make(found, kind), Path(out)
    if path.suffix == _ZIP:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file that ends in {_ZIP}, or another folder")
        write_file(path, zipped(made.files))
    else:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise InputError(f"{path} is no folder; name a new folder, or a file that ends in {_ZIP}")
        if path.is_dir():
            _check_replaceable(path)
        write_folder(path, made.files)
    return Exported(made.kind, made.files, made.identity, made.verified, made.limit, path)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive with one spelling: names in order, stored, no clock, no owner."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return stream.getvalue()


def _check_replaceable(folder: Path) -> None:
    """Raise InputError unless the folder is empty, or holds an older export and nothing else."""
    try:
        told = json.loads(read_file(folder / CARD, _CARD_BYTES))["files"] if (folder / CARD).is_file() else []
        ours = {name for name in told if isinstance(name, str)}
    except (ValueError, KeyError, TypeError):
        ours = set()
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in sorted([*names, *links]):
            found = Path(place, name).relative_to(folder).as_posix()
            if found not in ours:
                raise InputError(f"{folder} holds {found[:80]!r}, which no export wrote; choose a new or empty folder")


def _check_names(files: Mapping[str, bytes]) -> None:
    """What the base enforces, whoever wrote the kind. Raises ValueError: such a kind is wrong, not its input."""
    if README not in files or CARD in files:
        raise ValueError(f"an export has a {README}, and its {CARD} comes of itself")
    low = [safe_name(name).lower() for name in files]
    if len(set(low)) != len(low):
        raise ValueError("two of an export's file names are one on some file systems")
