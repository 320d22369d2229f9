"""Placing: a version or a data set in a folder, as compilers take them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from edgewright.core.child import run_child
from edgewright.core.errors import StorageError
from edgewright.core.files import safe_name, storage
from edgewright.formats.beside import MAIN
from edgewright.hub.models.keeping import check_ready, find_version
from edgewright.hub.models.tables import Dataset
from edgewright.hub.models.unpacking import common_root
from edgewright.hub.objects import objects
from edgewright.hub.state import State

_TIMEOUT_S = 900.0


def place_model(state: State, tenant: str, version: str, folder: Path) -> Path:
    """The version's ONNX form in ``folder``; the path of its main file. Raises Absent, Conflict, StorageError."""
    with state.database.read(tenant) as session:
        row = find_version(session, version)
        check_ready(row)
    for name, (digest, length) in row.files.items():
        _place(state, tenant, digest, length, folder / safe_name(name))
    return folder / MAIN


def place_dataset(state: State, tenant: str, dataset: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The data in ``folder``: the path and the keyword arguments that ``datasets.dataset`` reads it with. Raises
    Absent, Conflict, InputError, StorageError."""
    with state.database.read(tenant) as session:
        row = session.find(Dataset, dataset)
        check_ready(row)
    path = folder / f"data{PurePosixPath(row.filename).suffix.lower()}"
    _place(state, tenant, row.file, row.length, path)
    if path.suffix == ".zip":
        run_child(
            "edgewright.hub.models.reading:unpack_data", {"path": path.name}, timeout_s=_TIMEOUT_S, sandbox=True,
            folder=folder,
        )  # fmt: skip
        path = common_root(folder / "images")
    return path, dict(row.reading)


def read_object(state: State, tenant: str, digest: str, length: int) -> Iterable[bytes]:
    """The bytes of a file of a version's or data set's, a piece at a time."""
    return objects(state).pieces(tenant, f"models/{digest}", 0, length)


def _place(state: State, tenant: str, digest: str, length: int, path: Path) -> None:
    seen = hashlib.sha256()
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as made:
            for piece in read_object(state, tenant, digest, length):
                seen.update(piece)
                made.write(piece)
    if seen.hexdigest() != digest:
        raise StorageError("an object of the store is not what it was; restore it from its backup")
