"""Keys and certificates as bytes: made, spelled and read in one place. ECDSA on P-256 (FIPS 186-5) throughout."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from edgewright.core.errors import TrustError

CHAIN_LIMIT_BYTES = 65536
"""No chain and no set of anchors is longer."""


def new_key() -> EllipticCurvePrivateKey:
    """A new private key that lies nowhere yet."""
    return generate_private_key(SECP256R1())


def key_pem(key: EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, unencrypted: for a file of mode 0600."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_key(pem: bytes, name: str) -> EllipticCurvePrivateKey:
    """The private key in ``pem``. Raises TrustError."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{name} is not a private key; restore it from a backup") from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise TrustError(f"{name} is not an ECDSA key on P-256; restore it from a backup")
    return key


def spki_digest(key: EllipticCurvePublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo (DER), 64 hexadecimal digits: what a key is pre-authorised by."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def certificate_digest(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate (DER), 64 hexadecimal digits."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def chain_pem(*certificates: x509.Certificate) -> bytes:
    """Certificates one behind the other."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def parse_chain(pem: bytes, what: str) -> tuple[x509.Certificate, ...]:
    """The certificates in ``pem``, at least one. Raises TrustError."""
    if len(pem) > CHAIN_LIMIT_BYTES:
        raise TrustError(f"{what}: {len(pem):,} bytes are more than the {CHAIN_LIMIT_BYTES:,} allowed")
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{what}: no certificates in PEM") from error


def key_identifier(certificate: x509.Certificate) -> str:
    """A CA certificate's subject key identifier (RFC 5280, section 4.2.1.2) in hexadecimal."""
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def serial_text(certificate: x509.Certificate) -> str:
    """The serial number in lower-case hexadecimal: what revocations are kept by."""
    return f"{certificate.serial_number:x}"


def find_anchor(pem: bytes, digest: str) -> x509.Certificate:
    """The one certificate of a hub's anchors that a token's ``anchor`` names.

    The first contact: fetch the anchors without checking who answers, take this one, and connect again trusting it
    alone. Raises TrustError when the hub has no such anchor: it is another hub, or somebody in its place.
    """
    for certificate in parse_chain(pem, "the hub's anchors"):
        if certificate_digest(certificate) == digest:
            return certificate
    raise TrustError(
        f"the hub has no anchor {digest[:16]}...: the token is of another hub, or this is not the hub; make a token on "
        "the hub whose address is given"
    )
