"""Who is at the other end: a device's certificate read, and what it may still do at a given time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from edgewright.core.errors import InputError, TrustError
from edgewright.trust.authority.certificates import two_thirds
from edgewright.trust.authority.material import serial_text, spki_digest
from edgewright.trust.authority.names import Identity

GRACE = timedelta(days=365)
"""How long after its end a certificate that nobody revoked may still be renewed: a device may have been switched off.
The revocation of a certificate must be kept until then."""
_LIMIT_BYTES = 4096

Standing = Literal["valid", "renew_only", "expired"]


@dataclass(frozen=True)
class Peer:
    """A device as its certificate tells it. ``serial``, ``issuer`` (key identifier) and ``key`` (digest) are hex."""

    identity: Identity
    serial: str
    not_before: datetime
    not_after: datetime
    issuer: str
    key: str

    @property
    def renew_at(self) -> datetime:
        """When it should ask for the next one: at two thirds, and up to a day later, so that devices that were
        enrolled together do not come together."""
        spread = (self.not_after - self.not_before) / 30 * (int(self.serial[-4:], 16) / 0x10000)
        return two_thirds(self.not_before, self.not_after) + spread

    def standing(self, now: datetime) -> Standing:
        """What the certificate is good for by the hub's clock. One from the future is valid: it is ours, and a hub's
        clock that was set back is no reason to lose devices."""
        if now < self.not_after:
            return "valid"
        return "renew_only" if now < self.not_after + GRACE else "expired"


def parse_peer(der: bytes) -> Peer:
    """The device that a certificate (DER) names. Raises TrustError unless it is one that our CA would issue.

    Nothing here says that it *was* issued by us: that is the handshake's to check, or ``Authority.authenticate``'s.
    """
    if len(der) > _LIMIT_BYTES:
        raise TrustError(f"a device's certificate of {len(der):,} bytes is none of ours")
    try:
        certificate = x509.load_der_x509_certificate(der)
        return _peer(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise TrustError("the certificate cannot be read as that of a device; enrol again") from error
    except InputError as error:
        raise TrustError(f"the certificate is not that of a device: {error}") from error


def _peer(certificate: x509.Certificate) -> Peer:
    extensions = certificate.extensions
    names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    purposes = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    bounds = extensions.get_extension_for_class(x509.BasicConstraints).value
    issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    key = certificate.public_key()
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier) or len(certificate.subject):
        raise InputError("it must have one name, a URI")
    if purposes != [ExtendedKeyUsageOID.CLIENT_AUTH] or bounds.ca:
        raise InputError("it must be for clients alone")
    if issuer is None or not isinstance(key, EllipticCurvePublicKey):
        raise InputError("its issuer or its key is of another kind than ours")
    return Peer(
        Identity.parse(names[0].value),
        serial_text(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        issuer.hex(),
        spki_digest(key),
    )
