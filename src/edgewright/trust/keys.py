"""Ed25519 keys: one per user, made on first use, and the public ones that are trusted by name.

A key's id is the SHA-256 of its 32 raw public bytes (RFC 8032). Private keys are PKCS#8 PEM (RFC 5958), public ones
SubjectPublicKeyInfo PEM (RFC 8410) under one line that names the id, so that ``openssl`` reads both.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, write_file
from edgewright.trust.private import check_folder, make_folder, read_private, write_private

_HEAD = "edgewright public key "
_LIMIT = 4096


@dataclass(frozen=True)
class PublicKey:
    """``raw``: the 32 public bytes. Two keys are equal when their bytes are."""

    raw: bytes

    @cached_property
    def id(self) -> str:
        """SHA-256 of the raw bytes, 64 hexadecimal digits."""
        return digest_bytes(self.raw)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` (64 bytes) was made over ``message`` by this key's holder."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def text(self) -> str:
        """The content of a ``.pub`` file."""
        pem = Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return f"{_HEAD}{self.id}\n{pem.decode('ascii')}"

    @classmethod
    def parse(cls, text: str, name: str = "the key") -> PublicKey:
        """The key in the text of a ``.pub`` file, which must be spelled as ``text`` spells it. Raises InputError."""
        _, _, pem = text.partition("\n")
        try:
            key = load_pem_public_key(pem.encode("ascii"))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InputError(f"{name} is not a public key of Edgewright; pass the .pub file of the signer") from error
        if not isinstance(key, Ed25519PublicKey):
            raise InputError(f"{name} is not an Ed25519 key; pass the .pub file of the signer")
        found = cls(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
        if found.text() != text:
            raise InputError(f"{name}: the first line must read '{_HEAD}{found.id}', and nothing may follow the key")
        return found


@dataclass(frozen=True)
class SigningKey:
    """A private key. It never shows its bytes; ``path`` says where it lies."""

    _key: Ed25519PrivateKey = field(repr=False)
    path: Path | None = None

    @cached_property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same ones for the same message (RFC 8032, section 5.1.6)."""
        return self._key.sign(message)

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key that lies nowhere yet."""
        return cls(Ed25519PrivateKey.generate())


def keys_folder() -> Path:
    """The user's keys: ``$XDG_CONFIG_HOME/edgewright/keys``, else ``~/.config/edgewright/keys``."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG Base Directory Specification: relative paths are invalid and ignored.
    try:
        root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    except RuntimeError as error:
        raise InputError("there is no home folder to keep keys in; set XDG_CONFIG_HOME to a folder of yours") from error
    return root / "edgewright" / "keys"


def own_key(folder: Path | None = None) -> SigningKey:
    """The user's key in ``folder`` (default ``keys_folder()``), made on first use with mode 0600 in a folder of 0700.

    Two processes that make it at once get the same one. Raises TrustError when others may read it or it is someone
    else's, StorageError when it cannot be written.
    """
    folder = folder or keys_folder()
    return named_key(folder / "own.key")


def named_key(path: Path) -> SigningKey:
    """The key at ``path`` (``NAME.key``), made on first use as ``own_key`` makes one, with ``NAME.pub`` beside it."""
    folder = path.parent
    make_folder(folder)
    with _held(folder):
        if not path.exists() and not path.is_symlink():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_private(path, pem)
        key = load_signing_key(path)
        public, text = path.with_suffix(".pub"), key.public.text().encode("ascii")
        if not public.is_file() or public.read_bytes() != text:
            write_file(public, text)
    return key


def own_public_key(folder: Path | None = None) -> PublicKey | None:
    """The public half of the user's key, or None when there is none yet; makes nothing. Raises TrustError as above."""
    path = (folder or keys_folder()) / "own.key"
    if not path.exists():
        return None
    check_folder(path.parent)
    return load_signing_key(path).public


def load_signing_key(path: Path) -> SigningKey:
    """The private key at ``path``. Raises TrustError unless it is the user's own regular file and nobody else's."""
    data = read_private(path)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustError(
            f"{path} is not a private key of Edgewright; restore it, or remove it for a new one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(f"{path} is not an Ed25519 key; restore it, or remove it for a new one")
    return SigningKey(key, path)


def load_public_key(path: str | Path) -> PublicKey:
    """The key in a ``.pub`` file. Raises InputError."""
    try:
        text = read_file(Path(path), _LIMIT).decode("ascii")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a public key of Edgewright; pass the .pub file of the signer") from error
    return PublicKey.parse(text, str(path))


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
