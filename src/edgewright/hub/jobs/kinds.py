"""Kinds of jobs: what each needs in its folder, and what it leaves. A new one is a class here, and a function that
``inside`` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from edgewright.core.files import read_file, storage, write_file
from edgewright.hub import library
from edgewright.hub.jobs import results
from edgewright.hub.jobs.inputs import inputs
from edgewright.hub.jobs.measuring import RESULT
from edgewright.hub.jobs.profiled import RESULT_BYTES, read_profile
from edgewright.hub.jobs.tables import Job
from edgewright.hub.state import State

INPUT = "input"


class Kind(Protocol):
    """Of a job in its ``folder``, where ``input`` is empty; what is done twice is the same."""

    def place(self, state: State, tenant: str, row: Job, folder: Path) -> dict[str, Any]:
        """What the child is asked, once its files lie in ``input``. Raises Absent, Conflict, StorageError."""

    def collect(self, state: State, tenant: str, out: Path) -> dict[str, Any]:
        """What the child left in ``out``, as JSON. Raises StorageError, TrustError, InputError."""

    def settle(self, state: State, tenant: str, job: str, claim: int, worker: str, left: Mapping[str, Any]) -> bool:
        """End the job with what was collected; False where it is another's by now."""


class Optimization:
    """A search: a version, a dataset, a target."""

    def place(self, state: State, tenant: str, row: Job, folder: Path) -> dict[str, Any]:
        """As ``Kind`` has it."""
        given, place = inputs(state), folder / INPUT
        model = given.place_model(state, tenant, row.version, place)
        data, reading = given.place_dataset(state, tenant, row.dataset, place)
        if row.profile:
            write_file(place / "target.toml", row.profile.encode())
        return {
            "kind": row.kind, "model": str(model.relative_to(folder)), "data": str(data.relative_to(folder)),
            "reading": dict(reading), "target": f"{INPUT}/target.toml" if row.profile else row.target,
            "called": [f"{row.wish['name'] or 'model'}.onnx", data.name], "wish": row.wish, "out": "out",
        }  # fmt: skip

    def collect(self, state: State, tenant: str, out: Path) -> dict[str, Any]:
        """As ``Kind`` has it."""
        return results.collect(state, tenant, out)

    def settle(self, state: State, tenant: str, job: str, claim: int, worker: str, left: Mapping[str, Any]) -> bool:
        """As ``Kind`` has it."""
        return results.settle(state, tenant, job, claim, worker, left)


class Benchmark:
    """Bundles and versions side by side: ``wish["subjects"]``, each a ``kind`` and an ``id``."""

    def place(self, state: State, tenant: str, row: Job, folder: Path) -> dict[str, Any]:
        """As ``Kind`` has it."""
        subjects = []
        for number, one in enumerate(row.wish["subjects"]):
            place = folder / INPUT / str(number)
            with storage(place):
                place.mkdir()
            told = {"kind": one["kind"], "subject": one["id"]}
            if one["kind"] == "bundle":
                with state.database.read(tenant) as session:
                    bundle = library.find(session, one["id"])
                path = place / "bundle.ewb"
                with storage(path), path.open("xb") as made:
                    made.writelines(library.open_file(state, tenant, bundle.file).pieces())
                told["key"] = bundle.signer
            else:
                path = inputs(state).place_model(state, tenant, one["id"], place)
            subjects.append(told | {"path": str(path.relative_to(folder))})
        return {"kind": row.kind, "subjects": subjects, "wish": row.wish, "out": "out"}

    def collect(self, state: State, tenant: str, out: Path) -> dict[str, Any]:
        """As ``Kind`` has it."""
        return {"result": results.measured(out / RESULT)}

    def settle(self, state: State, tenant: str, job: str, claim: int, worker: str, left: Mapping[str, Any]) -> bool:
        """As ``Kind`` has it."""
        return results.settle_measured(state, tenant, job, claim, worker, left["result"])


class Profile:
    """Times of a version's layers and, with a dataset, how sensitive each is."""

    def place(self, state: State, tenant: str, row: Job, folder: Path) -> dict[str, Any]:
        """As ``Kind`` has it."""
        given, place = inputs(state), folder / INPUT
        model = given.place_model(state, tenant, row.version, place)
        told = {"kind": row.kind, "model": str(model.relative_to(folder)), "wish": row.wish, "out": "out"}
        if not row.dataset:
            return told | {"data": None, "reading": {}}
        data, reading = given.place_dataset(state, tenant, row.dataset, place)
        return told | {"data": str(data.relative_to(folder)), "reading": dict(reading)}

    def collect(self, state: State, tenant: str, out: Path) -> dict[str, Any]:
        """As ``Kind`` has it."""
        return {"result": read_profile(read_file(out / RESULT, RESULT_BYTES))}

    def settle(self, state: State, tenant: str, job: str, claim: int, worker: str, left: Mapping[str, Any]) -> bool:
        """As ``Kind`` has it."""
        return results.settle_measured(state, tenant, job, claim, worker, left["result"])


KINDS: Mapping[str, Kind] = {"optimization": Optimization(), "benchmark": Benchmark(), "profile": Profile()}
