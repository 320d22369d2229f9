"""Two real bundles, a state folder that trusts their signer, and agents that are stopped in the end."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright.testing.agents import multiplier, state_folder
from edgewright.trust import SigningKey


@pytest.fixture(scope="session")
def key():
    return SigningKey.generate()


@pytest.fixture(scope="session")
def made(key, tmp_path_factory):
    """``a``, ``b``, ``c``: bundles of one model name that multiply by 2, 3, 4; ``x`` by itself is ``x``'s digest."""
    folder = tmp_path_factory.mktemp("bundles")
    found = SimpleNamespace(folder=folder)
    for name, factor in (("a", 2.0), ("b", 3.0), ("c", 4.0)):
        digest = multiplier(folder / f"{name}.ewb", key, factor, version=name)
        setattr(found, name, SimpleNamespace(path=folder / f"{name}.ewb", digest=digest, factor=factor))
    return found


@pytest.fixture
def ram():
    """A folder in memory where there is one: what is tested by the hundred there does not wait for a disk."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def state(key, tmp_path) -> Path:
    return state_folder(tmp_path / "state", key)
