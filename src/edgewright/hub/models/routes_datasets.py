"""Routes of data sets. They are made by uploading them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from fastapi.responses import StreamingResponse

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.models.downloads import OCTETS, download
from edgewright.hub.models.keeping import check_unused
from edgewright.hub.models.tables import Dataset
from edgewright.hub.models.told import DatasetChange, DatasetTold
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge/datasets", tags=["data sets"])
Reads = Annotated[Caller, may("models.read")]
Writes = Annotated[Caller, may("models.write")]


@router.get("", response_model=Page[DatasetTold])
@brief
def dataset_list(caller: Reads, page: PageQuery) -> Response:
    """The tenant's data sets, newest first."""
    return paged(caller.look, DatasetTold, Dataset.id, page, newest_first=True)


@router.get("/{dataset}")
def show(dataset: Id, caller: Reads) -> DatasetTold:
    """One data set."""
    with caller.read() as session:
        return DatasetTold.of(session.find(Dataset, dataset))


@router.patch("/{dataset}")
def change(dataset: Id, body: DatasetChange, caller: Writes) -> DatasetTold:
    """Give a data set another name."""
    with caller.write() as session:
        row = session.lock(Dataset, dataset)
        row.name = body.name
        caller.tell(session, "dataset.changed", row.id, {"name": row.name})
        return caller.reply(session, DatasetTold.of(row))


@router.delete("/{dataset}", status_code=204)
def remove(dataset: Id, caller: Writes) -> None:
    """Remove a data set that no job still needs."""
    with caller.write() as session:
        row = session.lock(Dataset, dataset)
        check_unused(session, (), dataset)
        session.delete(row)
        caller.tell(session, "dataset.removed", dataset, {"name": row.name, "file": row.file})


@router.get(
    "/{dataset}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}},
)
def file(dataset: Id, caller: Reads) -> StreamingResponse:
    """The file as it was uploaded."""
    with caller.read() as session:
        return download(caller, session.find(Dataset, dataset))
