"""A tenant with devices, on each database."""

import importlib.util
import sys
from pathlib import Path

import pytest

from edgewright.hub.accounts.people import make_tenant


def _load():
    spec = importlib.util.spec_from_file_location("rollouts_fleet", Path(__file__).with_name("fleet.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


Fleet = _load().Fleet


@pytest.fixture
def fleet(state, clock):
    tenant, _ = make_tenant(state, "main", "owner")
    return Fleet(state, tenant, clock)
