"""Keeping: finding what is there, its stages, and which objects it needs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pkgutil import resolve_name

from sqlalchemy import delete, func, select, tuple_

from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.models.rules import MOVING, stage_after
from edgewright.hub.models.tables import Dataset, Model, Part, Upload, Version

_AT_ONCE = 500
_USERS = ("edgewright.hub.jobs.finding:check_unused",)
"""Slices above this one that are asked before something goes, by name, as plans' are that count."""


def find_version(session: Scoped, version: str) -> Version:
    """Raises Absent."""
    return session.find(Version, version)


def take_version(session: Scoped, version: str) -> Version:
    """One to begin something with: it stays until this transaction is over. Raises Absent, and Conflict for one that is
    not ready."""
    row = session.hold(Version, version)
    check_ready(row)
    return row


def name_of(session: Scoped, version: Version) -> str:
    """What people call it: its model's name, and its number."""
    return f"{model_name(session, version)} v{version.number}"


def model_name(session: Scoped, version: Version) -> str:
    """What its model is called."""
    return session.find(Model, version.model).name


def made_by(session: Scoped, job: str) -> Version | None:
    """The version that was kept of what this job found."""
    return session.scalars(select(Version).where(Version.job == job).limit(1)).one_or_none()


def take_dataset(session: Scoped, dataset: str) -> Dataset:
    """Raises as ``take_version``."""
    row = session.hold(Dataset, dataset)
    check_ready(row)
    return row


def check_read(row: Version | Dataset) -> None:
    """Raises Conflict for what is still being checked, or was refused."""
    what = "version" if isinstance(row, Version) else "data set"
    if row.state == "checking":
        raise Conflict(f"the {what} is still being checked; wait a moment")
    if row.state != "ready":
        raise Conflict(f"the {what} was refused: {row.reason}")


def check_ready(row: Version | Dataset) -> None:
    """The same, and for a version that is retired: nothing is begun with it."""
    check_read(row)
    if isinstance(row, Version) and row.stage == "retired":
        raise Conflict("the version is retired; take another one, or bring it back first")


def advance(session: Scoped, version: str, stage: str) -> bool:
    """It has come so far, if it is still there and no further already; whether that is news."""
    row = session.get(Version, (session.tenant, version))
    if row is None or (after := stage_after(row.stage, stage)) == row.stage:
        return False
    row.stage = after
    return True


def of_digests(session: Scoped, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Versions that may go further by themselves, of these tenants and digests (a session over all tenants): their ids
    and stages."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    known = sorted(pairs)
    for at in range(0, len(known), _AT_ONCE):
        query = select(Version.tenant, Version.digest, Version.id, Version.stage).where(
            tuple_(Version.tenant, Version.digest).in_(known[at : at + _AT_ONCE]), Version.stage.in_(MOVING)
        )
        for tenant, digest, id_, stage in session.execute(query):
            found.setdefault((tenant, digest), []).append((id_, stage))
    return found


def of_jobs(session: Scoped) -> dict[tuple[str, str], tuple[str, str]]:
    """What was kept of jobs, by tenant and job (a session over all tenants): its id and stage."""
    query = select(Version.tenant, Version.job, Version.id, Version.stage).where(Version.job > "")
    return {(tenant, job): (id_, stage) for tenant, job, id_, stage in session.execute(query)}


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
