"""A whole fleet's update metadata in memory: its keys, its repository, the files that a hub would serve."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from edgewright.trust import SigningKey
from edgewright.trust.updates import (
    Keys,
    OnlineKeys,
    Release,
    Repository,
    RoleKeys,
    propose_release,
    propose_root,
    publish,
    sign_release,
    sign_root,
)

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Office:
    """Three root keys of which two must sign, one release key, two keys of the hub; ``now`` moves by ``wait``.

    ``files`` is what devices fetch: everything that was ever published, and the newest timestamp.
    """

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.roots = [SigningKey.generate() for _ in range(3)]
        self.release_keys = [SigningKey.generate()]
        self.online = OnlineKeys(SigningKey.generate(), SigningKey.generate())
        self.files: dict[str, bytes] = {}
        self.repository: Repository | None = None
        root = self.signed_root(self.keys())
        self.publish(root=root, targets=self.signed(propose_release(None, now)))

    def keys(self) -> Keys:
        """Who may sign what, by the keys held now."""
        roots, releases = (tuple(key.public for key in held) for held in (self.roots, self.release_keys))
        return Keys(RoleKeys(roots, 2), RoleKeys(releases), self.online.snapshot.public, self.online.timestamp.public)

    def signed_root(self, keys: Keys, by: list[SigningKey] | None = None) -> bytes:
        """A root that follows the newest, signed by the first two root keys or by ``by``."""
        root = propose_root(keys, self.now, self.repository.roots[-1] if self.repository else None)
        for key in by or self.roots[:2]:
            root = sign_root(root, key, self.now)
        return root

    def signed(self, proposed: bytes) -> bytes:
        """Targets, signed by all release keys."""
        for key in self.release_keys:
            proposed = sign_release(proposed, key, self.now)
        return proposed

    def publish(self, root: bytes | None = None, targets: bytes | None = None) -> None:
        """What the hub does."""
        self.repository = publish(self.repository, self.online, self.now, root, targets)
        self.files |= self.repository.files()

    def release(self, data: bytes, version: str = "1") -> Release:
        """Release a bundle whose file is ``data``."""
        made = Release(hashlib.sha256(data).hexdigest(), len(data), f"r{version}", "digits", version, ("pi4",))
        current = self.repository.targets if self.repository else None
        self.publish(targets=self.signed(propose_release(current, self.now, [made])))
        return made

    def wait(self, renew: bool = True, **span: float) -> None:
        """Let time pass, and the hub renew what it can at its end."""
        self.now += timedelta(**span)
        if renew:
            self.publish()

    def fetch(self, name: str, limit: int) -> bytes:
        """What a device's ``fetch`` does."""
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name][:limit]
