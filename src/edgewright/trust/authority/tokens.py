"""Enrolment tokens: used once, kept as a digest only, and telling the device which hub to believe.

On the command line a token reads ``ewenrol.ID.SECRET.ANCHOR.CHECK``: 8 bytes that find its row, 32 random bytes, the
SHA-256 of the hub's root certificate (DER), and 4 bytes that tell a mistyped token from a wrong one. The secret has
256 bits, so that one plain SHA-256 is enough to keep it (NIST SP 800-63B, section 5.1.2.2: look-up secrets of 112 bits
and more need no salt).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from edgewright.core.errors import InputError, TrustError
from edgewright.trust.authority.names import Identity

_HEAD = "ewenrol"
_SIZES = (8, 32, 32, 4)
_NOBODY = "0" * 64
LIFE = timedelta(days=1)
"""How long a token may wait to be used, unless its maker says otherwise."""


@dataclass(frozen=True)
class Token:
    """What the device is given. ``id``: 16 hexadecimal digits; ``anchor``: 64. The secret never shows itself."""

    id: str
    secret: bytes = field(repr=False)
    anchor: str

    @property
    def digest(self) -> str:
        """What a store keeps instead of the secret."""
        return hashlib.sha256(b"edgewright.enrolment/1\0" + bytes.fromhex(self.id) + self.secret).hexdigest()

    def text(self) -> str:
        """The token as it is typed: some 120 characters that no shell and no URL changes."""
        body = [_HEAD, *(_spell(part) for part in (bytes.fromhex(self.id), self.secret, bytes.fromhex(self.anchor)))]
        return ".".join([*body, _spell(_check(".".join(body)))])

    @classmethod
    def parse(cls, text: str) -> Token:
        """The token that ``text`` spells, and nothing else does. Raises InputError, which does not show the secret."""
        head, _, rest = text.partition(".")
        parts = rest.split(".")
        try:
            values = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
        except (binascii.Error, ValueError):
            values = []
        if head != _HEAD or tuple(map(len, values)) != _SIZES:
            raise InputError(f"this is no enrolment token; it begins with '{_HEAD}.' and has four parts after that")
        token = cls(values[0].hex(), values[1], values[2].hex())
        if not hmac.compare_digest(token.text().encode(), text.encode("utf-8", "replace")):
            raise InputError("the token was cut or mistyped; copy the whole of it")
        return token


@dataclass(frozen=True)
class TokenRecord:
    """What the hub keeps: enough to know a token, too little to make it.

    ``device``: the only name it may enrol, or None. ``used_by``: the digest of the key that it let in.
    """

    id: str
    tenant: str
    digest: str
    expires_at: datetime
    device: str | None = None
    used_by: str | None = None
    used_at: datetime | None = None


def issue_token(
    tenant: str, anchor: str, now: datetime, life: timedelta = LIFE, device: str | None = None
) -> tuple[Token, TokenRecord]:
    """A new token for ``tenant`` and the row to keep. ``anchor``: ``Authority.anchor_digest``. Raises InputError."""
    Identity(tenant, device or "any")
    token = Token(secrets.token_hex(_SIZES[0]), secrets.token_bytes(_SIZES[1]), anchor)
    return token, TokenRecord(token.id, tenant, token.digest, now + life, device)


def redeem(record: TokenRecord | None, token: Token, device: str, key: str, now: datetime) -> TokenRecord:
    """The row as it is to be kept once ``token`` has let in the key with the digest ``key`` as ``device``.

    Keep it in the same transaction that stores the device, and only where ``used_at`` is still as it was in ``record``.
    The same key may come again with the same token until it expires: its first answer may have been lost. ``record`` is
    None where no row has the token's id. Raises TrustError; who does not know the secret learns nothing from it.
    """
    kept = record.digest if record is not None and record.id == token.id else _NOBODY
    if not hmac.compare_digest(kept, token.digest) or record is None:
        raise TrustError("this token is not known here; make a new one on the hub")
    if now >= record.expires_at:
        raise TrustError(f"this token expired at {record.expires_at:%Y-%m-%d %H:%M} UTC; make a new one on the hub")
    if record.device not in (None, device):
        raise TrustError(f"this token is for the device {record.device!r}, not for {device[:64]!r}")
    if record.used_by not in (None, key):
        raise TrustError("this token was used already; each device needs one of its own")
    return record if record.used_by else replace(record, used_by=key, used_at=now)


def _spell(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _check(body: str) -> bytes:
    return hashlib.sha256(body.encode("ascii")).digest()[: _SIZES[3]]
