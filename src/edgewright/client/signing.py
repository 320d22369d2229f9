"""Signing: the key-holder's side of releases. Keys never leave this machine; what is signed is shown first, compared
with what was signed here last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edgewright.client.hub import Hub
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file
from edgewright.trust.keys import PublicKey, SigningKey, keys_folder, named_key
from edgewright.trust.private import make_folder, write_private
from edgewright.trust.updates import (
    Keys,
    Review,
    RoleKeys,
    propose_release,
    propose_root,
    review_release,
    review_root,
    sign_release,
    sign_root,
)

_LIMIT = 16 * 2**20


@dataclass(frozen=True)
class Proposed:
    """Targets metadata that waits for a signature: what signing it changes, and its bytes."""

    review: Review
    targets: bytes
    tenant: str


def root_key() -> SigningKey:
    """This machine's root key, made on first use."""
    return named_key(keys_folder() / "root.key")


def release_key(path: Path | None = None) -> SigningKey:
    """This machine's release key, made on first use, or the one at ``path``."""
    return named_key(path if path is not None else keys_folder() / "release.key")


def begin_keys(hub: Hub, now: datetime, roots: tuple[PublicKey, ...] = (), threshold: int = 1) -> tuple[bytes, str]:
    """The tenant's first root, signed by this machine's root key, and what it says, for people.

    ``roots``: further root keys, of which ``threshold`` must sign in all. Raises InputError where there is one already.
    """
    told = hub.get("/updates")
    if told["root"] is not None:
        raise InputError("this tenant's update keys are set up already; see edgewright rollout keys --show")
    own = root_key()
    online = [PublicKey(bytes.fromhex(told["online"][name])) for name in ("snapshot", "timestamp")]
    every = tuple(dict.fromkeys((own.public, *roots)))
    keys = Keys(RoleKeys(every, threshold), RoleKeys((release_key().public,)), *online)
    proposed = propose_root(keys, now)
    return sign_root(proposed, own, now), review_root(proposed, None)


def publish_root(hub: Hub, root: bytes, now: datetime) -> Any:
    """Hand the signed root to the hub, with targets that name nothing yet, signed by this machine's release key."""
    targets = sign_release(propose_release(None, now), release_key(), now)
    return hub.put("/updates/root", {"root": root.decode(), "targets": targets.decode()})


def proposed(hub: Hub, key: SigningKey) -> Proposed:
    """What waits to be signed, compared with what was signed here last. Raises TrustError, InputError."""
    tenant = str(hub.get("/account")["tenant"]["id"])
    told = hub.get("/updates/proposal")
    targets, root = told["targets"].encode(), told["root"].encode()
    if key.public not in Keys.of(root).release.keys:
        raise TrustError(f"key {key.public.id[:12]} is no release key of this tenant; use the one that is (--key FILE)")
    return Proposed(review_release(targets, _last(tenant), [key.public]), targets, tenant)


def sign(hub: Hub, what: Proposed, key: SigningKey, now: datetime) -> Any:
    """Sign it, remember it, and hand it to the hub."""
    signed = sign_release(what.targets, key, now)
    answer = hub.put("/updates/targets", {"targets": signed.decode()})
    place = _place(what.tenant)
    make_folder(place.parent)
    write_private(place, signed)
    return answer


def _last(tenant: str) -> bytes | None:
    place = _place(tenant)
    return read_file(place, _LIMIT) if place.exists() else None


def _place(tenant: str) -> Path:
    return keys_folder().parent / "signed" / f"{tenant}.targets.json"
