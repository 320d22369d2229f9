"""Secrets: passwords (argon2id), credentials that are random, and what the hub has to read again (AES-256-GCM)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edgewright.core.errors import TrustError
from edgewright.core.files import write_file
from edgewright.hub.ids import is_id, new_id

_AT_ONCE = 2  # each holds 64 MiB while it runs


class Passwords:
    """argon2id with RFC 9106's second recommended parameters (t=3, m=64 MiB, p=4), a few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._nobody = self.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """The hash with its salt and parameters, as argon2's own program prints it."""
        with self._turns:
            return self._hasher.hash(password)

    def verify(self, known: str | None, password: str) -> bool:
        """Whether ``password`` is the one that was hashed; without a hash, no, and as slowly: names cannot be tried."""
        with self._turns:
            try:
                right = self._hasher.verify(known or self._nobody, unicodedata.normalize("NFKC", password))
            except (VerificationError, InvalidHashError):
                return False
        return right and known is not None

    def outdated(self, known: str) -> bool:
        """Whether the hash was made with other parameters."""
        return self._hasher.check_needs_rehash(known)


@dataclass(frozen=True)
class Credential:
    """What a caller shows: ``KIND.TENANT.ID.SECRET``. The tenant is in it, so that it is looked up inside that
    tenant."""

    kind: str
    tenant: str
    id: str
    secret: str

    @classmethod
    def new(cls, kind: str, tenant: str) -> Credential:
        """A new one with a secret of 256 bits."""
        return cls(kind, tenant, new_id(kind), secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> Credential | None:
        """The credential that ``text`` spells, if it spells one."""
        words = text.split(".") if len(text) < 200 and text.isascii() else []
        if len(words) != 4 or not is_id(f"ten_{words[1]}", "ten"):
            return None
        made = cls(words[0], f"ten_{words[1]}", f"{words[0]}_{words[2]}", words[3])
        return made if is_id(made.id, made.kind) else None

    @property
    def text(self) -> str:
        """As it is shown once and kept nowhere."""
        return f"{self.kind}.{self.tenant[4:]}.{self.id[4:]}.{self.secret}"

    @property
    def digest(self) -> str:
        """SHA-256 of the secret, which is random: no salt and no slow hash is needed."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def holds(self, digest: str) -> bool:
        """Whether ``digest`` is of this secret, compared in constant time."""
        return hmac.compare_digest(self.digest, digest)


@dataclass(frozen=True)
class Safe:
    """Seals what lies in the database and has to be read again, under a key that lies beside it in a file."""

    _key: bytes

    @classmethod
    def at(cls, path: Path) -> Safe:
        """The key in the file, which is made on first use and which nobody else may read. Raises TrustError."""
        if not path.exists():
            write_file(path, AESGCM.generate_key(256), mode=0o600)
        if path.stat().st_mode & 0o077:
            raise TrustError(f"{path} is open to others; run: chmod 600 {path}")
        key = path.read_bytes()
        if len(key) != 32:
            raise TrustError(f"{path} is no key of a hub; restore it from its backup")
        return cls(key)

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for that purpose alone (HKDF, RFC 5869); the same each time."""
        return HKDF(SHA256(), 32, None, f"edgewright hub: {purpose}".encode()).derive(self._key)

    def seal(self, text: str, place: str) -> str:
        """``text`` for the row that ``place`` names: it opens there and nowhere else."""
        nonce = os.urandom(12)
        return base64.b64encode(nonce + AESGCM(self._key).encrypt(nonce, text.encode(), place.encode())).decode()

    def open(self, sealed: str, place: str) -> str:
        """What was sealed. Raises TrustError under another key, or in another place."""
        data = base64.b64decode(sealed)
        try:
            return AESGCM(self._key).decrypt(data[:12], data[12:], place.encode()).decode()
        except InvalidTag as error:
            raise TrustError("what was sealed does not open: this is not the key it was sealed with") from error
