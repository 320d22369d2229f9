"""The agent with a real runtime: from a bundle's file to what is served, and back."""

import http.client
import json
import os
import signal
import socket

import numpy as np
import pytest

from edgewright.agent import Agent, Trial
from edgewright.core.errors import InputError, StorageError
from edgewright.testing.agents import multiplier

LONG = 60.0
X = np.arange(4, dtype=np.float32).reshape(1, 4)


class Client(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LONG)
        self.unix = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LONG)
        self.sock.connect(str(self.unix))


def factor(agent, model="m"):
    """What the runtime multiplies by now."""
    client = Client(agent.runtime.socket)
    told = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": X.ravel().tolist()}]}
    client.request("POST", f"/v2/models/{model}/infer", json.dumps(told))
    answer = client.getresponse()
    raw = answer.read()
    client.close()
    assert answer.status == 200, raw
    return json.loads(raw)["outputs"][0]["data"][1]


@pytest.fixture
def agents():
    """Starts agents; in the end their runtimes are stopped, too."""
    running = []

    def start(state, **more):
        agent = Agent(state, trial=Trial(0.0), options=("--http", "127.0.0.1:0"), **more)
        running.append(agent)
        agent.start()
        return agent

    yield start
    for agent in running:
        agent.runtime.stop()
        agent.close()


def test_from_a_file_to_what_is_served_and_back(agents, state, made):
    agent = agents(state)
    assert agent.slots.current == ""
    now = agent.update(made.a.path)
    assert (now.state, now.result, now.good) == ("idle", "committed", made.a.digest), now
    assert factor(agent) == 2.0
    first = agent.runtime.process.pid
    now = agent.update(made.b.path.with_suffix(".folder"))
    assert (now.result, now.good, now.before) == ("committed", made.b.digest, made.a.digest)
    assert factor(agent) == 3.0 and agent.runtime.process.pid == first, "it was reloaded, not started anew"
    assert agent.update(made.b.path).result == "committed", "what is served already is no work"
    now = agent.roll_back("somebody asked")
    assert (now.result, now.good, now.reason) == ("rolled_back", made.a.digest, "somebody asked")
    assert factor(agent) == 2.0
    with pytest.raises(InputError, match="failed here before"):
        agent.update(made.b.path)


def test_the_runtime_outlives_the_agent(agents, state, made):
    agent = agents(state)
    agent.update(made.a.path)
    first = agent.runtime.process.pid
    agent.close()
    again = agents(state)
    assert again.runtime.process.pid == first and factor(again) == 2.0


def test_a_killed_runtime_is_started_again(agents, state, made):
    agent = agents(state)
    agent.update(made.a.path)
    os.kill(agent.runtime.process.pid, signal.SIGKILL)
    assert agent.runtime.process.wait(LONG)
    agent._supervisor.look()
    assert factor(agent) == 2.0


def test_a_bundle_that_does_not_serve_is_rolled_back(agents, state, made, key, tmp_path):
    """A runtime that is told to refuse it stands for whatever only the runtime finds."""
    (state / "runtime.toml").write_text('[models."m"]\nfail_safe = {y = [1.0]}\n')
    agent = agents(state)
    now = agent.update(made.a.path)
    assert (now.result, now.good) == ("rolled_back", ""), now
    assert agent.slots.current == "" and not agent.runtime.alive


def test_two_agents_on_one_folder(agents, state):
    agents(state)
    with pytest.raises(StorageError, match="another agent"):
        Agent(state)


def test_another_name_takes_the_place_of_the_first(agents, state, made, key, tmp_path):
    agent = agents(state)
    agent.update(made.a.path)
    multiplier(tmp_path / "n.ewb", key, 7.0, name="n")
    assert agent.update(tmp_path / "n.ewb").result == "committed"
    assert factor(agent, "n") == 7.0
