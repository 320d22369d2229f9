"""Who is who in a fleet: the hub's CA, device identities, enrolment tokens.

The hub::

    authority = Authority.create(folder, now)                     # or Authority.load(folder)
    server = authority.issue_server(["hub", "192.0.2.7"], now)    # server.pem: key and chain, keep it by write_private
    token, record = issue_token("acme", authority.anchor_digest, now)   # token.text() is shown once, record is stored
    request = check_request(csr_pem)                              # TrustError, or a key whose possession is proven
    record = redeem(record, token, "press-1", request.digest, now)
    issued = authority.issue_device(request, Identity("acme", "press-1"), now)   # issued.chain, issued.peer
    peer = authority.authenticate(der)                            # each connection
    peer.standing(now)                                            # each request: 'valid', 'renew_only', 'expired'

Accept only serials that you issued and that are not revoked: then not even the issuing key's thief gets in. Keep the
newest serial of each device: a request from an older one, after the newer one was seen, means a cloned device.

The device (``state`` is a folder of its own)::

    save_anchors(state, chain_pem(find_anchor(pem, token.anchor)))     # pem: fetched with first_contact_context()
    identity = install(state, chain)                              # chain: the hub's answer to begin_request(state)
    identity = load_identity(state); identity.due(now)            # renewal is begin_request and install again
    client_context(identity.path, anchors)

Everything raises errors of ``edgewright.core.errors``. Times are aware datetimes, digests and serials hexadecimal.
"""

from edgewright.trust.authority.authority import Authority, Issued, ServerIdentity
from edgewright.trust.authority.identity import (
    DeviceIdentity,
    begin_request,
    install,
    load_anchors,
    load_identity,
    pending_digest,
    save_anchors,
)
from edgewright.trust.authority.material import certificate_digest, chain_pem, find_anchor, parse_chain
from edgewright.trust.authority.names import Identity
from edgewright.trust.authority.peers import GRACE, Peer, Standing, parse_peer
from edgewright.trust.authority.requests import DeviceRequest, check_request, make_request
from edgewright.trust.authority.tls import client_context, first_contact_context, server_context
from edgewright.trust.authority.tokens import Token, TokenRecord, issue_token, redeem
from edgewright.trust.private import write_private

__all__ = [
    "GRACE",
    "Authority",
    "DeviceIdentity",
    "DeviceRequest",
    "Identity",
    "Issued",
    "Peer",
    "ServerIdentity",
    "Standing",
    "Token",
    "TokenRecord",
    "begin_request",
    "certificate_digest",
    "chain_pem",
    "check_request",
    "client_context",
    "find_anchor",
    "first_contact_context",
    "install",
    "issue_token",
    "load_anchors",
    "load_identity",
    "make_request",
    "parse_chain",
    "parse_peer",
    "pending_digest",
    "redeem",
    "save_anchors",
    "server_context",
    "write_private",
]
