"""The key under which the hub seals what its jobs make for a tenant.

It says "this hub's job made it", and nothing more: a bundle becomes fit for devices only when the release key, which
the hub does not have, signs it into the targets. It lies in the database, sealed by the hub's safe, so that workers on
all machines have the same one; the child process that reads models never sees it.
"""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import IntegrityError

from edgewright.hub.accounts.audit import HUB, tell
from edgewright.hub.jobs.tables import JobKey
from edgewright.hub.state import State
from edgewright.trust import SigningKey


def job_key(state: State, tenant: str) -> SigningKey:
    """The tenant's, made on first use. Raises TrustError when the safe does not open it."""
    with state.database.read(tenant) as session:
        row = session.get(JobKey, (tenant,))
    if row is None:
        with contextlib.suppress(IntegrityError), state.database.write(tenant) as session:  # another may be first
            if session.get(JobKey, (tenant,)) is None:
                raw = Ed25519PrivateKey.generate()
                public = SigningKey(raw).public.raw.hex()
                sealed = state.safe.seal(raw.private_bytes_raw().hex(), _place(tenant))
                session.add(JobKey(public=public, sealed=sealed, made=state.clock()))
                session.flush()
                tell(session, HUB, "jobs.key-made", tenant, state.clock(), {"public": public})
        with state.database.read(tenant) as session:
            row = session.find(JobKey)
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(state.safe.open(row.sealed, _place(tenant)))))


def _place(tenant: str) -> str:
    return f"job_keys/{tenant}"
