"""By its deadline an answer must be sent, not found: what it lately took to be sent is kept free before deadlines."""

import json

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip import inference
from edgewright.runtime.server import Server
from edgewright.testing.build import Build

LONG = 60.0


class Played:
    """A server whose loop is played by the test: it answers when it is told to, on a clock that is set."""

    def __init__(self, path):
        self.server = Server(Settings(path), [Address(port=0)])
        self.served, self.clock, self.given, self.answers = self.server.repository.find(), 0.0, [], []
        self.calls, desk = self.server._loop._calls, self.server.desk
        usual = desk.later

        def later(served, inputs, done, timeout_s=None, priority=0):
            self.given.append(timeout_s)
            return usual(served, inputs, done, None, priority)

        desk.later = later

    def ask(self, timeout_s=None, after_s=0.0):
        """One request that must wait, read so long after it was seen, answered; the time that the scheduler was given
        for it."""
        scheduler = self.server.desk.scheduler
        self.server._loop.looked, self.clock = self.clock, self.clock + after_s
        assert scheduler.enter(self.served)
        told = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}]}).encode()
        self.server._routes.inference.frame(told, 0, len(told), 0, timeout_s, None, self.answers.append)
        scheduler.leave(self.served)
        while not self.calls:
            pass
        return self.given[-1]

    def tell(self, after_s=0.0):
        """What the loop does next, after so long."""
        self.clock += after_s
        self.calls.popleft()()


@pytest.fixture
def played(tmp_path, monkeypatch):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n"]), build.constant(np.float32(2))), ["n"])
    save(build.model(), tmp_path)
    made = Played(tmp_path / "model.onnx")
    monkeypatch.setattr(inference, "_now", lambda: made.clock)
    yield made
    made.server.close()


def test_what_answers_lately_waited_is_kept_free_before_deadlines(played):
    assert played.ask(1.0) == 1.0
    played.tell(after_s=0.1)
    assert played.ask(1.0) == pytest.approx(0.85)
    played.tell()
    assert played.ask(0.2) == pytest.approx(0.15), "of a short time no more than a quarter"
    played.tell()
    assert played.ask() is None
    played.tell()
    assert len(played.answers) == 4


def test_it_is_forgotten_little_by_little_and_grows_at_once(played):
    played.ask()
    played.tell(after_s=0.1)
    for _ in range(50):
        played.ask()
        played.tell()
    assert played.ask(1.0) == pytest.approx(1 - 1.5 * 0.1 * 0.999**50)
    played.tell(after_s=0.2)
    assert played.ask(1.0) == pytest.approx(0.75)
    played.tell()


def test_the_time_of_a_request_runs_from_when_it_was_seen_not_read(played):
    """Those that came with it were read before it."""
    assert played.ask(1.0, after_s=0.25) == 0.75
    played.tell()
    played.served.deadline_s = 0.5
    assert played.ask(after_s=0.25) == 0.25, "what the model's configuration gives it, too"
    played.tell()
