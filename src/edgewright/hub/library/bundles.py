"""Bundles in the library: taken in, found, held, removed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, func, or_, select
from sqlalchemy.exc import IntegrityError

from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent, Conflict
from edgewright.hub.library.facts import Facts, bundle_facts, signed_manifest
from edgewright.hub.library.tables import Bundle, Delta, Hold, Pending, Piece, Publication
from edgewright.hub.objects import expect, object_name, objects
from edgewright.hub.state import State
from edgewright.trust import PublicKey

_AT_ONCE = 500  # digests in one statement


@dataclass(frozen=True)
class Arrived:
    """A packed bundle in a temporary file, as it was received: its SHA-256 and bytes. Nothing is verified yet."""

    path: Path
    sha256: str
    length: int


def lock(session: Scoped) -> Publication:
    """The tenant's row of publication, held until the transaction ends: one at a time publishes, stores, removes."""
    row = session.get(Publication, (session.tenant, "updates"), with_for_update=True, populate_existing=True)
    if row is None:
        with contextlib.suppress(IntegrityError), session.begin_nested():  # somebody else may be first
            session.add(Publication(id="updates"))
        row = session.lock(Publication, "updates")
    return row


def find(session: Scoped, digest: str) -> Bundle:
    """The tenant's bundle whose manifest has this digest. Raises Absent."""
    return session.find(Bundle, digest)


def known(session: Scoped, digests: Collection[str]) -> set[str]:
    """Those of the digests that are bundles of the tenant, released or not."""
    found, wanted = set[str](), sorted(digests)
    for start in range(0, len(wanted), _AT_ONCE):  # a statement takes some ten thousand names at most
        found |= set(session.scalars(select(Bundle.digest).where(Bundle.digest.in_(wanted[start : start + _AT_ONCE]))))
    return found


def signed(session: Scoped, digest: str) -> bool:
    """Whether the published targets name the bundle: devices may run it."""
    row = session.get(Bundle, (session.tenant, digest))
    return row is not None and row.released


def inspect(state: State, tenant: str, arrived: Arrived, signer: PublicKey) -> Facts | None:
    """What the verified bundle holds; None when the tenant has this very file already. Raises TrustError, Conflict when
    there is this manifest under another signature."""
    digest = signed_manifest(arrived.path, signer)
    with state.database.read(tenant) as session:
        known = session.get(Bundle, (tenant, digest))
    if known is not None:
        _check_same(known, arrived, signer)
        return None
    return bundle_facts(arrived.path, signer, digest)


def keep(state: State, tenant: str, arrived: Arrived) -> None:
    """Store the file, before a row names it. Raises StorageError."""
    name = object_name("bundles", arrived.sha256)
    expect(state, tenant, name)
    objects(state).put(tenant, name, arrived.path)


def enter(session: Scoped, arrived: Arrived, facts: Facts, signer: PublicKey, now: datetime) -> tuple[Bundle, bool]:
    """The bundle's row, and whether it is new: another upload of the same bytes may have been first."""
    lock(session)
    known = session.get(Bundle, (session.tenant, facts.digest))
    if known is not None:
        _check_same(known, arrived, signer)
        return known, False
    name = object_name("bundles", arrived.sha256)
    row = Bundle(
        digest=facts.digest, file=arrived.sha256, length=arrived.length, name=facts.name, version=facts.version,
        hardware=list(facts.hardware), engines=list(facts.engines), signer=signer.raw.hex(),
        evidence=dict(facts.evidence), files={key: list(place) for key, place in facts.files.items()},
        released=False, made=now, source=facts.source,
    )  # fmt: skip
    session.add(row)
    pieces = {digest: (size, start) for digest, size, start in facts.files.values()}
    pieces[arrived.sha256] = (arrived.length, 0)
    session.add_all(
        Piece(digest=digest, owner=facts.digest, object=name, start=start, length=size)
        for digest, (size, start) in pieces.items()
    )
    session.flush()
    return row, True


def same(session: Scoped, arrived: Arrived) -> Bundle:
    """The bundle with this very file. Raises Absent when it was removed meanwhile."""
    row = session.scalars(select(Bundle).where(Bundle.file == arrived.sha256)).one_or_none()
    if row is None:
        raise Absent("the bundle was removed while it was uploaded again; upload it once more")
    return row


def hold(session: Scoped, holder: str, digests: Collection[str]) -> None:
    """``holder`` (a rollout) needs these bundles from now on: they are neither withdrawn nor removed. Raises Absent."""
    lock(session)
    for digest in dict.fromkeys(digests):
        find(session, digest)
        if session.get(Hold, (session.tenant, holder, digest)) is None:
            session.add(Hold(holder=holder, bundle=digest))
    session.flush()


def let_go(session: Scoped, holder: str) -> None:
    """``holder`` needs nothing any more. What waits for a signature on its behalf alone waits no longer."""
    lock(session)
    session.execute(delete(Hold).where(Hold.holder == holder))
    waiting = session.scalars(select(Pending.bundle).where(Pending.release == holder)).all()
    alone = set(waiting) - held(session, waiting)
    session.execute(delete(Pending).where(Pending.bundle.in_(alone)))


def held(session: Scoped, digests: Collection[str]) -> set[str]:
    """Those of ``digests`` that somebody holds."""
    rest, found = sorted(digests), set[str]()
    for at in range(0, len(rest), _AT_ONCE):
        found |= set(session.scalars(select(Hold.bundle).where(Hold.bundle.in_(rest[at : at + _AT_ONCE]))))
    return found


def remove(session: Scoped, row: Bundle) -> None:
    """Forget a bundle that is not released; its bytes go a day later. The caller has the lock. Raises Conflict."""
    if held(session, (row.digest,)):
        raise Conflict("a rollout needs this bundle; abort it or let it end first")
    if row.released:
        raise Conflict(
            "devices may run this bundle; the key-holder withdraws it first: edgewright rollout keys withdraw"
        )
    mine = or_(Delta.new == row.digest, Delta.old == row.digest)
    owners = [f"{one.new}/{one.old}" for one in session.scalars(select(Delta).where(mine))]
    session.execute(delete(Piece).where(Piece.owner.in_([row.digest, *owners])))
    session.execute(delete(Delta).where(mine))
    session.execute(delete(Pending).where(Pending.bundle == row.digest))
    session.delete(row)
    session.flush()


def stored_bytes(session: Scoped, _: datetime) -> int:
    """For ``plans``."""
    return int(session.scalar(select(func.sum(Bundle.length))) or 0)


def named(session: Scoped, name: str | None = None) -> set[str]:
    """The objects that rows name, or ``name`` alone if one does (``objects.Named``)."""
    bundles, deltas = select(Bundle.file), select(Delta.object).where(Delta.object != "")
    if name is not None:
        bundles, deltas = bundles.where(Bundle.file == name.partition("/")[2]), deltas.where(Delta.object == name)
    found = {f"bundles/{file}" for file in session.scalars(bundles)} | set(session.scalars(deltas))
    return found if name is None else found & {name}


def _check_same(row: Bundle, arrived: Arrived, signer: PublicKey) -> None:
    if row.signer != signer.raw.hex():
        raise Conflict("there is this bundle, signed by another key; remove that one first")
    if row.file != arrived.sha256:
        raise Conflict("the file was changed behind its signature; pack the bundle again")
