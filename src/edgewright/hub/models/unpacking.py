"""Unpacking: archives of strangers, into a folder of their own, in a child process that is shut off."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.core.files import safe_name

MOST_ENTRIES, MOST_DEEP = 200_000, 8
_PIECE = 2**20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpack(archive: Path, folder: Path, most_bytes: int) -> list[str]:
    """The names of the files in a zip archive, written below ``folder``. Raises InputError for names that lead
    elsewhere, links, too many entries, or more than ``most_bytes`` in all, however little they take packed."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [e for e in opened.infolist() if not e.is_dir() and not _litter(e.filename)]
            if len(entries) > MOST_ENTRIES:
                raise InputError(f"the archive holds {len(entries):,} files; at most {MOST_ENTRIES:,} are taken")
            left = most_bytes
            for entry in entries:
                left -= _write(opened, entry, folder, left)
    except _BROKEN as error:
        raise InputError(f"the archive is damaged or encrypted ({type(error).__name__}); zip it again") from error
    return [safe_name(entry.filename) for entry in entries]


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, most: int) -> int:
    name = safe_name(entry.filename)
    if name.count("/") > MOST_DEEP or stat.S_ISLNK(entry.external_attr >> 16):
        raise InputError(f"the archive holds {name[:80]!r}, a link or a file too deep; zip plain files")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise InputError(f"the archive holds {name[:80]!r} twice; zip it again")
    size = 0
    with opened.open(entry) as source, path.open("xb") as made:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > most:
                raise InputError("the archive unpacks to more than is taken; leave files out that do not belong to it")
            made.write(piece)
    return size


def _litter(name: str) -> bool:
    """What desktops put into archives by themselves."""
    last = name.rpartition("/")[2]
    return name.startswith("__MACOSX/") or last in (".DS_Store", "Thumbs.db", "desktop.ini")


def common_root(folder: Path) -> Path:
    """The folder in which an archive's content lies: one that was zipped as a whole holds folders itself."""
    entries = list(folder.iterdir())
    whole = len(entries) == 1 and entries[0].is_dir() and any(inner.is_dir() for inner in entries[0].iterdir())
    return entries[0] if whole else folder
