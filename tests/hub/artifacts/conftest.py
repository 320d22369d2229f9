"""Real bundles, as the library's tests have them, and jobs' rows with real reports."""

import hashlib
from pathlib import Path

import pytest

from edgewright.hub.ids import new_id
from edgewright.hub.jobs.tables import Job
from edgewright.hub.objects import expect, object_name, objects, work_folder
from edgewright.testing.beside import beside

_MODULE = beside(Path(__file__).parents[1] / "library" / "conftest.py")
make, library = _MODULE.make, _MODULE.library


@pytest.fixture
def bundle(library, make):
    """A bundle of the tenant north; its digest, bytes and key."""
    made = make()
    library.upload(made)
    return made


@pytest.fixture
def report(hub):
    """A job of north that has a report; its id."""
    state, tenant, now = hub.state, hub.tenants["north"], hub.state.clock()
    places = []
    for data in (b'{"schema": 1}', b"<!doctype html><title>Report</title>"):
        digest = hashlib.sha256(data).hexdigest()
        work_folder(state).mkdir(parents=True, exist_ok=True)
        path = work_folder(state) / "file"
        path.write_bytes(data)
        expect(state, tenant, object_name("reports", digest))
        objects(state).put(tenant, object_name("reports", digest), path)
        places.append(f"{digest}/{len(data)}")
    with state.database.write(tenant) as session:
        row = Job(
            id=new_id("job"), kind="optimization", state="done", reason="", version="ver_" + "1" * 26,
            dataset="dat_" + "1" * 26, target="host", wish={"name": "classifier"}, needs={}, content="ab" * 32,
            priority=0, progress={}, result=None, report=places[0], page=places[1], stop="", worker=None, claim=0,
            attempts=0, deaths=0, by=hub.north.id, made=now, queued=now, began=None, ended=now,
        )  # fmt: skip
        session.add(row)
    return row.id
