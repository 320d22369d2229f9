"""Downloads: a file as it was uploaded."""

from __future__ import annotations

from urllib.parse import quote

from fastapi.responses import StreamingResponse

from edgewright.hub.accounts.access import Caller
from edgewright.hub.errors import Conflict
from edgewright.hub.models.placing import read_object
from edgewright.hub.models.tables import Dataset, Version

OCTETS = "application/octet-stream"


def download(caller: Caller, row: Version | Dataset) -> StreamingResponse:
    """Raises Conflict for what is not kept."""
    if not row.file:
        raise Conflict(
            "the file was refused and is not kept" if row.state == "refused" else "it is still being checked"
        )
    headers = {
        "Content-Length": str(row.length), "ETag": f'"{row.file}"',
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.filename, safe='')}",
    }  # fmt: skip
    pieces = read_object(caller.state, caller.tenant, row.file, row.length)
    return StreamingResponse(pieces, media_type=OCTETS, headers=headers)
