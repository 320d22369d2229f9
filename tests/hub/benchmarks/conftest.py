"""Real bundles, as the library's tests have them, and workers, as those of jobs do."""

from pathlib import Path

import pytest

from edgewright.hub.library.tables import Bundle
from edgewright.testing.beside import beside

_LIBRARY, _JOBS = (beside(Path(__file__).parents[1] / name / "conftest.py") for name in ("library", "jobs"))
make, library = _LIBRARY.make, _LIBRARY.library
jobs, until = _JOBS.jobs, _JOBS.until_


@pytest.fixture
def bundle(library, make):
    """A bundle of the tenant north, with its bytes."""
    made = make()
    library.upload(made)
    return made


@pytest.fixture
def release(hub):
    """Have devices be allowed to run a bundle; rollouts do it by signatures."""

    def released(bundle):
        with hub.state.database.write(hub.tenants["north"]) as session:
            session.find(Bundle, bundle.digest).released = True

    return released
