"""The root: who may sign what. Proposed anywhere, signed offline by several, effective when enough of them did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Key, Metadata, Role, Root, Snapshot, Targets, Timestamp

from edgewright.core.errors import InputError
from edgewright.trust.keys import PublicKey, SigningKey
from edgewright.trust.updates.metadata import (
    LIVES,
    SIGNED_AT,
    add_signature,
    encode,
    now_fields,
    parse,
    public_key,
    rules,
    tuf_key,
)
from edgewright.trust.updates.releases import check_times


@dataclass(frozen=True)
class RoleKeys:
    """``keys`` of which ``threshold`` must sign."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1


@dataclass(frozen=True)
class Keys:
    """Who signs what: ``root`` and ``release`` lie offline, ``snapshot`` and ``timestamp`` on the hub.

    Raises InputError when a threshold cannot be met, a key comes twice, or an online key could sign offline's part.
    """

    root: RoleKeys
    release: RoleKeys
    snapshot: PublicKey
    timestamp: PublicKey

    def __post_init__(self) -> None:
        for what, role in (("root", self.root), ("release", self.release)):
            if len(set(role.keys)) != len(role.keys):
                raise InputError(f"a {what} key is named twice; a threshold would count its holder twice")
            if not 1 <= role.threshold <= len(role.keys):
                raise InputError(f"{role.threshold} of {len(role.keys)} {what} keys can never sign")
        if {self.snapshot, self.timestamp} & {*self.root.keys, *self.release.keys}:
            raise InputError("a key on the hub must be neither a root nor a release key; make one for each")

    def roles(self) -> dict[str, RoleKeys]:
        """By the names that TUF gives the roles."""
        return {
            Root.type: self.root,
            Targets.type: self.release,
            Snapshot.type: RoleKeys((self.snapshot,)),
            Timestamp.type: RoleKeys((self.timestamp,)),
        }

    @classmethod
    def of(cls, root: bytes) -> Keys:
        """Who signs what by root metadata, unless that says anything else. Raises TrustError."""
        metadata = parse(root, Root)
        with rules("the root metadata"):
            return _keys(metadata)


def propose_root(keys: Keys, now: datetime, current: bytes | None = None) -> bytes:
    """Unsigned root metadata that follows ``current`` (None: the first). Raises InputError, TrustError."""
    version = parse(current, Root).signed.version + 1 if current else 1
    found: dict[str, Key] = {}
    roles = {}
    for name, role in keys.roles().items():
        made = [tuf_key(key) for key in role.keys]
        found |= {key.keyid: key for key in made}
        roles[name] = Role([key.keyid for key in made], role.threshold)
    root = Root(
        version=version,
        expires=now + LIVES[Root.type],
        keys=found,
        roles=roles,
        consistent_snapshot=True,
        unrecognized_fields=now_fields(now),
    )
    return encode(Metadata(root))


def review_root(proposed: bytes, current: bytes | None) -> str:
    """What signing ``proposed`` would change against ``current``, for people: keys by the ids in their ``.pub`` files.
    Raises TrustError."""
    new, old = Keys.of(proposed).roles(), Keys.of(current).roles() if current else {}
    signed = parse(proposed, Root).signed
    lines = [f"root version {signed.version}, valid until {signed.expires:%Y-%m-%d}"]
    for name, role in new.items():
        before = old.get(name, RoleKeys((), 0))
        lines.append(f"  {name}: {role.threshold} of {len(role.keys)} (before: {_share(before)})")
        lines += [f"    {_mark(key, role, before)} {key.id}" for key in dict.fromkeys((*role.keys, *before.keys))]
    return "\n".join(lines)


def sign_root(proposed: bytes, key: SigningKey, now: datetime) -> bytes:
    """``proposed`` with the signature of ``key`` beside those it has. Show ``review_root`` first.

    A root takes effect when enough keys of the root before it and enough of its own have signed. Raises TrustError.
    """
    Keys.of(proposed)
    metadata = parse(proposed, Root)
    check_times(metadata.signed, now)
    add_signature(metadata, key)
    return encode(metadata)


def _keys(metadata: Metadata[Root]) -> Keys:
    root = metadata.signed
    strange: Iterable[object] = (root.unrecognized_fields.keys() ^ {SIGNED_AT}, metadata.unrecognized_fields)
    if any(strange) or any(role.unrecognized_fields for role in root.roles.values()):
        raise ValueError("it has fields that nobody would see")
    if not root.consistent_snapshot:
        raise ValueError("it is not for consistent snapshots")
    roles = {
        name: RoleKeys(tuple(public_key(root.keys[keyid]) for keyid in role.keyids), role.threshold)
        for name, role in root.roles.items()
    }
    if {keyid for role in root.roles.values() for keyid in role.keyids} != set(root.keys):
        raise ValueError("it names a key that has no role")
    online = [roles[name] for name in (Snapshot.type, Timestamp.type)]
    if any(len(role.keys) != 1 or role.threshold != 1 for role in online):
        raise ValueError("the hub has one key for snapshots and one for timestamps")
    try:
        return Keys(roles[Root.type], roles[Targets.type], online[0].keys[0], online[1].keys[0])
    except InputError as error:
        raise ValueError(str(error)) from error


def _share(role: RoleKeys) -> str:
    return f"{role.threshold} of {len(role.keys)}" if role.keys else "none"


def _mark(key: PublicKey, now: RoleKeys, before: RoleKeys) -> str:
    if key not in before.keys:
        return "+"
    return " " if key in now.keys else "-"
