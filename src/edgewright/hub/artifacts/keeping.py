"""Keeping: finding what is there, counting it, letting go of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select

from edgewright.hub.artifacts.tables import Artifact
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.library.tables import Bundle

KIND = "artifacts"
"""Of objects that artifacts alone have."""


def find(session: Scoped, artifact: str, now: datetime) -> Artifact:
    """Raises Absent, for one that has expired as for one that never was."""
    row = session.find(Artifact, artifact)
    if row.until <= now:
        raise Absent(f"there is no artifact {artifact!r}")
    return row


def same(session: Scoped, kind: str, of: tuple[str, str], release: str, now: datetime) -> Artifact | None:
    """The one of that kind, of that bundle or job, that this release made: it would be the same bytes again."""
    query = select(Artifact).where(
        Artifact.bundle == of[0], Artifact.job == of[1], Artifact.kind == kind, Artifact.release == release,
        Artifact.until > now,
    )  # fmt: skip
    return session.scalars(query.order_by(Artifact.id.desc()).limit(1)).one_or_none()


def forget(session: Scoped, now: datetime) -> None:
    """Remove what has expired, of every tenant (a session over all); the sweep of the store removes its bytes."""
    session.execute(delete(Artifact).where(Artifact.until <= now))


def stored_bytes(session: Scoped, _: datetime) -> int:
    """For ``plans``: what is kept for artifacts alone: a bundle's own file once the library has it no more."""
    there = select(Bundle.file).where(Artifact.object == "bundles/" + Bundle.file).exists()
    own = Artifact.object.startswith(f"{KIND}/") | (Artifact.object.startswith("bundles/") & ~there)
    return int(session.scalar(select(func.sum(Artifact.length)).where(own)) or 0)


def named(session: Scoped, name: str | None = None) -> set[str]:
    """The objects that rows name, or ``name`` alone if one does (``objects.Named``)."""
    query = select(Artifact.object)
    return set(session.scalars(query if name is None else query.where(Artifact.object == name).limit(1)))
