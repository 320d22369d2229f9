"""How a tenant's update metadata stands, and what a person has to do about it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import Scoped
from edgewright.hub.library.proposals import waiting
from edgewright.hub.library.repository import held_keys, in_development, load, online_keys
from edgewright.hub.library.tables import Metadata
from edgewright.hub.library.told import RoleTold, UpdatesTold, Waiting
from edgewright.hub.state import State
from edgewright.trust import SigningKey
from edgewright.trust.updates import Repository

_BEGIN = "begin the update metadata on the key-holder's machine: edgewright rollout keys"
_SIGN = "bundles wait for the release key: edgewright rollout sign"
_ENDS = "the {role} metadata ends on {day:%Y-%m-%d}; renew it on the key-holder's machine: edgewright rollout keys"
_MADE_HERE = (
    "devices trust a release key that this hub made; hand the root over to a key-holder: edgewright rollout keys"
)
_LOST = "the root names another online key than this hub holds; restore keys/online.key, or sign a new root"


def standing(session: Scoped, state: State, now: datetime) -> UpdatesTold:
    """As it is told. Raises TrustError."""
    there, online = load(session), online_keys(state).timestamp
    flagged = session.scalars(select(Tenant.development)).one()
    development = in_development(state, session, there)
    rows = [
        Waiting(digest=b.digest, name=b.name, version=b.version, release=w.release, asked=w.asked)
        for b, w in waiting(session)
    ]
    todo = []
    if there is None and not development:
        todo.append(_BEGIN)
    if there is not None:
        held = held_keys(state, session, there) is not None
        todo += _todo(there, online, now, held) + ([_MADE_HERE] if development and not flagged else [])
    if rows and there is not None:
        todo.append(_SIGN)
    roles = {} if there is None else _roles(session, there, now)
    return UpdatesTold(development=development, roles=roles, online=online.public.text(), waiting=rows, todo=todo)


def _roles(session: Scoped, there: Repository, now: datetime) -> dict[str, RoleTold]:
    newest = select(Metadata.role, Metadata.version).where(Metadata.until.is_(None)).order_by(Metadata.version)
    versions = {row.role: row.version for row in session.execute(newest)}
    expires, due = there.expires(), there.due(now)
    return {
        role: RoleTold(
            threshold=keys.threshold, keys=[key.id for key in keys.keys], version=versions[role],
            expires=expires[role], due=role in due,
        )
        for role, keys in there.keys().roles().items()
    }  # fmt: skip


def _todo(there: Repository, online: SigningKey, now: datetime, held: bool) -> list[str]:
    due, expires = there.due(now), there.expires()
    told = [_ENDS.format(role=role, day=expires[role]) for role in ("root", "targets") if role in due]
    lost = {there.keys().snapshot, there.keys().timestamp} != {online.public}
    return ([] if held else told) + ([_LOST] if lost else [])
