"""What waits for the release key, and what comes back from its holder.

A proposal is the published targets and every bundle that waits, whichever rollouts they belong to. What the key-holder
signs is taken if it verifies, whatever part of that it names, unless it takes away what a rollout needs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from edgewright.core.errors import InputError, TrustError
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.library.bundles import find, held, hold, lock
from edgewright.hub.library.repository import begun, held_keys, load, online_keys, store
from edgewright.hub.library.tables import Bundle, Pending, Publication
from edgewright.hub.state import State
from edgewright.trust.updates import (
    Release,
    Repository,
    join_signatures,
    missing_signatures,
    named_releases,
    propose_release,
    proposed_at,
    publish,
    sign_release,
    targets_version,
)

_FRESH = timedelta(days=20)
"""A partly signed proposal is offered for so long; the key-holder's side takes none of over 30 days."""


@dataclass(frozen=True)
class Outcome:
    """What a submission did: ``missing`` more signatures are needed, and until then nothing is published. ``released``
    and ``withdrawn``: digests of manifests."""

    missing: int
    released: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()


def propose(session: Scoped, state: State, digests: Collection[str], release_name: str, now: datetime) -> None:
    """These bundles are to be released as ``release_name`` (a rollout's id), which holds them from now on (``let_go``
    when it is over). They wait for the release key; where the hub holds it, they are published at once.

    Raises Absent, InputError, TrustError.
    """
    lock(session)
    hold(session, release_name, digests)
    for digest in dict.fromkeys(digests):
        row = find(session, digest)
        _release(row, release_name)  # words that targets metadata cannot carry are refused now
        if not row.released and session.get(Pending, (session.tenant, digest)) is None:
            session.add(Pending(bundle=digest, release=release_name, asked=now))
    session.flush()
    there = begun(state, session, now)
    keys = held_keys(state, session, there) if there is not None and waiting(session) else None
    if there is not None and keys is not None:
        _take(session, state, there, sign_release(_proposed(session, there, now), keys[1], now), now)


def waiting(session: Scoped) -> list[tuple[Bundle, Pending]]:
    """The bundles that wait for the release key, in the order in which they were asked for."""
    rows = session.scalars(select(Pending).order_by(Pending.asked, Pending.bundle)).all()
    return [(find(session, row.bundle), row) for row in rows]


def proposal(session: Scoped, now: datetime) -> bytes:
    """Targets metadata for the key-holder: with the signatures that it has, where some but not enough have signed what
    waits now. Where nothing waits it renews what is published."""
    there = load(session)
    fresh = _proposed(session, there, now)
    begun_with = _partial(session, now)
    return begun_with if begun_with and named_releases(begun_with) == named_releases(fresh) else fresh


def submit_targets(session: Scoped, state: State, targets: bytes, now: datetime) -> Outcome:
    """Publish signed targets, or keep them while signatures are missing. Raises Conflict, InputError, TrustError."""
    lock(session)
    there = load(session)
    if there is None:
        raise Conflict("there is no root yet; the key-holder begins with: edgewright rollout keys")
    return _take(session, state, there, targets, now)


def submit_root(session: Scoped, state: State, root: bytes, targets: bytes | None, now: datetime) -> Outcome:
    """Begin the repository, or rotate its keys. Raises Conflict, InputError, TrustError."""
    lock(session)
    there = load(session)
    if there is None and targets is None:
        raise InputError("a first root comes with signed targets, which may name nothing")
    if targets is not None:
        _check_named(session, there, targets)
    return _published(session, there, publish(there, online_keys(state), now, root, targets), now)


def withdraw(session: Scoped, state: State, row: Bundle, now: datetime) -> bool:
    """Devices are no longer to run this bundle, where the hub holds the release key; whether that was so. Raises
    Conflict."""
    there = load(session)
    keys = held_keys(state, session, there) if there is not None else None
    if there is None or keys is None:
        return False
    _take(session, state, there, sign_release(propose_release(there.targets, now, (), [row.file]), keys[1], now), now)
    return True


def _take(session: Scoped, state: State, there: Repository, targets: bytes, now: datetime) -> Outcome:
    """Publish, or keep what lacks signatures."""
    root, row = there.roots[-1], session.find(Publication, "updates")
    published = targets_version(there.targets)
    if targets != there.targets and targets_version(targets) <= published:
        raise TrustError(f"these targets are no newer than version {published}, which is published; propose again")
    _check_named(session, there, targets)
    missing = missing_signatures(root, targets)
    if missing >= there.keys().release.threshold:
        raise TrustError("no release key of this tenant signed these targets")
    if missing:
        begun_with = _partial(session, now)
        if begun_with and named_releases(begun_with) == named_releases(proposal(session, now)):
            try:
                targets = join_signatures(root, begun_with, targets)
            except TrustError as error:
                raise Conflict("another key-holder has begun with other targets; fetch those and sign them") from error
        else:
            targets = join_signatures(root, targets)
        missing = missing_signatures(root, targets)
    if missing:
        row.partial = targets
        session.flush()
        return Outcome(missing)
    return _published(session, there, publish(there, online_keys(state), now, targets=targets), now)


def _published(session: Scoped, there: Repository | None, made: Repository, now: datetime) -> Outcome:
    """Store what was signed; what it names waits no longer."""
    before = {release.bundle for release in there.releases().values()} if there else set()
    after = {release.bundle for release in made.releases().values()}
    store(session, made, now)
    session.find(Publication, "updates").partial = None
    session.execute(delete(Pending).where(Pending.bundle.in_(after)))
    session.flush()
    return Outcome(0, tuple(sorted(after - before)), tuple(sorted(before - after)))


def _check_named(session: Scoped, there: Repository | None, targets: bytes) -> None:
    """Every bundle named is one of the library's, with its facts, and none is taken away that somebody needs. Raises
    Conflict, InputError, TrustError."""
    named = named_releases(targets)
    published = there.releases() if there else {}
    for sha256, release in named.items():
        if published.get(sha256) == release:
            continue
        row = session.get(Bundle, (session.tenant, release.bundle))
        if row is None:
            raise InputError(f"the targets name a bundle that is not here: {release.bundle or sha256}; upload it first")
        if release != _release(row, release.release):
            raise InputError(f"the targets tell other facts of the bundle {release.bundle} than it has; propose again")
    gone = [release.bundle for sha256, release in published.items() if sha256 not in named]
    if needed := sorted(held(session, gone)):
        raise Conflict(
            f"a rollout needs the bundle {needed[0]}, which these targets withdraw; fetch the proposal again"
        )


def _proposed(session: Scoped, there: Repository | None, now: datetime) -> bytes:
    add = [_release(bundle, row.release) for bundle, row in waiting(session)]
    return propose_release(there.targets if there else None, now, add)


def _partial(session: Scoped, now: datetime) -> bytes | None:
    row = session.get(Publication, (session.tenant, "updates"))
    partial = None if row is None else row.partial
    return partial if partial and proposed_at(partial) >= now - _FRESH else None


def _release(row: Bundle, release: str) -> Release:
    """What targets metadata says of it. Raises InputError."""
    return Release(row.file, row.length, release, row.name, row.version, tuple(row.hardware), row.digest, row.signer)
