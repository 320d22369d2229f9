"""The hub's CA: roots that devices trust, issuing certificates below them, and what they sign.

One folder of mode 0700: ``authority.json`` with the certificates, and one private key for each CA certificate, named by
its key identifier. A root's key is needed for rotation only and may lie elsewhere until then. Every operation gives
back a new Authority; the folder changes in one rename.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, storage
from edgewright.core.strict import parse_json
from edgewright.trust.authority.certificates import (
    ISSUING_LIFE,
    ROOT_LIFE,
    cross_certificate,
    device_certificate,
    issuing_certificate,
    root_certificate,
    server_certificate,
)
from edgewright.trust.authority.material import (
    certificate_digest,
    chain_pem,
    key_identifier,
    key_pem,
    new_key,
    parse_chain,
    parse_key,
)
from edgewright.trust.authority.names import Identity
from edgewright.trust.authority.peers import Peer, parse_peer
from edgewright.trust.authority.requests import DeviceRequest
from edgewright.trust.private import make_folder, read_private, write_private

SCHEMA = "edgewright.authority/1"
_FILE = "authority.json"
_LIMIT_BYTES = 2**20


@dataclass(frozen=True)
class Issued:
    """A device's certificate: what it is given (``chain``, PEM, leaf first) and what the hub keeps of it."""

    chain: bytes
    peer: Peer


@dataclass(frozen=True)
class ServerIdentity:
    """The hub's own: private key and chain in one PEM, for one file of mode 0600. ``names`` as they were asked for."""

    pem: bytes
    names: tuple[str, ...]
    not_after: datetime


@dataclass(frozen=True)
class Authority:
    """``roots``: what is trusted, oldest first; ``crosses``: newer roots signed by older ones; ``issuing``: oldest
    first, the last one signs."""

    folder: Path
    roots: tuple[x509.Certificate, ...]
    crosses: tuple[x509.Certificate, ...]
    issuing: tuple[x509.Certificate, ...]

    @classmethod
    def create(cls, folder: Path, now: datetime) -> Authority:
        """A new CA in ``folder``. Raises InputError when there is one, TrustError, StorageError."""
        make_folder(folder)
        if (folder / _FILE).exists():
            raise InputError(f"{folder} already holds a CA; open that one, or choose another folder")
        return cls(folder, (), (), ())._with_root(now)._with_issuing(now)._kept()

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """The CA in ``folder``. Raises InputError, TrustError."""
        try:
            value = parse_json(read_file(folder / _FILE, _LIMIT_BYTES), _LIMIT_BYTES)
            if not isinstance(value, dict) or value.get("schema") != SCHEMA:
                raise ValueError("it is of another release")
            parts = {name: _certificates(value[name]) for name in ("roots", "crosses", "issuing")}
            if not parts["roots"] or not parts["issuing"]:
                raise ValueError("it names no root or nothing that issues")
        except (ValueError, KeyError, TypeError) as error:
            raise TrustError(f"{folder / _FILE} cannot be used ({error}); restore it from a backup") from error
        return cls(folder, **parts)

    @property
    def anchors(self) -> bytes:
        """What devices are to trust, in PEM: the set that sync hands out."""
        return chain_pem(*self.roots)

    @property
    def anchor_digest(self) -> str:
        """The digest of the root above what issues now: what a token carries."""
        return certificate_digest(self._root_of(self.issuing[-1]))

    def issue_device(self, request: DeviceRequest, identity: Identity, now: datetime) -> Issued:
        """A certificate of 30 days for ``identity``; who may have it is decided by the caller. Raises TrustError."""
        made = device_certificate(identity, request.public_key, self.issuing[-1], self._key(self.issuing[-1]), now)
        return Issued(chain_pem(made, *self._above()), parse_peer(made.public_bytes(Encoding.DER)))

    def issue_server(self, names: Sequence[str], now: datetime) -> ServerIdentity:
        """A key and a certificate of 90 days for the hub's host names and addresses. Raises InputError, TrustError."""
        key = new_key()
        made = server_certificate(names, key.public_key(), self.issuing[-1], self._key(self.issuing[-1]), now)
        return ServerIdentity(key_pem(key) + chain_pem(made, *self._above()), tuple(names), made.not_valid_after_utc)

    def authenticate(self, der: bytes) -> Peer:
        """The device whose certificate (DER) one of our issuing certificates signed. Raises TrustError.

        Whether it expired or was revoked is for each request to ask (``Peer.standing``), not for each connection.
        """
        peer = parse_peer(der)
        issuer = self._issuers.get(peer.issuer)
        if issuer is None:
            raise TrustError("the certificate is of an issuer that is not, or no longer, trusted here; enrol again")
        try:
            x509.load_der_x509_certificate(der).verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise TrustError("the certificate's signature is not its issuer's") from error
        return peer

    @cached_property
    def _issuers(self) -> dict[str, x509.Certificate]:
        return {key_identifier(issuing): issuing for issuing in self.issuing}

    def announce_root(self, now: datetime) -> Authority:
        """A further root that is trusted from now on, beside the others.

        If the key of the root before it is here, that one signs it, too: then also devices that hear of nothing for
        years come to trust it. Without it, wait with ``rotate_issuing`` until all devices have the new anchors.
        """
        return self._with_root(now)._kept()

    def rotate_issuing(self, now: datetime) -> Authority:
        """A further issuing certificate, below the newest root; what older ones signed stays good. Raises TrustError
        when the root's key is not here."""
        return self._with_issuing(now)._kept()

    def retire(self, digest: str) -> Authority:
        """Without the root or issuing certificate of that digest, and all that stands below it. Raises InputError."""
        gone = {key_identifier(c) for c in (*self.roots, *self.issuing) if certificate_digest(c) == digest}
        if not gone:
            raise InputError(f"no root or issuing certificate has the digest {digest[:64]!r}")
        roots = tuple(c for c in self.roots if key_identifier(c) not in gone)
        issuing = tuple(
            c for c in self.issuing if key_identifier(c) not in gone and key_identifier(self._root_of(c)) not in gone
        )
        if not roots or not issuing:
            raise InputError("this is the last one; announce a root and rotate what issues before it is retired")
        crosses = tuple(c for c in self.crosses if _issuer_identifier(c) not in gone and key_identifier(c) not in gone)
        made = replace(self, roots=roots, crosses=crosses, issuing=issuing)._kept()
        with storage(self.folder):
            for certificate in {*self.roots, *self.issuing} - {*roots, *issuing}:
                self._path(certificate).unlink(missing_ok=True)  # nothing that it could still sign would be wanted
        return made

    def due(self, now: datetime) -> tuple[str, ...]:
        """What is past two thirds of its life: 'root', 'issuing', or nothing."""
        left = {"root": (self.roots[-1], ROOT_LIFE), "issuing": (self.issuing[-1], ISSUING_LIFE)}
        return tuple(name for name, (made, life) in left.items() if now >= made.not_valid_after_utc - life / 3)

    def _with_root(self, now: datetime) -> Authority:
        key = new_key()
        made = root_certificate(key, now)
        self._store(made, key)
        crosses = self.crosses
        if self.roots and self._path(self.roots[-1]).exists():
            crosses += (cross_certificate(made, self.roots[-1], self._key(self.roots[-1])),)
        return replace(self, roots=(*self.roots, made), crosses=crosses)

    def _with_issuing(self, now: datetime) -> Authority:
        key = new_key()
        made = issuing_certificate(key.public_key(), self.roots[-1], self._key(self.roots[-1]), now)
        self._store(made, key)
        return replace(self, issuing=(*self.issuing, made))

    def _kept(self) -> Authority:
        parts = {"roots": self.roots, "crosses": self.crosses, "issuing": self.issuing}
        texts = {name: [chain_pem(c).decode("ascii") for c in made] for name, made in parts.items()}
        write_private(self.folder / _FILE, canonical_json({"schema": SCHEMA, **texts}) + b"\n")
        return self

    def _above(self) -> tuple[x509.Certificate, ...]:
        """What stands between a leaf and any root that devices may know: the issuer, then cross certificates."""
        found, top = [self.issuing[-1]], self._root_of(self.issuing[-1])
        for cross in reversed(self.crosses):  # newest first, each by the root before it
            if key_identifier(cross) == key_identifier(top):
                found.append(cross)
                top = next(r for r in self.roots if key_identifier(r) == _issuer_identifier(cross))
        return tuple(found)

    def _root_of(self, issuing: x509.Certificate) -> x509.Certificate:
        return next(root for root in self.roots if key_identifier(root) == _issuer_identifier(issuing))

    def _path(self, certificate: x509.Certificate) -> Path:
        return self.folder / f"{key_identifier(certificate)}.key"

    def _key(self, certificate: x509.Certificate) -> EllipticCurvePrivateKey:
        return parse_key(read_private(self._path(certificate)), str(self._path(certificate)))

    def _store(self, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
        write_private(self._path(certificate), key_pem(key))


def _issuer_identifier(certificate: x509.Certificate) -> str:
    value = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return (value or b"").hex()


def _certificates(texts: list[str]) -> tuple[x509.Certificate, ...]:
    return tuple(certificate for text in texts for certificate in parse_chain(text.encode("ascii"), _FILE))
