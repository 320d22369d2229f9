"""Keeping: finding what is there, its stages, and which objects it needs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pkgutil import resolve_name

from sqlalchemy import delete, func, select

from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.models.rules import stage_after
from edgewright.hub.models.tables import Dataset, Model, Part, Upload, Version

_USERS = ("edgewright.hub.jobs.finding:check_unused",)
"""Slices above this one that are asked before something goes, by name, as plans' are that count."""


def find_version(session: Scoped, version: str, ready: bool = False) -> Version:
    """Raises Absent, and Conflict for one that is not ``ready`` where it has to be."""
    row = session.find(Version, version)
    if ready:
        check_ready(row)
    return row


def name_of(session: Scoped, version: Version) -> str:
    """What people call it: its model's name, and its number."""
    return f"{session.find(Model, version.model).name} v{version.number}"


def made_by(session: Scoped, job: str) -> Version | None:
    """The version that was kept of what this job found."""
    return session.scalars(select(Version).where(Version.job == job).limit(1)).one_or_none()


def find_dataset(session: Scoped, dataset: str, ready: bool = False) -> Dataset:
    """Raises as ``find_version``."""
    row = session.find(Dataset, dataset)
    if ready:
        check_ready(row)
    return row


def check_ready(row: Version | Dataset) -> None:
    """Raises Conflict for what is still being checked, or was refused."""
    what = "version" if isinstance(row, Version) else "data set"
    if row.state == "checking":
        raise Conflict(f"the {what} is still being checked; wait a moment")
    if row.state != "ready":
        raise Conflict(f"the {what} was refused: {row.reason}")
    if isinstance(row, Version) and row.stage == "retired":
        raise Conflict("the version is retired; take another one, or bring it back first")


def advance(session: Scoped, version: str, stage: str) -> bool:
    """It has come so far, if it is still there and no further already; whether that is news."""
    row = session.get(Version, (session.tenant, version))
    if row is None or (after := stage_after(row.stage, stage)) == row.stage:
        return False
    row.stage = after
    return True


def unmonitored(session: Scoped) -> dict[tuple[str, str], str]:
    """Versions that may go further by themselves (a session over all tenants): by tenant and id their stage."""
    query = select(Version.tenant, Version.id, Version.stage).where(Version.stage.in_(("optimized", "deployed")))
    return {(tenant, version): stage for tenant, version, stage in session.execute(query)}


def count_models(session: Scoped, _: datetime) -> int:
    """For ``plans``."""
    return session.scalar(select(func.count()).select_from(Model)) or 0


def stored_bytes(session: Scoped, _: datetime) -> int:
    """For ``plans``: what versions and data sets keep, and what uploads have announced."""
    known = (select(func.sum(Upload.length)).where(Upload.result == ""), select(func.sum(Dataset.length)))
    total = sum(int(session.scalar(query) or 0) for query in known)
    for file, length, files in session.execute(select(Version.file, Version.length, Version.files)):
        total += sum(size for digest, size in files.values() if digest != file) + length
    return total


def check_unused(session: Scoped, versions: Collection[str], dataset: str = "") -> None:
    """Raises Conflict where somebody still works with one of these ``versions``, or with the ``dataset``."""
    for user in _USERS:
        resolve_name(user)(session, versions, dataset)


def remove_version(session: Scoped, row: Version) -> None:
    """Without it, the latest of the others is its model's newest. Raises Conflict."""
    check_unused(session, [row.id])
    model = session.get(Model, (session.tenant, row.model), with_for_update=True)
    session.delete(row)
    session.flush()
    if model is not None:
        latest = select(Version.id).where(Version.model == model.id).order_by(Version.number.desc()).limit(1)
        model.count, model.newest = model.count - 1, session.scalar(latest) or ""


def drop_upload(session: Scoped, upload: str) -> None:
    """Forget an upload and its parts; the sweep of the store removes their bytes."""
    session.execute(delete(Part).where(Part.upload == upload))
    session.execute(delete(Upload).where(Upload.id == upload))


def named(session: Scoped, name: str | None = None) -> set[str]:
    """The objects that rows name, or ``name`` alone if one does (``objects.Named``)."""
    kind, _, digest = (name or "").partition("/")
    found = set[str]()
    if name is None or kind == "parts":
        query = select(Part.object)
        found |= set(session.scalars(query if name is None else query.where(Part.object == name).limit(1)))
    if name is None or kind == "models":
        found |= _files(session, digest)
    return found if name is None else found & {name}


def _files(session: Scoped, digest: str) -> set[str]:
    """Of versions and data sets; ``digest``: of interest alone ("": all)."""
    own: set[str] = set()
    for row in session.execute(select(Version.file, Version.graph, Version.files)).yield_per(500):
        own |= {row.file, row.graph, *(entry[0] for entry in row.files.values())}
    query = select(Dataset.file)
    own |= set(session.scalars(query if not digest else query.where(Dataset.file == digest)))
    return {f"models/{one}" for one in own if one}
