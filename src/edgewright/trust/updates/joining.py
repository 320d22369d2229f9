"""Targets that several key-holders sign, one after the other: the hub puts their signatures together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tuf.api.metadata import Root, Targets

from edgewright.core.errors import TrustError
from edgewright.trust.updates.metadata import encode, parse, public_key, rules, signed_at, signed_by
from edgewright.trust.updates.releases import Release, released


def named_releases(targets: bytes) -> Mapping[str, Release]:
    """The bundles that signed or proposed targets name, by the digest of their file; signatures are not looked at.
    Raises TrustError."""
    return {release.sha256: release for release in released(parse(targets, Targets)).values()}


def targets_version(targets: bytes) -> int:
    """The version of signed or proposed targets. Raises TrustError."""
    return parse(targets, Targets).signed.version


def proposed_at(targets: bytes) -> datetime:
    """When targets were proposed. Raises TrustError."""
    with rules("the targets metadata"):
        made = signed_at(parse(targets, Targets).signed)
        if made is None:
            raise ValueError("it does not say when it was proposed")
        return made


def join_signatures(root: bytes, first: bytes, *others: bytes) -> bytes:
    """``first`` with those signatures of all that release keys of ``root`` made over it. Raises TrustError when the
    others are about anything else."""
    parts = [parse(data, Targets) for data in (first, *others)]
    made, message = parts[0], parts[0].signed_bytes
    if any(part.signed_bytes != message for part in parts):
        raise TrustError("these targets are not the ones that were signed before")
    trusted = parse(root, Root).signed
    signatures = {}
    for keyid in trusted.roles[Targets.type].keyids:
        with rules("the root metadata"):
            key = public_key(trusted.keys[keyid])
        found = (part for part in parts if signed_by(part, [key]))
        if (part := next(found, None)) is not None:
            signatures[keyid] = part.signatures[keyid]
    made.signatures.clear()
    made.signatures.update(signatures)
    return encode(made)
