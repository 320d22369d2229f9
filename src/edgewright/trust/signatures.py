"""Detached signatures over domain-separated bytes.

What is signed is the DSSE pre-authentication encoding (secure-systems-lab/dsse, protocol.md, v1.0.2): the kind of the
message and its length come before the message, so that a signature made over one kind of file is worthless under
another, whatever the bytes. The message itself is signed as it lies on the disk: nothing is decoded, parsed or
canonicalised before its signature holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgewright.core.digests import canonical_json
from edgewright.core.errors import TrustError
from edgewright.core.strict import parse_json
from edgewright.trust.keys import PublicKey, SigningKey

SCHEMA = "edgewright.signature/1"
LIMIT_BYTES = 1024
"""No signature file is longer."""


def pre_authentication_encoding(kind: str, message: bytes) -> bytes:
    """``DSSEv1 SP LEN(kind) SP kind SP LEN(message) SP message``, lengths in decimal bytes."""
    name = kind.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(message), message)


def sign(message: bytes, kind: str, key: SigningKey) -> bytes:
    """The signature file's bytes: the same for the same message, kind and key."""
    return _spell(kind, key.public.id, key.sign(pre_authentication_encoding(kind, message)))


def verify(message: bytes, signature: bytes, kind: str, trusted: Iterable[PublicKey]) -> PublicKey:
    """The trusted key that made ``signature``, a signature file's bytes, over ``message``. Raises TrustError.

    A key id only selects among ``trusted``; a key that is not there is never fetched or believed.
    """
    try:
        value = parse_json(signature, LIMIT_BYTES)
    except ValueError as error:
        raise TrustError(f"the signature cannot be read: {error}") from error
    fields: dict[str, Any] = value if isinstance(value, dict) else {}
    if fields.get("schema") != SCHEMA:
        raise TrustError(f"the signature has schema {fields.get('schema')!r}; this release knows {SCHEMA!r}")
    key = next((k for k in trusted if k.id == fields.get("keyid")), None)
    if key is None:
        keyid = ascii(fields.get("keyid"))[:80].strip("'")  # a stranger's text: nothing in it reaches a terminal raw
        way = "serve, measure and bundle verify trust it by --key FILE.pub"
        raise TrustError(f"signed by key {keyid}, which is not trusted here; {way}")
    try:
        made = bytes.fromhex(fields.get("sig", ""))
        one_spelling = _spell(kind, key.id, made) == signature
    except (TypeError, ValueError):
        one_spelling = False
    if not one_spelling:
        raise TrustError(f"the signature file is not one over a {kind}")
    if not key.verifies(made, pre_authentication_encoding(kind, message)):
        raise TrustError(f"the signature of key {key.id[:12]} does not hold: the signed bytes were changed")
    return key


def _spell(kind: str, keyid: str, made: bytes) -> bytes:
    value = {"schema": SCHEMA, "payloadType": kind, "keyid": keyid, "sig": made.hex()}
    return canonical_json(value) + b"\n"
