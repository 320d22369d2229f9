"""Names of a bundle's files: plain, portable, and few enough to be held in one's head."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
BOM = "bom.cdx.json"
SKETCHES = "contract/inputs.json"
KIND = "application/vnd.edgewright.bundle.manifest+json"
"""What a bundle's signature is over."""

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?<!\.)")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
# Microsoft, "Naming Files, Paths, and Namespaces": reserved whatever the suffix.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}
# What a ustar header carries, and short enough to unpack below a deep folder on Windows.
_LONGEST, _LONGEST_SEGMENT = 155, 100


@dataclass(frozen=True)
class Limits:
    """Bounds on what is opened, checked before memory is taken. All in bytes but ``files``."""

    manifest_bytes: int = 8 * 2**20
    file_bytes: int = 2 * 2**30
    total_bytes: int = 4 * 2**30
    files: int = 4096


def portable(name: str) -> str:
    """``name`` if every file system and archive can carry it as it is; ValueError with the reason otherwise."""
    segments = name.split("/")
    if len(name) > _LONGEST or max(map(len, segments)) > _LONGEST_SEGMENT:
        raise ValueError(f"the file name {name[:40]!r}... is too long; keep it under {_LONGEST_SEGMENT} characters")
    if not all(map(_SEGMENT.fullmatch, segments)):
        raise ValueError(f"the file name {name!r} is not portable; use letters, digits, '_', '-', '+' and '.'")
    if any(segment.split(".")[0].lower() in _RESERVED for segment in segments):
        raise ValueError(f"the file name {name!r} is reserved on Windows")
    return name


def word(value: str, what: str) -> str:
    """``value`` if it can stand in a file name, a URL and a command line; ValueError otherwise."""
    if not _WORD.fullmatch(value):
        raise ValueError(f"the {what} {value[:80]!r} must be 1 to 64 letters, digits, '.', '_', '+' or '-'")
    return value


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError unless all are portable, no two differ by case only and none is another's folder."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        low = portable(name).lower()
        if low in seen:
            raise ValueError(f"the file names {seen[low]!r} and {name!r} are one on some file systems")
        seen[low] = name
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folders.setdefault(folder.lower(), folder) != folder:
                raise ValueError(f"the folders {folders[folder.lower()]!r} and {folder!r} are one on some file systems")
    both = seen.keys() & folders.keys()
    if both:
        raise ValueError(f"{seen[min(both)]!r} is both a file and a folder")
