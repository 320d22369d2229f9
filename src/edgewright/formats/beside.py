"""Files a model names beside itself: weights and other data, read from its own folder and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.core.files import read_file, safe_name

MAIN = "model.onnx"
"""What a model's own file is called among those that lie beside it."""


def read_beside(path: Path, names: Sequence[str], reserved: str = "") -> dict[str, bytes]:
    """Files by name, read from below the folder of ``path``, through no link. Raises InputError.

    All of them together may take three quarters of this machine's memory. ``reserved``: a name none may have.
    """
    folder = path.parent.resolve()
    budget = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4
    found: dict[str, bytes] = {}
    for where in names:
        if safe_name(where) in (reserved, path.name):
            raise InputError(f"external data may not be called {where!r}; save it under a name of its own")
        if (folder / where).resolve() != folder / where:
            raise InputError(f"{where!r} beside it is a link; copy the model and its data into one folder (cp -L)")
        if not (folder / where).is_file():
            raise InputError(f"its data file {where!r} is missing; copy it beside the model")
        found[where] = read_file(folder / where, budget)
        budget -= len(found[where])
    return found
