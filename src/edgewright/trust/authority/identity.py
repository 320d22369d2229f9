"""The device's own side: its key, its certificate and the anchors it trusts, in one folder of mode 0700.

``pending.key`` is a key that waits for its certificate; ``identity.pem`` holds key and chain in one file, so that a
power cut cannot leave one without the other; ``anchors.pem`` is the set that the hub is checked by. Asking again after
a lost answer uses the same pending key, which is what lets the hub answer the same again. ``previous.pem`` is the
identity before: a hub that was restored from a backup knows that one, and not what it issued since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, storage, write_file
from edgewright.trust.authority.material import (
    CHAIN_LIMIT_BYTES,
    chain_pem,
    key_pem,
    new_key,
    parse_chain,
    parse_key,
    spki_digest,
)
from edgewright.trust.authority.peers import Peer, parse_peer
from edgewright.trust.authority.requests import make_request
from edgewright.trust.private import make_folder, read_private, write_private

PENDING, IDENTITY, PREVIOUS, ANCHORS = "pending.key", "identity.pem", "previous.pem", "anchors.pem"


@dataclass(frozen=True)
class DeviceIdentity:
    """``path``: the PEM with key and chain, for ``client_context``; ``peer``: what the certificate says."""

    path: Path
    peer: Peer

    def due(self, now: datetime) -> bool:
        """Whether it is time to renew."""
        return now >= self.peer.renew_at


def begin_request(folder: Path) -> bytes:
    """A request (PEM) for the pending key, which is made unless one waits already. Raises TrustError, StorageError."""
    make_folder(folder)
    path = folder / PENDING
    if not path.exists():
        write_private(path, key_pem(new_key()))
    return make_request(parse_key(read_private(path), str(path)))


def pending_digest(folder: Path) -> str | None:
    """The digest of the key that waits, to be pre-authorised on the hub; None when none does. Raises TrustError."""
    path = folder / PENDING
    return spki_digest(parse_key(read_private(path), str(path)).public_key()) if path.exists() else None


def install(folder: Path, chain: bytes) -> DeviceIdentity:
    """Keep the certificate that came for the pending key. Doing it again with the same one changes nothing.

    Raises TrustError unless it is for that key and stands below a trusted anchor, StorageError.
    """
    leaf, *above = parse_chain(chain, "the device's certificate")
    peer = parse_peer(leaf.public_bytes(Encoding.DER))
    path = folder / PENDING
    if not path.exists():
        current = load_identity(folder)
        if current is None or current.peer != peer:
            raise TrustError("no key waits for this certificate; ask for it again")
        return current
    key = parse_key(read_private(path), str(path))
    if spki_digest(key.public_key()) != peer.key:
        raise TrustError("the certificate is for another key than the one that waits; ask for it again")
    _check_path([leaf, *above], load_anchors(folder))
    if (folder / IDENTITY).exists():
        write_private(folder / PREVIOUS, read_private(folder / IDENTITY))
    write_private(folder / IDENTITY, key_pem(key) + chain_pem(leaf, *above))
    with storage(path):
        path.unlink()
    return DeviceIdentity(folder / IDENTITY, peer)


def load_identity(folder: Path) -> DeviceIdentity | None:
    """What ``install`` kept; None before enrolment. Raises TrustError when the file is damaged or open to others."""
    path = folder / IDENTITY
    if not path.exists():
        return None
    pem = read_private(path)
    key = parse_key(pem, str(path))
    peer = parse_peer(parse_chain(pem, str(path))[0].public_bytes(Encoding.DER))
    if peer.key != spki_digest(key.public_key()):
        raise TrustError(f"{path}: key and certificate do not belong together; enrol again")
    return DeviceIdentity(path, peer)


def save_anchors(folder: Path, pem: bytes) -> None:
    """Trust these anchors (PEM), and no others, from now on. Raises TrustError when none of them is a root."""
    anchors = parse_chain(pem, "the anchors")
    for anchor in anchors:
        _check_issued(anchor, anchor)
    make_folder(folder)
    write_file(folder / ANCHORS, chain_pem(*anchors))


def load_anchors(folder: Path) -> tuple[x509.Certificate, ...]:
    """What ``save_anchors`` kept. Raises TrustError."""
    try:
        return parse_chain(read_file(folder / ANCHORS, CHAIN_LIMIT_BYTES), str(folder / ANCHORS))
    except InputError as error:
        raise TrustError(f"the trusted anchors cannot be read ({error}); enrol again") from error


def _check_path(chain: list[x509.Certificate], anchors: tuple[x509.Certificate, ...]) -> None:
    """Raise TrustError unless each signed the one before it, up to an anchor. Times are not looked at: what is kept
    here is judged by the hub, and this device's clock may be anywhere."""
    for number, below in enumerate(chain):
        above = chain[number + 1] if number + 1 < len(chain) else None
        anchor = next((a for a in anchors if a.subject == below.issuer), None)
        if anchor is not None:
            return _check_issued(below, anchor)
        if above is None:
            break
        _check_issued(below, above)
    raise TrustError("the certificate does not stand below any trusted anchor; enrol again")


def _check_issued(below: x509.Certificate, above: x509.Certificate) -> None:
    try:
        below.verify_directly_issued_by(above)
        is_ca = above.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise TrustError("a certificate is not signed by the one above it") from error
    if not is_ca:
        raise TrustError("a certificate is signed by one that may sign none")
