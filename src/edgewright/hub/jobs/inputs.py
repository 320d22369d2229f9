"""Inputs: where a job's model and dataset come from. The slice of models gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgewright.core.errors import InputError
from edgewright.hub.database import Scoped
from edgewright.hub.state import State


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


class Nothing:
    """Before there is a slice of models: nothing is known."""

    def version(self, session: Scoped, id_: str) -> Known:
        """Raises Absent."""
        raise _absent("version", id_)

    def dataset(self, session: Scoped, id_: str) -> Known:
        """Raises Absent."""
        raise _absent("dataset", id_)

    def target(self, session: Scoped, name: str) -> str:
        """Those that ship. Raises InputError."""
        return shipped(name)

    def optimized(self, session: Scoped, id_: str) -> None:
        """Nothing is known of it."""

    def place_model(self, state: State, tenant: str, id_: str, folder: Path) -> Path:
        """Raises Absent."""
        raise _absent("version", id_)

    def place_dataset(self, state: State, tenant: str, id_: str, folder: Path) -> tuple[Path, Mapping[str, Any]]:
        """Raises Absent."""
        raise _absent("dataset", id_)


def shipped(name: str) -> str:
    """ "" for a target that ships. Raises InputError."""
    from edgewright.targets import names

    if name not in names():
        raise InputError(f"no target is named {name[:60]!r}; there are: {', '.join(names())}")
    return ""


def _absent(what: str, id_: str) -> Exception:
    from edgewright.hub.errors import Absent

    return Absent(f"there is no {what} {id_[:64]!r}")


def inputs(state: State) -> Inputs:
    """Of this process."""
    found: Inputs = state.part("jobs.inputs", Nothing)
    return found


def provide(state: State, given: Inputs) -> None:
    """Before the first job."""
    state.part("jobs.inputs", lambda: given)
