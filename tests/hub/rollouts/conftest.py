"""A tenant with devices, on each database."""

from pathlib import Path

import pytest

from edgewright.hub.accounts.people import make_tenant
from edgewright.testing.beside import beside

Fleet = beside(Path(__file__).with_name("fleet.py"), "rollouts_fleet").Fleet


@pytest.fixture
def fleet(state, clock):
    tenant, _ = make_tenant(state, "main", "owner")
    return Fleet(state, tenant, clock)
