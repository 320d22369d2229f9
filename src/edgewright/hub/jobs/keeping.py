"""Keeping: the model that a job found becomes a version of the model it was made of."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from fastapi import Response

from edgewright.core.files import scratch, storage
from edgewright.hub import library, models
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.errors import Conflict
from edgewright.hub.jobs.tables import Job
from edgewright.hub.library.tables import Bundle
from edgewright.hub.models.told import VersionTold
from edgewright.hub.objects import work_folder
from edgewright.hub.web.bodies import Id, Router

router = Router(prefix="/api/edge/optimization-jobs", tags=["jobs"])
_FOLDER = "models"


@router.post(
    "/{job}/version", status_code=201,
    responses={200: {"model": VersionTold, "description": "It was kept before"}},
)  # fmt: skip
def keep(job: Id, response: Response, caller: Annotated[Caller, may("models.write")]) -> VersionTold:
    """Keep what a job found as a new version of its model: with the version it was made of as its parent, checked like
    one that was uploaded. What was kept before is answered with 200."""
    with caller.read() as session:
        row = session.find(Job, job)
        there = models.made_by(session, job)
        if there is not None:
            response.status_code = 200
            return VersionTold.of(there)
        digest = (row.result or {}).get("bundle")
        if row.kind != "optimization" or not digest:
            raise Conflict(f"job {job!r} has made no bundle; keep what one that is done has found")
        parent = models.find_version(session, row.version)
        bundle = library.find(session, digest)
    with scratch("keep", work_folder(caller.state)) as folder:
        path = _onnx(caller, bundle, folder)
        told = {"parent": parent.id, "job": job, "stage": "optimized"}
        made, new = models.bring(caller, parent.model, path, f"{bundle.name}-{bundle.version}{path.suffix}", told)
    response.status_code = 201 if new else 200
    return VersionTold.of(made)


def _onnx(caller: Caller, bundle: Bundle, folder: Path) -> Path:
    """The bundle's ONNX form in a file: itself, or zipped with the files that hold its weights."""
    parts = {PurePosixPath(name): place for name, place in bundle.files.items() if name.startswith(f"{_FOLDER}/")}
    main = next((one for one in sorted(parts) if one.suffix == ".onnx"), None)
    if main is None:
        raise Conflict("its bundle holds no ONNX file, so nothing that could be compiled again")
    beside = [one for one in sorted(parts) if one.parts[:2] == main.parts[:2]]
    path = folder / ("model.onnx" if len(beside) == 1 else "model.zip")
    with storage(path):
        if path.suffix == ".onnx":
            with path.open("xb") as made:
                made.writelines(_pieces(caller, parts[main][0]))
            return path
        with zipfile.ZipFile(path, "x") as archive:
            for one in beside:
                with archive.open(str(PurePosixPath(*one.parts[2:])), "w", force_zip64=True) as made:
                    for piece in _pieces(caller, parts[one][0]):
                        made.write(piece)
    return path


def _pieces(caller: Caller, digest: str) -> Iterator[bytes]:
    return library.open_file(caller.state, caller.tenant, digest).pieces()
