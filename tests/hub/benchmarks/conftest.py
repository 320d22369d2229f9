"""Real bundles, as the library's tests have them, and workers, as those of jobs do."""

import importlib.util
import sys
from pathlib import Path

import pytest

from edgewright.hub.library.tables import Bundle


def _load(name):
    place = Path(__file__).parents[1] / name / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"hub_{name}_conftest", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_LIBRARY, _JOBS = _load("library"), _load("jobs")
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
