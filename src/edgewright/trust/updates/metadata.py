"""TUF metadata as bytes (specification 1.0.31), read strictly before python-tuf reads it.

Keys are Ed25519 only, with the key ids that the specification gives them (SHA-256 of the key's canonical JSON). A
signature over metadata is none over a bundle or the other way round: what is signed here begins with '{', what
``trust.signatures`` signs begins with 'DSSEv1'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import Key, Signature, SSlibKey
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import SerializationError

from edgewright.core.errors import TrustError
from edgewright.core.strict import parse_json
from edgewright.trust.keys import PublicKey, SigningKey

LIMITS = {Root.type: 2**16, Timestamp.type: 2**14, Snapshot.type: 2**16, Targets.type: 2**23}
"""No metadata file has more bytes; 8 MiB of targets are some 20,000 bundles."""
LIVES = {
    Root.type: timedelta(days=730),
    Targets.type: timedelta(days=365),
    Snapshot.type: timedelta(days=7),
    Timestamp.type: timedelta(days=2),
}
"""How long metadata is valid. The first two need a person, the last two the hub."""
SIGNED_AT = "x-edgewright-signed-at"
"""A field of what offline keys sign: the earliest that it can be, for devices whose clock restarted."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


class Expired(TrustError):  # noqa: N818 - reads as what it says
    """Metadata that was good once is too old: the hub did not renew it, somebody holds it back, or a clock is wrong."""


@contextlib.contextmanager
def rules(what: str) -> Iterator[None]:
    """Turn python-tuf's errors inside the block into a TrustError about ``what``."""
    try:
        yield
    except ExpiredMetadataError as error:
        hint = "renew it on the hub, or set this machine's clock"
        raise Expired(f"{_one_line(error)}; {hint}") from error
    except (RepositoryError, SerializationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrustError(f"{what} is refused: {_one_line(error)}") from error


def check_json(data: bytes, role: str) -> dict[str, Any]:
    """The JSON object in ``data``, which every parser would read the same way. Raises TrustError."""
    try:
        value = parse_json(data, LIMITS[role])
    except ValueError as error:
        raise TrustError(f"the {role} metadata cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise TrustError(f"the {role} metadata cannot be read: it is no object")
    return value


def parse(data: bytes, kind: type[S]) -> Metadata[S]:
    """Metadata of one kind; whether anybody signed it is not looked at. Raises TrustError."""
    value = check_json(data, kind.type)
    with rules(f"the {kind.type} metadata"):
        metadata = Metadata[S].from_dict(value)
        if not isinstance(metadata.signed, kind):
            raise ValueError(f"it is {type(metadata.signed).__name__.lower()} metadata")
        if type(metadata.signed.version) is not int:
            raise ValueError("its version is not a whole number")
    return metadata


def encode(metadata: Metadata[Any]) -> bytes:
    """One spelling of the file."""
    return metadata.to_bytes()


def add_signature(metadata: Metadata[Any], key: SigningKey) -> None:
    """Sign what ``metadata`` holds now, beside the signatures that it has."""
    keyid = tuf_key(key.public).keyid
    metadata.signatures[keyid] = Signature(keyid, key.sign(metadata.signed_bytes).hex())


def signed_by(metadata: Metadata[Any], keys: Iterable[PublicKey]) -> bool:
    """Whether at least one of ``keys`` signed it."""
    for key in keys:
        signature = metadata.signatures.get(tuf_key(key).keyid)
        try:
            if signature is not None and key.verifies(bytes.fromhex(signature.signature), metadata.signed_bytes):
                return True
        except ValueError:
            continue
    return False


def tuf_key(key: PublicKey) -> SSlibKey:
    """``key`` as root metadata names it."""
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.raw))


def public_key(key: Key) -> PublicKey:
    """The key that root metadata names. Raises ValueError unless it is Ed25519, under its own id, and no more."""
    try:
        found = PublicKey(bytes.fromhex(key.keyval["public"]))
        known = tuf_key(found)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the key {key.keyid[:12]} is not an Ed25519 key") from error
    if known != key:
        raise ValueError(f"the key {key.keyid[:12]} is not an Ed25519 key under its own id")
    return found


def now_fields(now: datetime) -> dict[str, Any]:
    """The fields of our own in what offline keys sign."""
    return {SIGNED_AT: spell_time(now)}


def signed_at(signed: Signed) -> datetime | None:
    """When it was signed, as its signer says; None where it does not say. Raises ValueError."""
    text = signed.unrecognized_fields.get(SIGNED_AT)
    return None if text is None else parse_time(text)


def spell_time(when: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as TUF spells it."""
    return when.astimezone(UTC).strftime(_TIME)


def parse_time(text: Any) -> datetime:
    """The time that ``text`` spells. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("a time is not a text")
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def _one_line(error: Exception) -> str:
    # What a stranger wrote may be in it: printable, and not for ever.
    text = ascii(str(error) or type(error).__name__)[1:-1]
    return text[:200]
