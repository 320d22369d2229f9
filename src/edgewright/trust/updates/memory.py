"""What a device must never forget: the newest versions that it verified, and a time that it cannot be before.

python-tuf remembers through the metadata files themselves, and takes an unreadable one for an absent one: a power cut
could make an old timestamp acceptable again. So the versions are kept apart, in two files written one after the other,
each with its own digest; the newer readable one counts. If neither can be read, nothing is believed.

A floor falls only when a key that could have raised it is taken out of the root (specification 1.0.31, section 5.3.11:
recovery from fast-forward attacks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Root, Snapshot, Timestamp

from edgewright.core.digests import canonical_json, digest_json
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, write_file
from edgewright.core.strict import parse_json
from edgewright.trust.updates.metadata import parse_time, spell_time

SCHEMA = "edgewright.floors/1"
FILES = ("floors.a.json", "floors.b.json")
_LIMIT_BYTES = 65536


@dataclass(frozen=True)
class Floor:
    """``version``: the newest verified; ``keys``: ids of those who could sign it; ``time``: it is not earlier."""

    version: int
    keys: tuple[str, ...]
    time: datetime | None = None


@dataclass(frozen=True)
class Memory:
    """Floors by role. ``sequence`` tells which of the two copies is the newer."""

    sequence: int
    floors: Mapping[str, Floor]

    @classmethod
    def load(cls, folder: Path) -> Memory:
        """The newer of the copies that can be read. Raises TrustError when none can."""
        found = [memory for memory in (_read(folder / name) for name in FILES) if memory is not None]
        if not found:
            raise TrustError(
                f"{folder}: what was verified before cannot be read, so old and new cannot be told apart; enrol again"
            )
        return max(found, key=lambda memory: memory.sequence)

    def keep(self, folder: Path) -> Memory:
        """Write both copies, one after the other. Raises StorageError."""
        made = replace(self, sequence=self.sequence + 1)
        for name in FILES:
            write_file(folder / name, made._spell(), mode=0o600)
        return made

    def check(self, role: str, version: int) -> None:
        """Raise TrustError when ``version`` is older than what was verified before."""
        floor = self.floors.get(role)
        if floor is not None and version < floor.version:
            raise TrustError(
                f"the {role} metadata is refused: version {version}, but this device has verified version"
                f" {floor.version}; the hub was set back, or somebody replays what it once said"
            )

    def raised(self, role: str, floor: Floor) -> Memory:
        """With a new floor for ``role``."""
        return replace(self, floors={**self.floors, role: floor})

    def under(self, root: Root) -> Memory:
        """Without the floors that a key raised which ``root`` does not name any more."""
        gone = {
            role
            for role, floor in self.floors.items()
            if role != Root.type and not set(floor.keys) <= set(root.roles[role].keyids)
        }
        if gone & {Timestamp.type, Snapshot.type}:
            gone |= {Timestamp.type, Snapshot.type}
        kept = {role: floor for role, floor in self.floors.items() if role not in gone}
        return replace(self, floors=kept)

    def clock(self, now: datetime) -> datetime:
        """``now``, or the latest time that it cannot be before. A clock that is ahead is not found here: it makes
        metadata expire, which holds updates back until the clock is right, and leaves no trace."""
        return max([now, *(floor.time for floor in self.floors.values() if floor.time is not None)])

    def _spell(self) -> bytes:
        floors = {
            role: {"version": f.version, "keys": list(f.keys), "time": spell_time(f.time) if f.time else None}
            for role, f in self.floors.items()
        }
        value = {"schema": SCHEMA, "sequence": self.sequence, "floors": floors}
        return canonical_json({**value, "digest": digest_json(value)}) + b"\n"


def _read(path: Path) -> Memory | None:
    try:
        value = parse_json(read_file(path, _LIMIT_BYTES), _LIMIT_BYTES)
        digest = value.pop("digest")
        if value["schema"] != SCHEMA or digest != digest_json(value):
            return None
        return Memory(value["sequence"], {role: _floor(entry) for role, entry in value["floors"].items()})
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged: the other copy counts


def _floor(entry: dict[str, Any]) -> Floor:
    time = entry["time"]
    return Floor(int(entry["version"]), tuple(entry["keys"]), parse_time(time) if time is not None else None)
