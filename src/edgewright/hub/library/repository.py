"""The tenant's update metadata in the database: read, stored, renewed. Rules and signatures are ``trust.updates``'.

All files change in one transaction, so that a reader sees the newest timestamp with all that it leads to. What was
replaced stays for an hour: a device in the middle of a refresh asks for it.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, or_, select

from edgewright.core.errors import EdgewrightError
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.library.bundles import lock
from edgewright.hub.library.tables import Bundle, Metadata, Publication
from edgewright.hub.state import State
from edgewright.trust import SigningKey, named_key
from edgewright.trust.updates import (
    Keys,
    OnlineKeys,
    Repository,
    RoleKeys,
    propose_release,
    propose_root,
    publish,
    sign_release,
    sign_root,
)
from edgewright.trust.updates.metadata import LIVES

_KEPT = timedelta(hours=1)
_MOST_KEPT = 8
"""Of one role's replaced files: who publishes many times in an hour leaves no heap."""
_AT_ONCE = 500
_ONLINE = ("snapshot", "timestamp")
_LOG = logging.getLogger("edgewright.hub")


def metadata(session: Scoped, name: str) -> bytes | None:
    """A file of the tenant's repository (``timestamp.json``, ``7.targets.json``...), or None."""
    if len(name) > 40 or not name.isascii() or not name.isprintable():
        return None
    row = session.get(Metadata, (session.tenant, name))
    return None if row is None else row.data


def load(session: Scoped) -> Repository | None:
    """What is published, or None before the first root."""
    rows = session.scalars(select(Metadata).where(Metadata.until.is_(None)).order_by(Metadata.version)).all()
    newest = {row.role: row.data for row in rows}
    roots = tuple(row.data for row in rows if row.role == "root")
    return Repository(roots, newest["targets"], newest["snapshot"], newest["timestamp"]) if roots else None


def online_keys(state: State) -> OnlineKeys:
    """The hub's own key for snapshots and timestamps, made on first use. Raises TrustError."""

    def make() -> OnlineKeys:
        key = named_key(state.folder / "keys" / "online.key")
        return OnlineKeys(key, key)

    return state.part("library.online", make)


def development_keys(state: State, session: Scoped) -> tuple[SigningKey, SigningKey] | None:
    """Root and release key of a development tenant, made on first use; None for any other tenant."""
    if not session.scalars(select(Tenant.development)).one():
        return None
    folder = _folder(state, session)
    return named_key(folder / "root.key"), named_key(folder / "release.key")


def held_keys(state: State, session: Scoped, there: Repository) -> tuple[SigningKey, SigningKey] | None:
    """Root and release key, where the hub holds them: a development tenant's whose root names them."""
    keys = development_keys(state, session)
    return keys if keys is not None and there.keys().release.keys == (keys[1].public,) else None


def in_development(state: State, session: Scoped, there: Repository | None) -> bool:
    """Whether the tenant is a development tenant, or was one and its devices still trust the key that the hub made."""
    if session.scalars(select(Tenant.development)).one():
        return True
    path = _folder(state, session) / "release.key"
    return there is not None and path.exists() and named_key(path).public in there.keys().release.keys


def begun(state: State, session: Scoped, now: datetime) -> Repository | None:
    """``load``; for a development tenant without a root, its first repository, made now. The caller has the lock."""
    there = load(session)
    keys = None if there is not None else development_keys(state, session)
    if keys is None:
        return there
    root, release = keys
    online = online_keys(state)
    wanted = Keys(
        RoleKeys((root.public,)), RoleKeys((release.public,)), online.snapshot.public, online.timestamp.public
    )
    made = publish(
        None, online, now, sign_root(propose_root(wanted, now), root, now),
        sign_release(propose_release(None, now), release, now),
    )  # fmt: skip
    store(session, made, now)
    return made


def store(session: Scoped, repository: Repository, now: datetime) -> None:
    """Write what is new and let go of what it replaced. The caller has the lock."""
    rows = {row.name: row for row in session.scalars(select(Metadata))}
    files, expires = repository.files(), repository.expires()
    for name, data in files.items():  # the timestamp comes last
        role = name.removesuffix(".json").rpartition(".")[2]
        version: int = json.loads(data)["signed"]["version"]
        row = rows.get(name)
        if row is None:
            session.add(Metadata(name=name, role=role, version=version, data=data, expires=expires[role], until=None))
        elif row.data != data or row.until is not None:
            row.data, row.version, row.expires, row.until = data, version, expires[role], None
        session.flush()
    for role in ("targets", "snapshot"):
        old = sorted((r for r in rows.values() if r.role == role and r.name not in files), key=lambda r: -r.version)
        for row in old:
            row.until = row.until or now + _KEPT
        for row in old[_MOST_KEPT:]:
            session.delete(row)
    session.find(Publication, "updates").published = now
    _mark(session, repository)
    session.flush()


def renew(state: State, now: datetime) -> None:
    """Every tenant's snapshot and timestamp where less than half of their life is left, and a development tenant's
    root and targets; remove what was replaced. One tenant's trouble is logged and holds up no other."""
    with state.database.write(EVERY) as session:
        session.execute(delete(Metadata).where(Metadata.until < now))
    for tenant in _due(state, now):
        try:
            with state.database.write(tenant) as session:
                lock(session)
                _renew(state, session, now)
        except EdgewrightError as error:
            told = state.part("library.told", dict[str, str])
            if told.get(tenant) != str(error):
                _LOG.warning("the update metadata of %s cannot be renewed: %s", tenant, error)
                told[tenant] = str(error)


def _due(state: State, now: datetime) -> list[str]:
    """Tenants that have something near its end. (What only a person can renew is in it, and passed over later.)"""
    share = {"snapshot": 2, "timestamp": 2, "root": 3, "targets": 3}
    ends = [(Metadata.role == role) & (Metadata.expires <= now + LIVES[role] / part) for role, part in share.items()]
    with state.database.read(EVERY) as session:
        return list(session.scalars(select(Metadata.tenant).where(Metadata.until.is_(None), or_(*ends)).distinct()))


def _renew(state: State, session: Scoped, now: datetime) -> None:
    there = load(session)
    if there is None:
        return
    due = there.due(now)
    root = targets = None
    if (keys := held_keys(state, session, there)) is not None:
        if "root" in due:
            root = sign_root(propose_root(there.keys(), now, there.roots[-1]), keys[0], now)
        if "targets" in due:
            targets = sign_release(propose_release(there.targets, now), keys[1], now)
    if root or targets or set(due) & set(_ONLINE):
        store(session, publish(there, online_keys(state), now, root, targets), now)


def _folder(state: State, session: Scoped) -> Path:
    return state.folder / "keys" / f"development-{session.tenant}"


def _mark(session: Scoped, repository: Repository) -> None:
    """``Bundle.released`` as the targets say."""
    released = {release.bundle for release in repository.releases().values()}
    before = set(session.scalars(select(Bundle.digest).where(Bundle.released)))
    for digests, now_so in ((released - before, True), (before - released, False)):
        rest = sorted(digests)
        for at in range(0, len(rest), _AT_ONCE):
            for row in session.scalars(select(Bundle).where(Bundle.digest.in_(rest[at : at + _AT_ONCE]))):
                row.released = now_so
