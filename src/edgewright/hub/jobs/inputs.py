"""Inputs: where a job's model and dataset come from. The slice of models gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgewright.hub import models, profiles
from edgewright.hub.database import Scoped
from edgewright.hub.state import State
from edgewright.targets import names
from edgewright.targets.toml import dump


@dataclass(frozen=True)
class Known:
    """A version or a dataset that is ready: ``file`` is the digest of its file, ``name`` what a bundle of it is
    called where nobody chose a name."""

    id: str
    file: str
    name: str


class Inputs(Protocol):
    """What jobs need of models and datasets."""

    def version(self, session: Scoped, id_: str) -> Known:
        """A version that is ready. Raises Absent, Conflict."""

    def dataset(self, session: Scoped, id_: str) -> Known:
        """A dataset that is ready. Raises Absent, Conflict."""

    def target(self, session: Scoped, name: str) -> str:
        """What is kept of a target: "" for one that ships with every worker, the text of its file for one of the
        tenant's own. Raises Absent, InputError."""

    def optimized(self, session: Scoped, id_: str) -> None:
        """A bundle was made of this version."""

    def place_model(self, state: State, tenant: str, id_: str, folder: Path) -> Path:
        """Its file in ``folder``. Raises Absent, Conflict, StorageError."""

    def place_dataset(self, state: State, tenant: str, id_: str, folder: Path) -> tuple[Path, Mapping[str, Any]]:
        """Its file in ``folder``, and how ``datasets.dataset`` reads it. Raises as above."""


class Uploaded:
    """Those that people uploaded."""

    def version(self, session: Scoped, id_: str) -> Known:
        """Raises Absent, Conflict."""
        row = models.take_version(session, id_)
        return Known(row.id, row.digest, models.model_name(session, row))

    def dataset(self, session: Scoped, id_: str) -> Known:
        """Raises Absent, Conflict."""
        row = models.take_dataset(session, id_)
        return Known(row.id, row.file, row.name)

    def target(self, session: Scoped, name: str) -> str:
        """Raises Absent."""
        return "" if name in names() else dump(profiles.resolve(session, name))

    def optimized(self, session: Scoped, id_: str) -> None:
        """It has come so far."""
        models.advance(session, id_, "optimized")

    def place_model(self, state: State, tenant: str, id_: str, folder: Path) -> Path:
        """Raises Absent, Conflict, StorageError."""
        return models.place_model(state, tenant, id_, folder)

    def place_dataset(self, state: State, tenant: str, id_: str, folder: Path) -> tuple[Path, Mapping[str, Any]]:
        """Raises as above."""
        return models.place_dataset(state, tenant, id_, folder)


def inputs(state: State) -> Inputs:
    """Of this process."""
    found: Inputs = state.part("jobs.inputs", Uploaded)
    return found


def provide(state: State, given: Inputs) -> None:
    """Before the first job."""
    state.part("jobs.inputs", lambda: given)
