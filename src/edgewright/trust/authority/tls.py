"""TLS 1.3 between devices and hub: who is checked, and against what."""

from __future__ import annotations

import ssl
from pathlib import Path

from edgewright.core.errors import TrustError

# X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h). A device that was switched off for longer than its certificate holds
# must be let in as far as its renewal; times are asked for at each request (Peer.standing), where revocation is, too.
_NO_CHECK_TIME = 0x200000


def server_context(identity: Path, anchors: bytes) -> ssl.SSLContext:
    """For the device listener. ``identity``: a file with ``ServerIdentity.pem``; ``anchors``: ``Authority.anchors``.

    A client without a certificate is let through to the handshake's end, for enrolment; one whose certificate is not
    ours is not. **Times are not checked here.** Raises TrustError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_STRICT | _NO_CHECK_TIME
    # No device comes back with a ticket, and each takes a signature's time. An agent that waits for an answer takes the
    # first bytes that come for it.
    context.num_tickets = 0
    return _ready(context, identity, anchors)


def client_context(identity: Path | None, anchors: bytes) -> ssl.SSLContext:
    """For a device: the hub's certificate must stand below ``anchors`` and name the host. ``identity``:
    ``DeviceIdentity.path``, or None to enrol. Raises TrustError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return _ready(context, identity, anchors)


def first_contact_context() -> ssl.SSLContext:
    """For one request only, that of the anchors, whose digest the token carries: nobody is checked, nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _ready(context: ssl.SSLContext, identity: Path | None, anchors: bytes) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        if identity is not None:
            context.load_cert_chain(identity)
        context.load_verify_locations(cadata=anchors.decode("ascii"))
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TrustError(f"the certificates for TLS cannot be used ({error}); enrol again, or restore them") from error
    return context
