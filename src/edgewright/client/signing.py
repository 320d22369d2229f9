"""Signing: the key-holder's side of releases. Keys never leave this machine; what is signed is shown first, compared
with what was signed here last."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from edgewright.client.hub import Hub
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, storage
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
_SHORTEST = 8
"""Digits that name a bundle."""


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


@dataclass(frozen=True)
class Root:
    """Root metadata, signed by this machine's root key as far as it is its turn, and what it changes, for people."""

    root: bytes
    targets: bytes | None
    review: str


def first_root(hub: Hub, now: datetime) -> Root:
    """The tenant's first root: one root key and one release key, both made on this machine. Raises InputError where
    there is a root already."""
    told = hub.get("/updates")
    if told["roles"]:
        raise InputError("this tenant's update keys are set up already; look at them: edgewright rollout keys")
    online = PublicKey.parse(told["online"], "the hub's online key")
    own = root_key()
    keys = Keys(RoleKeys((own.public,)), RoleKeys((release_key().public,)), online, online)
    root = propose_root(keys, now)
    targets = sign_release(propose_release(None, now), release_key(), now)
    return Root(sign_root(root, own, now), targets, review_root(root, None))


def next_root(hub: Hub, now: datetime, *, new_release_key: bool = False) -> Root:
    """A root that follows the one there is, for another year, and naming the hub's online key as it is now.

    ``new_release_key``: this machine's release key is put aside, and a new one takes its place; what it is to release
    from now on is signed anew. Raises TrustError where this machine's root key is none of the tenant's.
    """
    current = hub.data("/updates/root")
    keys, own = Keys.of(current), root_key()
    if own.public not in keys.root.keys:
        raise TrustError(f"key {own.public.id[:12]} is no root key of this tenant; use a machine that has one")
    online = PublicKey.parse(hub.get("/updates")["online"], "the hub's online key")
    targets = None
    if new_release_key:
        old = release_key()
        _put_aside(old)
        fresh = release_key()
        others = tuple(key for key in keys.release.keys if key != old.public)
        keys = replace(keys, release=RoleKeys((*others, fresh.public), keys.release.threshold))
        targets = sign_release(hub.get("/updates/proposal")["targets"].encode(), fresh, now)
    root = propose_root(replace(keys, snapshot=online, timestamp=online), now, current)
    return Root(sign_root(root, own, now), targets, review_root(root, current))


def publish_root(hub: Hub, made: Root) -> Any:
    """Hand the signed root to the hub."""
    targets = {} if made.targets is None else {"targets": made.targets.decode()}
    return hub.put("/updates/root", {"root": made.root.decode(), **targets})


def proposed(hub: Hub, key: SigningKey) -> Proposed:
    """What waits to be signed, compared with what was signed here last. Raises TrustError, InputError."""
    tenant = str(hub.get("/account")["tenant"]["id"])
    told = hub.get("/updates/proposal")
    if told["root"] is None:
        raise InputError("this tenant has no update keys yet; make them, once: edgewright rollout keys")
    targets, root = told["targets"].encode(), told["root"].encode()
    if key.public not in Keys.of(root).release.keys:
        raise TrustError(f"key {key.public.id[:12]} is no release key of this tenant; use the one that is (--key FILE)")
    return Proposed(review_release(targets, _last(tenant), [key.public]), targets, tenant)


def without(hub: Hub, key: SigningKey, bundle: str, now: datetime) -> Proposed:
    """What is published now without the bundle whose manifest's digest begins with ``bundle``. Raises InputError."""
    tenant = str(hub.get("/account")["tenant"]["id"])
    told = hub.get("/updates/proposal")
    if told["published"] is None:
        raise InputError("nothing is released here yet, so nothing can be withdrawn")
    published = told["published"].encode()
    found = [one for one in review_release(published, None, [key.public]).added if one.bundle.startswith(bundle)]
    if len(found) != 1 or len(bundle) < _SHORTEST:
        raise InputError(f"{len(found)} released bundles begin with {bundle[:64]!r}; name one by 8 digits or more")
    targets = propose_release(published, now, remove=[found[0].sha256])
    return Proposed(review_release(targets, published, Keys.of(told["root"].encode()).release.keys), targets, tenant)


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


def _put_aside(key: SigningKey) -> None:
    """Under a name that tells which it was: nothing that was a key is ever overwritten."""
    if key.path is not None:
        for path in (key.path, key.path.with_suffix(".pub")):
            with storage(path):
                path.rename(path.with_name(f"{path.stem}-{key.public.id[:12]}{path.suffix}"))


def _place(tenant: str) -> Path:
    return keys_folder() / "signed" / f"{tenant}.targets.json"
