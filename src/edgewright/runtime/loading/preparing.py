"""Preparing: the slow and the dangerous part of loading a model, in a child process.

Reading and verifying a bundle, opening it for the first time, its golden calls and its first runs take seconds and may
hang or die. What is tried are the very files that the server will map.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from edgewright.core.child import ChildStarved, run_child
from edgewright.core.files import storage
from edgewright.core.priority import Priority
from edgewright.core.session import EngineOptions
from edgewright.runtime.loading.layout import lay_out
from edgewright.runtime.loading.places import Place
from edgewright.runtime.loading.prepared import model_folder, read_prepared, write_prepared
from edgewright.runtime.loading.sources import Source, open_model, read_source, scattered
from edgewright.runtime.loading.trying import FIRST_S, check_golden, check_latency, ended_in
from edgewright.trust import PublicKey

_TIMEOUT_S = 600.0


def prepare(place: Place, folder: Path, trusted: list[PublicKey] | None, engine: str,
            options: EngineOptions | None, stop: int | None = None) -> Source:  # fmt: skip
    """The source at ``place``, verified, tried out and laid out in ``folder`` by a child process.

    ``stop``: a descriptor; what can be read from it ends the child. Raises the EdgewrightError that the child did,
    ChildError when it died, hung or was stopped.
    """
    told = {
        "name": place.name, "version": place.version, "path": str(place.path.resolve()), "folder": str(folder),
        "trusted": None if trusted is None else [key.text() for key in trusted], "engine": engine,
        "options": None if options is None else options.to_json(),
    }  # fmt: skip
    try:
        _run(told, folder, stop, "idle")
    except ChildStarved:
        discard(folder)
        folder.mkdir(mode=0o700)
        _run(told, folder, stop, "low")
    return read_prepared(folder)


def _run(told: dict[str, Any], folder: Path, stop: int | None, priority: Priority) -> None:
    function = f"{__name__}:prepare_in_child"
    run_child(function, told, timeout_s=_TIMEOUT_S, folder=folder, stop=stop, priority=priority)


def prepare_in_child(told: dict[str, Any]) -> dict[str, Any]:
    """``prepare``'s other half. Raises EdgewrightError for what must not be served."""
    trusted = None if told["trusted"] is None else [PublicKey.parse(text) for text in told["trusted"]]
    options = None if told["options"] is None else EngineOptions(**told["options"])
    place, folder = Place(told["name"], told["version"], Path(told["path"])), Path(told["folder"])
    source = read_source(place, trusted, told["engine"], options)
    with storage(folder):
        source = lay_out(source, model_folder(folder), far=scattered(place.path))
    source, session = open_model(source)
    with session, ended_in(session, FIRST_S):
        check_golden(source, session)
        check_latency(source, session)
    with storage(folder):
        write_prepared(source, folder)
    return {"version": source.version}


def discard(folder: Path) -> None:
    """Remove what ``prepare`` left."""
    shutil.rmtree(folder, ignore_errors=True)
