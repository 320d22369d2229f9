"""Routes of models."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from sqlalchemy import delete, select

from edgewright.hub import plans
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.models.keeping import check_unused, drop_upload
from edgewright.hub.models.tables import Model, Upload, Version
from edgewright.hub.models.told import ModelChange, ModelTold, NewModel, VersionTold
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge/models", tags=["models"])
Reads = Annotated[Caller, may("models.read")]
Writes = Annotated[Caller, may("models.write")]


@router.get("", response_model=Page[ModelTold])
@brief
def model_list(caller: Reads, page: PageQuery, search: Annotated[str | None, Query(max_length=120)] = None) -> Response:
    """The tenant's models, newest first, each with its newest version; `search`: those with that in their name."""
    where = [Model.name.icontains(search.replace("\0", ""), autoescape=True)] if search else []
    return paged(caller.look, ModelTold, Model.id, page, *where, newest_first=True)


@router.post("", status_code=201)
def make(body: NewModel, caller: Writes) -> ModelTold:
    """A model, which has no version yet: upload one."""
    row = Model(name=body.name, description=body.description, by=caller.user, made=caller.now)
    with caller.write() as session:
        _check_name(session, body.name, "")
        plans.check(session, caller.now, "models")
        session.add(row)
        session.flush()
        caller.tell(session, "model.made", row.id, {"name": row.name})
        return caller.reply(session, ModelTold.of(row, None), 201)


@router.get("/{model}")
def show(model: Id, caller: Reads) -> ModelTold:
    """One model."""
    with caller.read() as session:
        return _told(session, session.find(Model, model))


@router.patch("/{model}")
def change(model: Id, body: ModelChange, caller: Writes) -> ModelTold:
    """Give a model another name or description."""
    with caller.write() as session:
        row = session.lock(Model, model)
        if body.name is not None:
            _check_name(session, body.name, row.id)
            row.name = body.name
        if body.description is not None:
            row.description = body.description
        caller.tell(session, "model.changed", row.id, {"name": row.name})
        return caller.reply(session, _told(session, row))


@router.delete("/{model}", status_code=204)
def remove(model: Id, caller: Writes) -> None:
    """Remove a model with all its versions, which no job still needs. Bundles that were made of it stay."""
    with caller.write() as session:
        row = session.lock(Model, model)
        check_unused(
            session, session.scalars(select(Version.id).where(Version.model == row.id).with_for_update()).all()
        )
        session.execute(delete(Version).where(Version.model == row.id))
        for upload in session.scalars(select(Upload.id).where(Upload.kind == "model", Upload.of == row.id)).all():
            drop_upload(session, upload)  # it could end nowhere
        session.delete(row)
        caller.tell(session, "model.removed", model, {"name": row.name})


@router.get("/{model}/versions", response_model=Page[VersionTold])
def versions(model: Id, caller: Reads, page: PageQuery) -> Response:
    """A model's versions, newest first."""
    with caller.read() as session:
        session.find(Model, model)
        return paged(session, VersionTold, Version.number, page, Version.model == model, newest_first=True)


def _told(session: Scoped, row: Model) -> ModelTold:
    newest = session.get(Version, (session.tenant, row.newest)) if row.newest else None
    return ModelTold.of(row, None if newest is None else VersionTold.of(newest))


def _check_name(session: Scoped, name: str, own: str) -> None:
    taken = session.scalars(select(Model.id).where(Model.name == name)).one_or_none()
    if taken is not None and taken != own:
        raise Conflict(f"a model named {name!r} is there already; upload a version of it, or choose another name")
