"""A plant: the real hub, its device listener over TLS, and real agents whose runtime is a witness; given clocks."""

import asyncio
import contextlib
import json
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sqlalchemy.exc import SQLAlchemyError

from edgewright.agent import children
from edgewright.agent.net import enrol
from edgewright.core.messages import LIMITS, Receipt, read, render
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.fleet.roster import Key
from edgewright.hub.fleet.tables import Ledger
from edgewright.hub.library.deltas import maker
from edgewright.hub.rollouts.reconcile import Reconciler
from edgewright.hub.serving import keep
from edgewright.hub.web.rates import Rates
from edgewright.monitoring.seen import Seen
from edgewright.testing.agents import in_process, multiplier, verified
from edgewright.testing.beside import beside
from edgewright.trust import SigningKey

TESTS = Path(__file__).parents[1]


HUB, NET = beside(TESTS / "hub/conftest.py"), beside(TESTS / "agent/net/conftest.py")
fleet, hub, state, tables = HUB.fleet, HUB.hub, HUB.state, HUB.tables


@pytest.fixture
def postgres_servers():
    """``with postgres_servers() as server``: one that may be stopped."""
    return beside(TESTS / "hub/postgres.py").server


@pytest.fixture
def url(tmp_path, tables):
    (tmp_path / "data").mkdir()
    return f"sqlite:///{shutil.copy(tables, tmp_path / 'data' / 'hub.db')}"


@pytest.fixture
def with_tables():
    """``with_tables(url)``: a database that has them."""
    return HUB.with_tables


def _now():
    made = HUB.Clock()
    made.now = datetime.now(UTC)
    return made


@pytest.fixture
def clock():
    """The hub's; it begins now, because OpenSSL has a clock of its own."""
    return _now()


@pytest.fixture(scope="session")
def inhabited(tables, tmp_path_factory):
    return HUB.inhabit(tables, tmp_path_factory.mktemp("inhabited"), _now())


@pytest.fixture(scope="session")
def key():
    return SigningKey.generate()


@pytest.fixture(scope="session")
def made(key, tmp_path_factory):
    """``a``, ``b``: bundles that multiply by 2, 3; ``large`` and ``larger``: of half a megabyte, most of it the
    same."""
    found = SimpleNamespace(folder=tmp_path_factory.mktemp("bundles"))
    for name, factor in (("a", 2.0), ("b", 3.0)):
        path = found.folder / f"{name}.ewb"
        setattr(found, name, SimpleNamespace(path=path, digest=multiplier(path, key, factor, version=name)))
    weights = np.random.default_rng(0).normal(size=(4, 30_000)).astype(np.float32)
    other = weights.copy()
    other[:, :30] *= 1.5
    for name, values in (("large", weights), ("larger", other)):
        path = found.folder / f"{name}.ewb"
        setattr(found, name, SimpleNamespace(path=path, digest=NET.linear(path, key, values, name)))
    return found


@pytest.fixture(scope="session")
def poisons():
    """Makers of bundles that are signed and must not serve."""
    return beside(TESTS / "agent/test_children.py")


class One(NET.One):
    """A device of the plant. After each turn: once it had a verified, serving bundle it has one, and no other was ever
    served (the witness verifies what it is given)."""

    had = False

    def status(self):
        return replace(super().status(), clock_s=self.line.clock_s)

    def act(self):
        pause = super().act()
        assert verified(self.state) == self.slots.current
        assert self.slots.current or not self.had, "it had a bundle that served, and has none"
        self.had = self.had or bool(self.slots.current)
        assert not self.witness.served or self.witness.served[-1] == self.slots.current
        return pause

    def report(self, report):
        """Tell it; the receipt, which says that it is kept."""
        with contextlib.closing(self.line.dial()) as hub:
            answer = hub.ask("POST", "/device/v1/reports", render(report), most_bytes=LIMITS["Receipt"])
        return read(Receipt, answer.body)


@pytest.fixture
def agent_of(tmp_path, monkeypatch):
    """Agents of other hubs: enrolled there, or on their folder anew."""
    monkeypatch.setattr(children, "run_child", in_process)
    running = {}

    def make(name, url="", token=""):
        if name in running:
            running.pop(name).close()
        if url:
            enrol(tmp_path / "agents" / name, url, token, name)
        running[name] = One(tmp_path / "agents" / name)
        return running[name]

    yield make
    for one in running.values():
        one.close()


class Plant:
    """A hub of two tenants; ``north`` is a development tenant. Nothing happens but in ``go``."""

    def __init__(self, fleet, clock, key):
        self.fleet, self.hub, self.clock, self.key, self.agents = fleet, fleet.hub, clock, key, {}
        self.north, self.devices = self.hub.north, HUB.DEVICES
        with fleet.state.database.write(fleet.tenant) as session:
            session.query(Tenant).one().development = True
        self.reconciler = Reconciler(fleet.state)
        fleet.listener.app.gate._rates = Rates(1e6, 1e6)
        fleet.listener.app._tellings._rates = Rates(1e6, 1e6)

    def upload(self, bundle):
        """Into the library."""
        signer = self.key.public.raw.hex()
        self.north.ask("POST", f"/api/edge/bundles?signer={signer}", 201, content=bundle.path.read_bytes())
        return bundle

    def agent(self, name, **of_line):
        """One that is enrolled, or the one of that name started anew."""
        state = self.fleet.folder / name
        if name in self.agents:
            self.agents.pop(name).close()
        elif not state.exists():
            enrol(state, self.fleet.url, self.fleet.token(device=name), name)
        self.agents[name] = One(state, **{"clock": lambda: self.clock().timestamp(), **of_line})
        self.agents[name].had = bool(self.agents[name].slots.current)
        return self.agents[name]

    def release(self, *bundles, **policy):
        """A rollout of them; its id."""
        wanted = {"waves": "100", "soak_s": 5.0, "lease_s": 120.0, "trial_s": 0.0, "name": "m-1"} | policy
        body = {"bundles": [one.digest for one in bundles], **wanted}
        return self.north.post("/api/edge/rollouts", body)["id"]

    def completed(self, bundle, **policy):
        """Released to everybody, and there; the rollout."""
        rollout = self.release(bundle, **policy)
        self.go(lambda: self.shown(rollout)["state"] == "completed")
        assert {one.machine.now.good for one in self.agents.values()} == {bundle.digest}
        return rollout

    def keep(self):
        """What the hub does once a minute."""
        keep(self.fleet.state, heads=False)
        self.fleet.listener.renew()

    def told(self, device):
        """Which reports of it the hub has, by boot and sequence."""
        row = self.fleet.row(device, Ledger)
        return Seen.from_json(json.loads(row.seen)) if row is not None else Seen()

    def shown(self, rollout):
        return self.north.get(f"/api/edge/rollouts/{rollout}")

    def go(self, done, turns=60, seconds=2.0):
        """Rounds of everybody until ``done``, the clock going on."""
        for _ in range(turns):
            self.clock.go_on(seconds=seconds)
            self.reconciler.round()
            self.settle()
            for one in self.agents.values():
                pause = one.turn()
                for _ in range(8):  # what it does without waiting for anybody
                    if pause == 0.0 and one.machine.now.state != "idle":
                        pause = one.act()
            self.settle()
            if done():
                return
        rollouts = [self.shown(one["id"]) for one in self.north.get("/api/edge/rollouts")["items"]]
        told = [(one["state"], one["wave"], one["phase"], one["look"]) for one in rollouts]
        raise AssertionError(told, [(one.machine.now, one.line.trouble) for one in self.agents.values()])

    def settle(self):
        """What devices told is in the database, and what is there is known to the listener."""
        app = self.fleet.listener.app
        there = [one.line.enrolment.device for one in self.agents.values() if not one.line.trouble]

        async def both():
            if there:  # as the listener does every half a minute by a clock that is not given
                await app._writer.put("seen", self.fleet.tenant, (there, self.clock()))
            await app._writer.call(self.fleet.tenant, lambda session: None)
            await app._watcher.device(Key(self.fleet.tenant, "nobody"))

        asyncio.run_coroutine_threadsafe(both(), self.fleet.listener._loop).result(60)

    def back(self):
        """Until the database answers again."""
        for _ in range(200):
            with contextlib.suppress(SQLAlchemyError):
                return self.settle()
            threading.Event().wait(0.1)
        raise AssertionError("the database did not come back")

    def made_deltas(self):
        """Until those that are wanted are made."""
        maker(self.fleet.state).wait()

    def close(self):
        for one in self.agents.values():
            one.close()
        maker(self.fleet.state).close()


@pytest.fixture
def plant(fleet, clock, key, monkeypatch):
    monkeypatch.setattr(children, "run_child", in_process)
    made = Plant(fleet, clock, key)
    yield made
    made.close()
