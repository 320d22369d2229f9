"""Which bundles devices may run: proposed by the hub, looked at and signed on the key-holder's machine.

A bundle is a target ``bundles/SHA256`` of the top-level targets metadata; nothing is delegated. What is signed is what
was parsed and shown: a field that the reviewer would not see is a reason to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tuf.api.metadata import Metadata, TargetFile, Targets

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError, TrustError
from edgewright.trust.keys import PublicKey, SigningKey
from edgewright.trust.updates.metadata import (
    LIVES,
    SIGNED_AT,
    add_signature,
    encode,
    now_fields,
    parse,
    rules,
    signed_at,
    signed_by,
)

FOLDER = "bundles/"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST = 2**40
_PATIENCE = timedelta(days=30)
"""A proposal may wait this long for its signatures."""
_SLACK = timedelta(hours=1)


@dataclass(frozen=True)
class Release:
    """A bundle that may run: the digest and length (bytes) of its single file, and the facts that go with it.

    ``release``: the release it belongs to (several bundles may, one for each hardware); ``hardware``: names of targets.
    All words are 1 to 64 letters, digits, '.', '_', '+' or '-'. ``bundle``: digest of its manifest, by which devices
    know it; ``signer``: the public key (32 bytes, hexadecimal) that signed it, which devices trust because of this.
    Raises InputError.
    """

    sha256: str
    length: int
    release: str
    name: str
    version: str
    hardware: tuple[str, ...] = ()
    bundle: str = ""
    signer: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.sha256, str) or not _DIGEST.fullmatch(self.sha256):
            raise InputError("a bundle's digest is 64 hexadecimal digits")
        if type(self.length) is not int or not 0 < self.length <= _LONGEST:
            raise InputError(f"a bundle of {self.length!r} bytes cannot be meant")
        for word in (self.release, self.name, self.version, *self.hardware):
            if not isinstance(word, str) or not _WORD.fullmatch(word):
                raise InputError(f"{str(word)[:80]!r} must be 1 to 64 letters, digits, '.', '_', '+' or '-'")
        for told in (self.bundle, self.signer):
            if not isinstance(told, str) or (told and not _DIGEST.fullmatch(told)):
                raise InputError("a manifest's digest and a signer's key are 64 hexadecimal digits each")

    @property
    def path(self) -> str:
        """The target's name."""
        return FOLDER + self.sha256

    def target(self) -> TargetFile:
        """As targets metadata says it."""
        facts = {
            "release": self.release,
            "name": self.name,
            "version": self.version,
            "hardware": list(self.hardware),
            "bundle": self.bundle,
            "signer": self.signer,
        }
        return TargetFile(self.length, {"sha256": self.sha256}, self.path, {"custom": facts})

    @classmethod
    def of(cls, target: TargetFile) -> Release:
        """What targets metadata says; facts that only a newer release knows are passed over. Raises ValueError."""
        facts: Any = target.custom
        if not isinstance(facts, dict) or not isinstance(facts.get("hardware"), list):
            raise ValueError(f"the target {target.path[:80]!r} lacks its facts")
        try:
            words = (facts["release"], facts["name"], facts["version"])
            names = (facts.get("bundle", ""), facts.get("signer", ""))
            found = cls(target.hashes.get("sha256", ""), target.length, *words, tuple(facts["hardware"]), *names)
        except (KeyError, InputError) as error:
            raise ValueError(f"the target {target.path[:80]!r}: {error}") from error
        if found.path != target.path:
            raise ValueError(f"the target {target.path[:80]!r} is not named after its digest")
        return found


@dataclass(frozen=True)
class Review:
    """What a signature over a proposal would change. ``against``: the version it was compared with, or None."""

    version: int
    against: int | None
    expires: datetime
    added: tuple[Release, ...]
    removed: tuple[Release, ...]
    kept: int

    def text(self) -> str:
        """For people, a line for each bundle; nothing in it is a stranger's free text."""
        base = f"changes since version {self.against}" if self.against else "nothing signed before: all of it"
        lines = [f"targets version {self.version}, valid until {self.expires:%Y-%m-%d}; {base}"]
        lines += [f"  may run: {_line(release)}" for release in self.added]
        lines += [f"  may no longer run: {_line(release)}" for release in self.removed]
        return "\n".join([*lines, f"  unchanged: {self.kept}"])


def propose_release(
    current: bytes | None, now: datetime, add: Iterable[Release] = (), remove: Iterable[str] = ()
) -> bytes:
    """Unsigned targets metadata that adds bundles to what ``current`` says, and removes digests from it.

    With neither it renews what there is for another year. Raises InputError, TrustError.
    """
    before = parse(current, Targets).signed if current else None
    targets = dict(before.targets) if before else {}
    for digest in remove:
        if targets.pop(FOLDER + digest, None) is None:
            raise InputError(f"no bundle {digest[:64]!r} is released, so it cannot be withdrawn")
    targets |= {release.path: release.target() for release in add}
    version = before.version + 1 if before else 1
    expires = now + LIVES[Targets.type]
    made = Targets(version=version, expires=expires, targets=targets, unrecognized_fields=now_fields(now))
    return encode(Metadata(made))


def review_release(proposed: bytes, last: bytes | None, keys: Iterable[PublicKey]) -> Review:
    """What signing ``proposed`` would change against ``last``: what this key-holder signed last, kept on this machine.

    ``last`` counts only if one of ``keys`` signed it; otherwise all of the proposal is new. Raises TrustError.
    """
    new = released(parse(proposed, Targets))
    before = parse(last, Targets) if last else None
    if before is not None and not signed_by(before, keys):
        before = None
    old = released(before) if before is not None else {}
    signed, against = parse(proposed, Targets).signed, before.signed.version if before else None
    if against is not None and signed.version < against:
        raise TrustError(f"the proposal has version {signed.version}, but version {against} was signed before it")
    added = tuple(release for path, release in new.items() if old.get(path) != release)
    removed = tuple(release for path, release in old.items() if path not in new)
    return Review(signed.version, against, signed.expires, added, removed, len(new) - len(added))


def sign_release(proposed: bytes, key: SigningKey, now: datetime) -> bytes:
    """``proposed`` with the signature of ``key`` beside those it has. Show ``review_release(...).text()`` first.

    Raises TrustError when it holds anything that the review does not show (delegations, fields, other targets), is
    proposed for longer than a year, or is older than 30 days.
    """
    metadata = parse(proposed, Targets)
    released(metadata)
    check_times(metadata.signed, now)
    add_signature(metadata, key)
    return encode(metadata)


def check_times(signed: Any, now: datetime) -> None:
    """Raise TrustError unless a proposal is of these days and valid no longer than its kind may be."""
    with rules(f"the proposed {signed.type} metadata"):
        made = signed_at(signed)
        if made is None or not now - _PATIENCE <= made <= now + _SLACK:
            raise ValueError("it was not proposed within the last 30 days; propose it again, or set this clock")
        if not now < signed.expires <= made + LIVES[signed.type] + _SLACK:
            raise ValueError(f"it would be valid until {signed.expires:%Y-%m-%d}; propose it again")


def released(metadata: Metadata[Targets]) -> Mapping[str, Release]:
    """The bundles that targets metadata names, by target. Raises TrustError when it holds anything else."""
    signed = metadata.signed
    with rules("the proposed targets metadata"):
        if signed.delegations is not None:
            raise ValueError("it hands the right to release on to other keys (delegations)")
        if set(signed.unrecognized_fields) != {SIGNED_AT} or metadata.unrecognized_fields:
            raise ValueError("it has fields that nobody would see")
        found = {path: Release.of(target) for path, target in signed.targets.items()}
        if any(release.target() != signed.targets[path] for path, release in found.items()):
            raise ValueError("a bundle in it has facts that nobody would see")
        return found


def _line(release: Release) -> str:
    hardware = ", ".join(release.hardware) or "any hardware"
    what = f"{release.name} {release.version} (release {release.release}, {hardware})"
    signed = f", signed by key {digest_bytes(bytes.fromhex(release.signer))[:12]}" if release.signer else ""
    bundle = f", bundle {release.bundle}" if release.bundle else ""
    return f"{what}{bundle}{signed}, {release.length:,} bytes, sha256 {release.sha256}"
