"""Preflight: whether there is room for an update, before a byte of it is fetched. The rules are pure."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.files import storage

_BUILT_S = 1_793_491_200.0
"""2026-11-01: no clock that is right tells an earlier time to this release."""
_DAY_S = 86_400.0
_AHEAD_S = 5 * 366 * _DAY_S
_SPARE_BYTES, _SPARE_FILES = 8 * 2**20, 256
_COPIES = 2
"""The bundle as it was fetched, and unpacked beside it."""


@dataclass(frozen=True)
class Needs:
    """What an update needs, as its metadata tells: ``size_bytes`` of the bundle (and of the parts it is made of, where
    they are fetched beside it), ``ram_bytes`` to run, the ``engine``, and the ``architectures`` it is for (none named:
    all). 0 and "": not told."""

    size_bytes: int = 0
    ram_bytes: int = 0
    engine: str = ""
    architectures: tuple[str, ...] = ()

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Needs:
        """From ``Update.details``. Raises InputError."""
        size, ram = details.get("size_bytes", 0), details.get("ram_bytes", 0)
        engine, chips = details.get("engine", ""), details.get("architectures", [])
        right = all(isinstance(n, int) and n >= 0 for n in (size, ram)) and isinstance(engine, str)
        if not right or not isinstance(chips, list | tuple) or not all(isinstance(chip, str) for chip in chips):
            raise InputError("the update tells sizes, engine or architectures that are none; release it again")
        return cls(size, ram, engine, tuple(chips))


@dataclass(frozen=True)
class Room:
    """What there is: free bytes and files (inodes) on the disk, memory in bytes, engines, the architecture."""

    disk_bytes: int
    files: int
    memory_bytes: int
    engines: tuple[str, ...]
    architecture: str

    @classmethod
    def here(cls, state: Path) -> Room:
        """On this machine, on the disk of ``state``. Raises StorageError."""
        from importlib.util import find_spec

        with storage(state):
            facts = os.statvfs(state)
        files = facts.f_favail if facts.f_files else 2**31  # some file systems have no fixed number of them
        engines = tuple(name for name in ("onnxruntime", "openvino") if find_spec(name) is not None)
        return cls(facts.f_bavail * facts.f_frsize, files, _available_bytes(), engines, platform.machine())


def lacks(needs: Needs, room: Room) -> str:
    """What stands against the update now and may change, as a sentence; "" for nothing."""
    wanted = _COPIES * needs.size_bytes + _SPARE_BYTES
    if room.disk_bytes < wanted:
        return f"the disk has {room.disk_bytes:,} bytes free, the update takes {wanted:,}; free some space"
    if room.files < _SPARE_FILES:
        return f"the disk has {room.files:,} inodes free, the update takes up to {_SPARE_FILES}; remove some files"
    if room.memory_bytes and room.memory_bytes < needs.ram_bytes:
        return f"{room.memory_bytes:,} bytes of memory are free, its model takes {needs.ram_bytes:,}"
    return ""


def misfit(needs: Needs, room: Room) -> str:
    """Why the bundle can never run here, as a sentence; "" when it can."""
    if needs.engine and needs.engine not in room.engines:
        return f"it needs the engine {needs.engine}; installed are {', '.join(room.engines) or 'none'}"
    if needs.architectures and room.architecture not in needs.architectures:
        return f"it is for {', '.join(needs.architectures)}; this machine is {room.architecture}"
    return ""


def clock_fault(now_s: float, seen_s: float = 0.0) -> str:
    """Why the clock (s since 1970) cannot be right, as a sentence; "" when it may be. ``seen_s``: the latest time that
    somebody trusted has told (a timestamp's signature, the hub).

    Only what depends on dates waits for it (metadata that expires, certificates); what serves goes on.
    """
    floor = max(seen_s, _BUILT_S)
    if now_s < floor - _DAY_S:
        return "the clock is behind: it tells a time that is over; set it (NTP, or a clock with a battery)"
    if now_s > floor + _AHEAD_S:
        return "the clock is ahead by years; set it (NTP, or a clock with a battery)"
    return ""


def _available_bytes() -> int:
    """MemAvailable of /proc/meminfo (proc(5)), 0 where it is not told."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0
