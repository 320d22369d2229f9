"""The hub's side: metadata that fits together, from values to values. The hub stores the files and serves them.

A file under a name with a version never changes; ``timestamp.json`` does, and is written last. Versions of snapshot and
timestamp are the seconds since 1970 where that is more than one above the last: a hub that was restored from a backup
is then not taken for one that replays old metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from edgewright.core.errors import InputError, TrustError
from edgewright.trust.keys import SigningKey
from edgewright.trust.updates.ceremony import Keys
from edgewright.trust.updates.metadata import LIMITS, LIVES, add_signature, encode, parse, rules
from edgewright.trust.updates.releases import Release, released

_TARGETS, _SNAPSHOT = f"{Targets.type}.json", f"{Snapshot.type}.json"


@dataclass(frozen=True)
class OnlineKeys:
    """The two keys that the hub holds. They may be one and the same."""

    snapshot: SigningKey
    timestamp: SigningKey


@dataclass(frozen=True)
class Repository:
    """All that devices fetch, as bytes. ``roots``: every version, oldest first; of the others the newest."""

    roots: tuple[bytes, ...]
    targets: bytes
    snapshot: bytes
    timestamp: bytes

    def files(self) -> dict[str, bytes]:
        """Names as TUF gives them, in the order in which they are to be written. Keep older ones: a device that is in
        the middle of a refresh asks for them."""
        files = {f"{number}.root.json": root for number, root in enumerate(self.roots, 1)}
        files[f"{parse(self.targets, Targets).signed.version}.targets.json"] = self.targets
        files[f"{parse(self.snapshot, Snapshot).signed.version}.snapshot.json"] = self.snapshot
        return {**files, "timestamp.json": self.timestamp}

    def releases(self) -> dict[str, Release]:
        """What devices may run, by the digest of the bundle's file."""
        return {release.sha256: release for release in released(parse(self.targets, Targets)).values()}

    def keys(self) -> Keys:
        """Who may sign what now."""
        return Keys.of(self.roots[-1])

    def expires(self) -> dict[str, datetime]:
        """When each role's metadata ends: warn of 'root' and 'targets' months before, renew long before 'timestamp'."""
        return {
            Root.type: parse(self.roots[-1], Root).signed.expires,
            Targets.type: parse(self.targets, Targets).signed.expires,
            Snapshot.type: parse(self.snapshot, Snapshot).signed.expires,
            Timestamp.type: parse(self.timestamp, Timestamp).signed.expires,
        }

    def due(self, now: datetime) -> tuple[str, ...]:
        """The roles whose metadata has less than a third of its life left, or, of the online ones, less than half."""
        share = {Root.type: 3, Targets.type: 3, Snapshot.type: 2, Timestamp.type: 2}
        return tuple(role for role, end in self.expires().items() if now >= end - LIVES[role] / share[role])


def publish(
    before: Repository | None,
    online: OnlineKeys,
    now: datetime,
    root: bytes | None = None,
    targets: bytes | None = None,
) -> Repository:
    """The repository with a newly signed root, newly signed targets, both, or neither (which renews it).

    A root that changes the release keys needs targets that the new keys signed, in the same step. Raises TrustError
    when signatures are missing or anything does not follow what was before; InputError for a first one that lacks a
    part.
    """
    if before is None and (root is None or targets is None):
        raise InputError("a new repository needs a signed root and signed targets, which may be empty")
    roots = _with_root(before.roots if before else (), root, now)
    current = parse(roots[-1], Root).signed
    targets = targets or (before.targets if before else b"")
    version = _check_targets(current, targets, before.targets if before else None, now)
    meta = {_TARGETS: MetaFile.from_data(version, targets, ["sha256"])}
    with rules("the hub's keys"):
        _check_online(Keys.of(roots[-1]), online)
    changed = before is None or before.targets != targets or before.roots != roots
    if changed or before is None or Snapshot.type in before.due(now):
        older = parse(before.snapshot, Snapshot).signed.version if before else 0
        snapshot = _signed(Snapshot(_next(older, now), None, now + LIVES[Snapshot.type], meta), online.snapshot)
    else:
        snapshot = before.snapshot
    pointer = MetaFile.from_data(parse(snapshot, Snapshot).signed.version, snapshot, ["sha256"])
    older = parse(before.timestamp, Timestamp).signed.version if before else 0
    end = now + LIVES[Timestamp.type]
    timestamp = _signed(Timestamp(_next(older, now), None, end, pointer), online.timestamp)
    return Repository(roots, targets, snapshot, timestamp)


def missing_signatures(root: bytes, targets: bytes) -> int:
    """How many more release keys must sign ``targets`` before it can be published under ``root``. Raises TrustError."""
    metadata = parse(targets, Targets)
    with rules("the targets metadata"):
        trusted = parse(root, Root).signed
        return trusted.get_verification_result(Targets.type, metadata.signed_bytes, metadata.signatures).missing


def _with_root(roots: tuple[bytes, ...], root: bytes | None, now: datetime) -> tuple[bytes, ...]:
    if root is None or (roots and roots[-1] == root):
        return roots
    Keys.of(root)
    metadata = parse(root, Root)
    with rules("the new root metadata"):
        if metadata.signed.version != len(roots) + 1:
            raise ValueError(f"it has version {metadata.signed.version}, but {len(roots) + 1} comes next")
        for judge in (parse(roots[-1], Root).signed if roots else metadata.signed, metadata.signed):
            judge.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
        if metadata.signed.is_expired(now):
            raise ValueError("it has expired")
    return (*roots, root)


def _check_targets(root: Root, targets: bytes, before: bytes | None, now: datetime) -> int:
    metadata = parse(targets, Targets)
    released(metadata)
    with rules("the targets metadata"):
        root.verify_delegate(Targets.type, metadata.signed_bytes, metadata.signatures)
        if metadata.signed.is_expired(now):
            raise ValueError("it has expired; propose it again")
        if before is not None and before != targets:
            older = parse(before, Targets).signed.version
            if metadata.signed.version <= older:
                raise ValueError(f"it has version {metadata.signed.version}, but {older} is published")
        if len(targets) > LIMITS[Targets.type]:
            raise ValueError("it is too long; withdraw old bundles")
    return metadata.signed.version


def _check_online(keys: Keys, online: OnlineKeys) -> None:
    for what, wanted, held in (
        ("snapshot", keys.snapshot, online.snapshot),
        ("timestamp", keys.timestamp, online.timestamp),
    ):
        if wanted != held.public:
            raise TrustError(f"the root names the {what} key {wanted.id[:12]}, but the hub holds {held.public.id[:12]}")


def _signed(payload: Snapshot | Timestamp, key: SigningKey) -> bytes:
    metadata: Metadata[Any] = Metadata(payload)
    add_signature(metadata, key)
    return encode(metadata)


def _next(version: int, now: datetime) -> int:
    return max(version + 1, int(now.timestamp()))
