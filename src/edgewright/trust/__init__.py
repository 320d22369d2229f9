"""Trust: keys, and signatures that mean one thing only."""

from __future__ import annotations

from edgewright.trust.keys import (
    PublicKey,
    SigningKey,
    keys_folder,
    load_public_key,
    load_signing_key,
    named_key,
    own_key,
    own_public_key,
)
from edgewright.trust.signatures import sign, verify

__all__ = [
    "PublicKey",
    "SigningKey",
    "keys_folder",
    "load_public_key",
    "load_signing_key",
    "named_key",
    "own_key",
    "own_public_key",
    "sign",
    "verify",
]
