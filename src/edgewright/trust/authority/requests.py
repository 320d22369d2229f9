"""Certificate signing requests (PKCS #10, RFC 2986): proof that somebody holds a key, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from edgewright.core.errors import TrustError
from edgewright.trust.authority.material import spki_digest

LIMIT_BYTES = 8192
"""No request is longer."""


@dataclass(frozen=True)
class DeviceRequest:
    """A checked request: its key, and that key's digest (SHA-256 of the SubjectPublicKeyInfo, DER)."""

    public_key: EllipticCurvePublicKey
    digest: str


def make_request(key: EllipticCurvePrivateKey) -> bytes:
    """A request in PEM: no names, no extensions; the hub knows who asks by the token or by the old certificate."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def check_request(pem: bytes) -> DeviceRequest:
    """What a request proves. Names, extensions and attributes in it are ignored. Raises TrustError.

    The key must be ECDSA on P-256: what TPM 2.0 and secure elements hold, small, and the one kind to look after.
    """
    if len(pem) > LIMIT_BYTES:
        raise TrustError(f"the request has {len(pem):,} bytes, more than the {LIMIT_BYTES:,} allowed")
    try:
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TrustError("this is no certificate signing request in PEM; make one with an ECDSA P-256 key") from error
    # Before its signature is looked at: what an RSA key of 100,000 bits would cost is not paid.
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise TrustError("the request's key is not ECDSA on P-256; make one with: openssl ecparam -name prime256v1")
    try:
        holds = isinstance(request.signature_hash_algorithm, SHA256) and request.is_signature_valid
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        holds = False
    if not holds:
        raise TrustError("the request is not signed (ECDSA with SHA-256) by the key that it names")
    return DeviceRequest(key, spki_digest(key))
