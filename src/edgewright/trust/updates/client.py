"""The device's side: what the hub's metadata says, believed only as far as it is signed, new and within its time.

The rules on bytes are python-tuf's (``TrustedMetadataSet``, the specification's client workflow, section 5). Around
them: no network (a callable fetches), strict JSON, bounds, files that survive a power cut, and ``Memory``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tuf.api.exceptions import EqualVersionNumberError, RepositoryError
from tuf.api.metadata import Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, storage, write_file
from edgewright.trust.private import make_folder
from edgewright.trust.updates.memory import Floor, Memory
from edgewright.trust.updates.metadata import LIMITS, check_json, rules, signed_at
from edgewright.trust.updates.releases import FOLDER, Release

Fetch = Callable[[str, int], bytes]
"""``fetch(name, limit)``: the bytes of a metadata file, at most ``limit`` of them (it stops reading there). Raises
FileNotFoundError when the hub has no such file; whatever else it raises passes through."""

_ANCHOR = "anchor.json"
_MOST_ROOTS = 256  # in one refresh; python-tuf's own bound
_RECORD_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Releases:
    """What may run, by verified targets metadata of ``version``."""

    version: int
    expires: datetime
    _targets: Mapping[str, TargetFile] = field(repr=False)

    def find(self, sha256: str) -> Release:
        """The release whose bundle has that digest. Raises TrustError when there is none: it must not run."""
        target = self._targets.get(FOLDER + sha256)
        if target is None:
            raise TrustError(f"the bundle {sha256[:64]!r} is not released: no release key signed it (or none does now)")
        with rules("the targets metadata"):
            return Release.of(target)

    def named(self, bundle: str) -> Release:
        """The release of the bundle whose manifest has that digest. Raises TrustError when there is none."""
        found = next((release for release in self if bundle and release.bundle == bundle), None)
        if found is None:
            raise TrustError(f"the bundle {bundle[:64]!r} is not released: no release key signed it (or none does now)")
        return found

    def __iter__(self) -> Iterator[Release]:
        return (self.find(path.removeprefix(FOLDER)) for path in self._targets)

    def __len__(self) -> int:
        return len(self._targets)


def begin(folder: Path, root: bytes, digest: str | None = None) -> None:
    """Trust ``root`` (signed root metadata, any version) from now on, and forget what was verified before.

    For enrolment, once. ``digest``: SHA-256 of ``root`` as the owner of its keys says, if they said it to this device.
    Raises TrustError, StorageError.
    """
    if digest is not None and digest_bytes(root) != digest:
        raise TrustError("the hub's root metadata is not the one that was to be trusted; compare the digests")
    check_json(root, Root.type)
    with rules("the root metadata"):
        trusted = TrustedMetadataSet(root, EnvelopeType.METADATA)
    make_folder(folder)
    with storage(folder):
        for role in (Root.type, Timestamp.type, Snapshot.type, Targets.type):
            _path(folder, role).unlink(missing_ok=True)
    write_file(folder / _ANCHOR, root)
    _floor(Memory(0, {}), trusted, Root.type).keep(folder)


def begun(folder: Path) -> bool:
    """Whether a root was trusted here once (``begin``): from then on only its keys say what the next one is."""
    return (folder / _ANCHOR).exists()


def refresh(folder: Path, fetch: Fetch, now: datetime) -> Releases:
    """Fetch what is new, verify all of it, keep it, and say what may run.

    Raises TrustError (``Expired`` when it is too old) and leaves all as it was, but for the parts that were verified
    before the fault; StorageError; whatever ``fetch`` raises.
    """
    memory = Memory.load(folder)
    trusted = _known_root(folder)
    memory = _walk_roots(folder, fetch, trusted, memory)
    trusted.reference_time = clock = memory.clock(now)
    memory = _timestamp(folder, fetch, trusted, memory)
    memory = _snapshot(folder, fetch, trusted, memory)
    memory = _targets(folder, fetch, trusted, memory)
    floor = memory.floors[Timestamp.type]
    # The timestamp had not expired, so this record is at most its life ahead of the time when it was signed.
    if floor.time is None or clock - floor.time >= _RECORD_EVERY:
        memory.raised(Timestamp.type, Floor(floor.version, floor.keys, clock)).keep(folder)
    return Releases(trusted.targets.version, trusted.targets.expires, trusted.targets.targets)


def clock_floor(folder: Path, now: datetime) -> datetime:
    """``now``, or the latest time that it cannot be before by what was verified here. Raises TrustError."""
    return Memory.load(folder).clock(now)


def _known_root(folder: Path) -> TrustedMetadataSet:
    """The newest root kept here; where that is damaged, the one that all began with, from which newer ones follow."""
    for path in (_path(folder, Root.type), folder / _ANCHOR):
        with contextlib.suppress(TrustError, InputError), rules("the root metadata"):
            data = read_file(path, LIMITS[Root.type])
            check_json(data, Root.type)
            return TrustedMetadataSet(data, EnvelopeType.METADATA)
    raise TrustError(f"{folder}: the trusted root metadata cannot be read; enrol again")


def _walk_roots(folder: Path, fetch: Fetch, trusted: TrustedMetadataSet, memory: Memory) -> Memory:
    for _ in range(_MOST_ROOTS):
        name = f"{trusted.root.version + 1}.{Root.type}.json"
        try:
            data = _get(fetch, name, Root.type)
        except FileNotFoundError:
            break
        with rules(name):
            trusted.update_root(data)
        if trusted.root.version > memory.floors[Root.type].version:
            memory = _floor(memory, trusted, Root.type).keep(folder)
        write_file(_path(folder, Root.type), data)
    memory.check(Root.type, trusted.root.version)
    below = memory.under(trusted.root)
    if below.floors.keys() != memory.floors.keys():
        # First the files, then the floors: killed in between, it is done again. Snapshots go in any case, since they
        # remember versions of targets, too.
        with storage(folder):
            _path(folder, Snapshot.type).unlink(missing_ok=True)
            if Timestamp.type not in below.floors:
                _path(folder, Timestamp.type).unlink(missing_ok=True)
        memory = below.keep(folder)
    return memory


def _timestamp(folder: Path, fetch: Fetch, trusted: TrustedMetadataSet, memory: Memory) -> Memory:
    local = _local(folder, Timestamp.type)
    if local is not None:
        with contextlib.suppress(RepositoryError):  # even an expired one is loaded, to compare with
            trusted.update_timestamp(local)
    name = f"{Timestamp.type}.json"
    data = _get(fetch, name, Timestamp.type)
    with rules(name), contextlib.suppress(EqualVersionNumberError):
        trusted.update_timestamp(data)
        return _keep(folder, trusted, memory, Timestamp.type, data)
    memory.check(Timestamp.type, trusted.timestamp.version)
    return memory


def _snapshot(folder: Path, fetch: Fetch, trusted: TrustedMetadataSet, memory: Memory) -> Memory:
    local = _local(folder, Snapshot.type)
    if local is not None:
        with contextlib.suppress(RepositoryError):
            trusted.update_snapshot(local, trusted=True)
            return _keep(folder, trusted, memory, Snapshot.type, None)
    meta = trusted.timestamp.snapshot_meta
    name = f"{meta.version}.{Snapshot.type}.json"
    data = _get(fetch, name, Snapshot.type, meta.length)
    with rules(name):
        trusted.update_snapshot(data)
    return _keep(folder, trusted, memory, Snapshot.type, data)


def _targets(folder: Path, fetch: Fetch, trusted: TrustedMetadataSet, memory: Memory) -> Memory:
    local = _local(folder, Targets.type)
    if local is not None:
        with contextlib.suppress(RepositoryError):
            trusted.update_targets(local)
            return _keep(folder, trusted, memory, Targets.type, None)
    meta = trusted.snapshot.meta.get(f"{Targets.type}.json")
    if meta is None:
        raise TrustError("the snapshot metadata is refused: it names no targets")
    name = f"{meta.version}.{Targets.type}.json"
    data = _get(fetch, name, Targets.type, meta.length)
    with rules(name):
        trusted.update_targets(data)
    return _keep(folder, trusted, memory, Targets.type, data)


def _keep(folder: Path, trusted: TrustedMetadataSet, memory: Memory, role: str, data: bytes | None) -> Memory:
    """What was just verified: checked against the floor, which rises before the file is written."""
    version = trusted[role].version
    memory.check(role, version)
    before = memory.floors.get(role)
    if before is None or version > before.version:
        memory = _floor(memory, trusted, role).keep(folder)
    if data is not None:
        write_file(_path(folder, role), data)
    return memory


def _floor(memory: Memory, trusted: TrustedMetadataSet, role: str) -> Memory:
    signed, before = trusted[role], memory.floors.get(role)
    time = before.time if before else None
    if role in (Root.type, Targets.type):  # by offline keys: what online ones say of the time could block for ever
        with rules(f"the {role} metadata"):
            said = signed_at(signed)
        time = max(filter(None, (time, said)), default=None)
    return memory.raised(role, Floor(signed.version, tuple(trusted.root.roles[role].keyids), time))


def _get(fetch: Fetch, name: str, role: str, length: int | None = None) -> bytes:
    limit = min(LIMITS[role], length or LIMITS[role])
    try:
        data = fetch(name, limit)
    except FileNotFoundError as error:
        if role == Root.type:
            raise
        raise TrustError(f"the hub has no {name}") from error
    if len(data) > limit:
        raise TrustError(f"{name} has {len(data):,} bytes, more than the {limit:,} allowed")
    check_json(data, role)
    return data


def _local(folder: Path, role: str) -> bytes | None:
    """What is kept of a role; None when there is nothing, or nothing that can be read."""
    try:
        data = read_file(_path(folder, role), LIMITS[role])
        check_json(data, role)
    except (InputError, TrustError):
        return None
    return data


def _path(folder: Path, role: str) -> Path:
    return folder / f"{role}.json"
