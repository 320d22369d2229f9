"""A hub over real mTLS, devices that are enrolled at it, and the machine's loop without a runtime."""

from __future__ import annotations

import threading
import uuid
from types import SimpleNamespace

import numpy as np
import pytest

from edgewright import bundles
from edgewright.agent import Device, Journal, Machine, Slots, Trial, children
from edgewright.agent.net import HubSource, Line, Link, Service, enrol
from edgewright.agent.net.follow import follow, status
from edgewright.agent.net.wishes import Wishes
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.messages import Desired, Facts, Release
from edgewright.core.session import EngineOptions
from edgewright.testing.agents import Witness, in_process
from edgewright.testing.build import Build
from edgewright.testing.hubs import TestHub

NAME = "press-1"
LONG = 120.0


@pytest.fixture
def hub(tmp_path):
    with TestHub(tmp_path / "hub") as found:
        yield found


@pytest.fixture
def enrolled(hub, tmp_path):
    """A state folder that is enrolled as press-1."""
    folder = tmp_path / "state"
    enrol(folder, hub.url, hub.token(), NAME, target="pi4")
    return folder


def linear(path, key, weights, version):
    """A signed bundle at ``path`` of x (n, 4) times ``weights``; its digest."""
    build = Build()
    build.output(build.node("MatMul", build.input("x", ["n", 4]), build.constant(weights)), ["n", weights.shape[1]])
    model = build.model()
    variant = Variant("onnxruntime", EngineOptions(), model)
    calls = [{"x": np.full((1, 4), value, np.float32)} for value in (1.0, -2.0)]
    golden = bundles.record_golden([variant], calls, count=2)
    content = BundleContent("m", version, model.digest, (variant,), golden, Contract("host", (), {}))
    bundle = bundles.seal(content, path.with_suffix(".folder"), key)
    bundle.pack(path)
    return bundle.digest


@pytest.fixture(scope="session")
def made(made, key):
    """And two of half a megabyte, of which most is the same."""
    weights = np.random.default_rng(0).normal(size=(4, 30_000)).astype(np.float32)
    for name, factor in (("large", 1.0), ("larger", 1.5)):
        weights[:, :30] *= factor
        path = made.folder / f"{name}.ewb"
        setattr(made, name, SimpleNamespace(path=path, digest=linear(path, key, weights, name)))
    return made


class One:
    """A device that polls and steps when it is told to, on the caller's thread; its runtime is a witness."""

    def __init__(self, state, **of_line):
        self.state, self.boot, self.events, self.stop = state, uuid.uuid4().hex, [], lambda: False
        self.line = Line(state, draw=lambda: 0.0, **of_line)
        self.wishes, self.slots = Wishes(state), Slots(state)
        self.link = Link(self.line, self.wishes, self, lambda: None, lambda *told: self.events.append(told), 0.0)
        self.source = HubSource(self.line, self.wishes, self.link, lambda: self.stop())
        self.witness = Witness(state)
        keys = lambda: sorted((state / "keys").glob("*.pub"))  # noqa: E731
        self.journal = Journal(state / "journal")
        device = Device(state, self.slots, self.witness, self.source, keys, Trial(0.0))
        self.machine = Machine(self.journal, device)
        self.machine.recover()

    def status(self):
        return status(self.machine.now, self.wishes.desired.release, self.slots.current)

    def facts(self):
        return Facts("1")

    def turn(self):
        """Poll, follow, step; what the machine would wait, in s."""
        self.polled = self.link.poll()
        return self.act()

    def act(self):
        action = follow(self.machine.now, self.wishes.desired.release, self.wishes.overruled)
        match action.kind:
            case "offer":
                self.machine.offer(action.update)
            case "amend":
                self.machine.amend(action.update)
            case "end":
                self.machine.end(action.reason)
            case "revert":
                self.machine.revert(action.reason, bad=False)
            case "empty":
                self.machine.empty(action.reason)
        return self.machine.step()

    def until(self, *states, turns=60):
        """Turns until the machine is in one of the states and has nothing to do; the situation."""
        for _ in range(turns):
            self.turn()
            wanted = follow(self.machine.now, self.wishes.desired.release, self.wishes.overruled).kind
            if self.machine.now.state in states and wanted == "nothing":
                return self.machine.now
        raise AssertionError(self.machine.now)

    def close(self):
        self.link.close()
        self.journal.close()


@pytest.fixture
def devices(enrolled, monkeypatch):
    """Makes devices on the enrolled folder, each as if the agent had been started anew."""
    monkeypatch.setattr(children, "run_child", in_process)
    running = []

    def make(**more):
        for one in running:
            one.close()
        running.append(One(enrolled, **more))
        return running[-1]

    yield make
    for one in running:
        one.close()


@pytest.fixture
def one(devices):
    return devices()


@pytest.fixture
def offer(hub, made, key):
    """Release a bundle of ``made`` and have press-1 want it."""
    done = {}

    def wanted(name, rollout="r1", old=(), hardware=(), **more):
        bundle = getattr(made, name)
        if name not in done:
            deltas = tuple(getattr(made, one).path for one in old)
            done[name] = hub.release(bundle.path, key.public, hardware, deltas)
        release = Release(rollout, bundle.digest, **{"activate": True, "trial_s": 0.0, **more})
        hub.want(NAME, Desired(0, release))
        return SimpleNamespace(release=release, target=done[name], digest=bundle.digest)

    return wanted


@pytest.fixture
def services():
    """Starts services on threads; in the end their runtimes are stopped, too."""
    running = []

    def start(state):
        service = Service(state, ("--http", "127.0.0.1:0"), trial=Trial(0.0))
        thread = threading.Thread(target=service.run)
        thread.start()
        running.append((service, thread))
        return service

    def stop(service):
        thread = next(t for s, t in running if s is service)
        service.stop()
        thread.join(LONG)
        assert not thread.is_alive()
        service.close()

    start.stop = stop
    yield start
    for service, thread in running:
        service.stop()
        thread.join(LONG)
        service.agent.runtime.stop()
        service.close()
