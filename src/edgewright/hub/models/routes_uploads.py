"""Routes of uploads: tus 1.0.0 (tus.io/protocols/resumable-upload), with creation, termination and expiration."""

from __future__ import annotations

import base64
import binascii
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import Header, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from edgewright.core.errors import InputError, StorageError
from edgewright.core.strict import parse_json
from edgewright.datasets import Preprocessing
from edgewright.hub import plans
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.models.checking import checker
from edgewright.hub.models.keeping import drop_upload, find_version
from edgewright.hub.models.rules import MOST_BYTES, check_file
from edgewright.hub.models.tables import Model, Upload
from edgewright.hub.models.told import NewUpload, UploadTold
from edgewright.hub.models.uploads import KEPT, free_bytes, receive
from edgewright.hub.web.bodies import Id, Router, StrictRoute
from edgewright.hub.web.idempotency import Replayed
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.problems import Problem
from edgewright.hub.web.short import brief

PREFIX = "/api/edge/uploads"
_TUS = "1.0.0"
_OFFSET = "application/offset+octet-stream"
_SPARE = 2 * 2**30


class _TusRoute(StrictRoute):
    """Every answer says which protocol it speaks."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def spoken(request: Request) -> Response:
            request.state.headers = {"Tus-Resumable": _TUS}
            try:
                response: Response = await handle(request)
            except Replayed as again:  # of the one request that makes an upload
                response = again.response()
                response.headers["Location"] = f"{PREFIX}/{parse_json(again.body, 65536)['id']}"
            response.headers["Tus-Resumable"] = _TUS
            return response

        return spoken


router = Router(prefix=PREFIX, tags=["uploads"], route_class=_TusRoute)
Reads = Annotated[Caller, may("models.read")]
Writes = Annotated[Caller, may("models.write")]
Length = Annotated[int, Header(ge=0, le=2**50, description="bytes of the file")]
Metadata = Annotated[
    str, Header(
        max_length=16384,
        description="tus: pairs of a key and a value in base64. `filename`; `model`: id of the model it is a version "
        "of, or `dataset`: a name; `reading`: how data are read, as JSON; `sha256`, `parent`, `note`",
        examples=["filename ZGlnaXRzLm5weg==,dataset ZGlnaXRz"],
    )
]  # fmt: skip


@router.options("", include_in_schema=False)
@router.options("/{upload}", include_in_schema=False)
def protocol() -> Response:
    """What is spoken here; nothing of it is a secret."""
    headers = {"Tus-Version": _TUS, "Tus-Extension": "creation,termination,expiration", "Tus-Max-Size": str(MOST_BYTES)}
    return Response(status_code=204, headers=headers)


@router.post("", status_code=201)
def begin(response: Response, upload_length: Length, upload_metadata: Metadata, caller: Writes) -> UploadTold:
    """Begin an upload, as tus has it (creation). Then send the bytes to its `Location`, in as many requests as you
    like; what came before a request broke off is kept, and HEAD tells where to go on."""
    wanted = _wanted(upload_metadata, upload_length)
    kind = "model" if wanted.model else "dataset"
    name = check_file(kind, wanted.filename, wanted.length)
    free = free_bytes(caller.state)
    if free is not None and 2 * wanted.length + _SPARE > free:
        raise StorageError(f"the hub's disk has {free:,} bytes left, too few for this file; ask its operator for room")
    wish: dict[str, Any] = {"name": wanted.dataset, "reading": wanted.reading.model_dump()}
    with caller.write() as session:
        if wanted.model is not None:
            session.find(Model, wanted.model)
            wish = {"note": wanted.note, "parent": wanted.parent or ""}
        if wanted.parent is not None:
            find_version(session, wanted.parent)
        plans.check(session, caller.now, "storage_bytes", wanted.length)
        row = Upload(
            kind=kind, of=wanted.model or "", wish=wish, filename=name, length=wanted.length, by=caller.user,
            sha256=wanted.sha256 or "", made=caller.now, until=caller.now + KEPT,
        )  # fmt: skip
        session.add(row)
        session.flush()
        told = caller.reply(session, UploadTold.of(row), 201)
    response.headers["Location"] = f"{PREFIX}/{row.id}"
    _progress(response, row)
    return told


@router.get("", response_model=Page[UploadTold])
@brief
def upload_list(caller: Reads, page: PageQuery) -> Response:
    """Files on their way, newest first."""
    return paged(caller.look, UploadTold, Upload.id, page, newest_first=True)


@router.get("/{upload}")
def show(upload: Id, caller: Reads) -> UploadTold:
    """How far an upload is, and what it has become."""
    with caller.read() as session:
        return UploadTold.of(session.find(Upload, upload))


@router.head("/{upload}", include_in_schema=False)
def offset(upload: Id, response: Response, caller: Reads) -> Response:
    """Where to go on."""
    with caller.read() as session:
        row = session.find(Upload, upload)
    response = Response(status_code=200, headers={"Cache-Control": "no-store", "Upload-Length": str(row.length)})
    _progress(response, row)
    return response


@router.patch(
    "/{upload}", status_code=204,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {_OFFSET: {"schema": {"type": "string", "format": "binary", "examples": ["bytes"]}}},
        }
    },
)  # fmt: skip
async def more(
    upload: Id,
    request: Request,
    upload_offset: Annotated[
        int, Header(ge=0, le=2**50, description="the first byte's place in the file", examples=[0])
    ],
    caller: Annotated[Caller, may("models.write", streamed=True)],
) -> Response:
    """The next bytes of an upload. With the last one it becomes a version or a data set (`result`), which is then
    checked."""

    def find() -> Upload:
        with caller.read() as session:
            return session.find(Upload, upload)

    found = await run_in_threadpool(find)
    if request.headers.get("content-type", "").partition(";")[0].strip() != _OFFSET:
        raise Problem("unsupported-type", f"bytes of an upload come as {_OFFSET}")
    row = await receive(request, caller, found, upload_offset)
    if row.result:
        checker(caller.state).start()
    response = Response(status_code=204)
    _progress(response, row)
    return response


@router.delete("/{upload}", status_code=204)
def give_up(upload: Id, caller: Writes) -> None:
    """Give an upload up; what came of it is removed. (A version or data set that it has become stays.)"""
    with caller.write() as session:
        row = session.lock(Upload, upload)
        if row.result:
            raise Problem("conflict", "it is whole; remove what it has become instead")
        drop_upload(session, row.id)
        caller.tell(session, "upload.removed", upload, {"name": row.filename})


def _progress(response: Response, row: Upload) -> None:
    response.headers["Upload-Offset"] = str(row.offset)
    response.headers["Upload-Expires"] = format_datetime(row.until.replace(microsecond=0), usegmt=True)


def _wanted(metadata: str, length: int) -> NewUpload:
    """What the header says. Raises InputError."""
    found: dict[str, Any] = {"length": length}
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InputError(
                f"Upload-Metadata has pairs of a key and a value in base64; {key[:40]!r} has none"
            ) from error
    found.pop("filetype", None)  # what browsers' clients add
    try:
        if "reading" in found:
            found["reading"] = parse_json(found["reading"].encode(), 65536)
        wanted = NewUpload.model_validate(found)
        if (wanted.model is None) == (wanted.dataset is None):
            raise ValueError("it names a model (an id) or a dataset (a name)")
        if wanted.reading.preprocessing is not None:
            Preprocessing.from_json(wanted.reading.preprocessing)
    except ValidationError as error:
        one = error.errors()[0]
        place = "/".join(map(str, one["loc"]))[:100]
        raise InputError(f"Upload-Metadata cannot be used: {place}: {one['msg'][:200]}") from error
    except ValueError as error:
        raise InputError(f"Upload-Metadata cannot be used: {str(error)[:300]}") from error
    return wanted
