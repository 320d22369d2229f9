"""Fits: which version runs on which device class, and how fast that may be. Predicted, told once, kept.

The graph is a stranger's: it is read in a child process that is shut off, for all targets that are wanted at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from edgewright.core.child import ChildError, run_child
from edgewright.core.digests import canonical_json, digest_json
from edgewright.core.errors import InputError
from edgewright.core.files import scratch
from edgewright.core.strict import texts
from edgewright.hub import models
from edgewright.hub.objects import work_folder
from edgewright.hub.profiles.tables import Fit
from edgewright.hub.profiles.told import FitTold
from edgewright.hub.state import State
from edgewright.hub.turns import Turns

_TIMEOUT_S = 240.0
_WAIT_S = 120.0
_MEMORY_BASE, _MEMORY_EACH = 6 * 2**30, 12
_MOST_BYTES = 2**17
_ADVISING = 2  # each child may hold a model in memory


def fits(state: State, tenant: str, version: str, targets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What is told of a version on each target (documents by any key), by the same keys. Raises Absent, Conflict for
    a version that is not ready, InputError for a model that cannot be told of, StorageError."""
    digests = {key: digest_json(dict(document)) for key, document in targets.items()}
    with state.database.read(tenant) as session:
        models.find_version(session, version)
        known = _known(session.scalars(select(Fit).where(Fit.version == version)).all())
    missing = {digest: targets[key] for key, digest in digests.items() if digest not in known}
    if missing:
        known |= _computed(state, tenant, version, missing)
    return {key: known[digest] for key, digest in digests.items()}


def _known(rows: Any) -> dict[str, Any]:
    return {row.target: row.told for row in rows}


def _computed(state: State, tenant: str, version: str, targets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    turns = state.part("profiles.advising", lambda: Turns(_ADVISING, 10, 6))
    with turns.turn(tenant, "other models are being looked at"):
        with state.database.read(tenant) as session:  # somebody may have asked for the same before
            known = _known(session.scalars(select(Fit).where(Fit.version == version)).all())
        if known.keys() >= targets.keys():
            return known
        with scratch("advice", work_folder(state)) as folder:
            path = models.place_model(state, tenant, version, folder)
            found = _asked(folder, path, targets)
    now = state.clock()
    with state.database.write(tenant) as session:
        for digest, told in found.items():
            session.merge(Fit(tenant=tenant, version=version, target=digest, told=told, made=now))
    return found


def _asked(folder: Path, path: Path, targets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    argument = {"path": path.name, "targets": targets}
    try:
        answer = run_child(
            "edgewright.hub.profiles.advising:advise_all", argument, timeout_s=_TIMEOUT_S, sandbox=True, folder=folder,
            memory_bytes=_MEMORY_BASE + _MEMORY_EACH * size,
        )  # fmt: skip
    except ChildError as error:
        raise InputError(f"nothing can be told of this model ({error}); export it again") from error
    try:
        return {digest: _checked(answer[digest]) for digest in targets}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("nothing can be told of this model: what was read of it makes no sense") from error


def _checked(told: dict[str, Any]) -> dict[str, Any]:
    """The child's answer, which may be the model's own words."""
    FitTold.model_validate({"profile": "-", "title": "-", **told})
    if len(canonical_json(told)) > _MOST_BYTES or "\0" in texts(told):
        raise ValueError("too much")
    return told
