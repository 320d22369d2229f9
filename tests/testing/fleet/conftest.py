"""A server and a signed bundle; coroutines run to their end."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright.core.messages import Release
from edgewright.testing.agents import multiplier
from edgewright.testing.beside import beside
from edgewright.testing.fleet import Fleet, Setting
from edgewright.trust import SigningKey

SERVER = beside(Path(__file__).with_name("server.py"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    path, key = tmp_path_factory.mktemp("bundle") / "m.ewb", SigningKey.generate()
    return SimpleNamespace(path=path, digest=multiplier(path, key, 2.0), signer=key.public)


@pytest.fixture
def server_of():
    """The small hub's class: ``async with server_of(folder) as server``."""
    return SERVER.Server


@pytest.fixture
def with_fleet(tmp_path):
    """``with_fleet(body, devices, setting)``: run ``await body(server, fleet)`` with devices that are enrolled."""

    def run(body, devices=10, setting=None):
        async def whole():
            async with SERVER.Server(tmp_path) as server:
                fleet = Fleet(server.url, tmp_path / "fleet", setting or Setting(durations={}))
                await fleet.enrol(devices, server.tokens(devices))
                await body(server, fleet)

        asyncio.run(whole())

    return run


@pytest.fixture
def release(bundle):
    """An offer of the bundle."""

    def made(**more):
        return Release("r1", bundle.digest, **{"trial_s": 0.0, "activate": True, **more})

    return made
