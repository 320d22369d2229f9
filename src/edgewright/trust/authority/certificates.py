"""The five kinds of certificate (RFC 5280), each with what it may do and no more.

Roots, issuing and server certificates are valid from 1970 on: a device whose clock restarted must still reach its hub.
That gives nothing away, since nothing is ever trusted before somebody handed it out. Device certificates are looked at
by the hub, whose clock is kept, and begin ``SLACK`` before they are made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgewright.core.errors import InputError
from edgewright.trust.authority.material import spki_digest
from edgewright.trust.authority.names import Identity

ROOT_LIFE = timedelta(days=20 * 365)
ISSUING_LIFE = timedelta(days=5 * 365)
SERVER_LIFE = timedelta(days=90)
DEVICE_LIFE = timedelta(days=30)
SLACK = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def root_certificate(key: EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """A self-signed root. Cross certificates of newer roots may stand between it and an issuing certificate."""
    name = _ca_name("root", key.public_key())
    return _sign_ca(name, key.public_key(), None, key, now + ROOT_LIFE, None)


def cross_certificate(
    root: x509.Certificate, older: x509.Certificate, older_key: EllipticCurvePrivateKey
) -> x509.Certificate:
    """The root's name and key once more, signed by an older root: who knows only that one comes to trust this one."""
    end = min(root.not_valid_after_utc, older.not_valid_after_utc)
    return _sign_ca(root.subject, _public(root), older, older_key, end, None)


def issuing_certificate(
    key: EllipticCurvePublicKey, root: x509.Certificate, root_key: EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    """What signs devices and servers from day to day; no CA may stand below it."""
    return _sign_ca(_ca_name("issuing", key), key, root, root_key, now + ISSUING_LIFE, 0)


def server_certificate(
    names: Sequence[str], key: EllipticCurvePublicKey, issuer: x509.Certificate, issuer_key: EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:  # fmt: skip
    """The hub's, for DNS names and IP addresses; serverAuth only. Raises InputError."""
    if not names:
        raise InputError("a server's certificate needs a name; give the host that devices connect to")
    found = x509.SubjectAlternativeName([_host(name) for name in names])
    return _sign_leaf(found, ExtendedKeyUsageOID.SERVER_AUTH, key, issuer, issuer_key, (EPOCH, now + SERVER_LIFE))


def device_certificate(
    identity: Identity, key: EllipticCurvePublicKey, issuer: x509.Certificate, issuer_key: EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:  # fmt: skip
    """A device's, for its URI alone; clientAuth only."""
    found = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    return _sign_leaf(found, ExtendedKeyUsageOID.CLIENT_AUTH, key, issuer, issuer_key, (now - SLACK, now + DEVICE_LIFE))


def two_thirds(begin: datetime, end: datetime) -> datetime:
    """When what is valid in between is to be renewed."""
    return begin + (end - begin) * 2 / 3


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    plain = all(label and len(label) < 64 and label.replace("-", "").isalnum() for label in name.split("."))
    if not plain or not name.isascii() or len(name) > 253:
        raise InputError(f"{name[:80]!r} is neither a host name nor an IP address")
    return x509.DNSName(name)


def _ca_name(kind: str, key: EllipticCurvePublicKey) -> x509.Name:
    # The key's digest keeps apart what was made for the same purpose twice: OpenSSL looks issuers up by name.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgewright {kind} {spki_digest(key)[:16]}")])


def _sign_ca(
    name: x509.Name, key: EllipticCurvePublicKey, issuer: x509.Certificate | None, issuer_key: EllipticCurvePrivateKey,
    end: datetime, below: int | None,
) -> x509.Certificate:  # fmt: skip
    end = min(end, issuer.not_valid_after_utc) if issuer else end
    builder = _builder(name, key, issuer, issuer_key, (EPOCH, end))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(issuer_key, SHA256())


def _sign_leaf(
    names: x509.SubjectAlternativeName, purpose: x509.ObjectIdentifier, key: EllipticCurvePublicKey,
    issuer: x509.Certificate, issuer_key: EllipticCurvePrivateKey, span: tuple[datetime, datetime],
) -> x509.Certificate:  # fmt: skip
    begin, end = span
    builder = _builder(x509.Name([]), key, issuer, issuer_key, (begin, min(end, issuer.not_valid_after_utc)))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    # RFC 5280, section 4.1.2.6: where the subject is empty, the alternative name is critical.
    return builder.add_extension(names, critical=True).sign(issuer_key, SHA256())


def _builder(
    name: x509.Name, key: EllipticCurvePublicKey, issuer: x509.Certificate | None, issuer_key: EllipticCurvePrivateKey,
    span: tuple[datetime, datetime],
) -> x509.CertificateBuilder:  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer else name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _public(certificate: x509.Certificate) -> EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise InputError("a root's key is ECDSA on P-256")
    return key
