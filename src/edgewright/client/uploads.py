"""Uploads of models and data: part by part, gone on with wherever they broke off (tus 1.0.0, tus.io)."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewright.client.hub import Hub, Refusal
from edgewright.core.errors import InputError

PART_BYTES = 8 * 2**20
_PATIENCE = 5
"""Times in a row that nothing of a part arrives before it is given up."""
_LOOK_S, _LONGEST_S = 0.25, 1800.0


def upload(
    hub: Hub, file: Path, told: Callable[[int, int], None] = lambda done, total: None, **about: str
) -> dict[str, Any]:
    """The version or the data set that ``file`` became, once the hub has checked it.

    ``about``: ``model`` (the id of the one it is a version of) or ``dataset`` (a name), and ``reading`` (JSON),
    ``parent``, ``note``, ``sha256``. ``told`` hears how many bytes of how many are there. Raises InputError for a file
    that cannot be read or that the hub refused, Refusal, Unreachable.
    """
    try:
        length = file.stat().st_size
        with file.open("rb") as stream:
            pairs = {"filename": file.name, **about}
            metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())
            headers = {"Upload-Length": str(length), "Upload-Metadata": metadata, "Idempotency-Key": str(uuid.uuid4())}
            place = f"/uploads/{hub.send('POST', '/uploads', headers=headers)['id']}"
            done = fruitless = 0
            while done < length:
                told(done, length)
                stream.seek(done)
                headers = {"Upload-Offset": str(done), "Content-Type": "application/offset+octet-stream"}
                try:
                    hub.send("PATCH", place, stream.read(PART_BYTES), headers)
                except Refusal as error:
                    if error.status not in (409, 429, 503) or fruitless >= _PATIENCE:
                        raise
                before, done = done, int(hub.get(place)["offset"])
                fruitless = 0 if done > before else fruitless + 1
            told(length, length)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    return _checked(hub, hub.get(place)["result"], file)


def _checked(hub: Hub, result: str, file: Path) -> dict[str, Any]:
    path = f"/{'versions' if result.startswith('ver_') else 'datasets'}/{result}"
    end = time.monotonic() + _LONGEST_S
    while (found := hub.get(path))["state"] == "checking":
        if time.monotonic() > end:
            raise InputError(f"{file} is there and still being checked; look at {result} later")
        time.sleep(_LOOK_S)
    if found["state"] == "refused":
        raise InputError(f"the hub refused {file}: {found['reason']}")
    return dict(found)
