"""From live inferences to reports: each request told once, of its own bundle, within the budget, through every kill."""

import http.client
import json
import math
import shutil
import socket
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright import bundles
from edgewright.agent import Agent, Reports, Trial, observing
from edgewright.agent import talk as agent_talk
from edgewright.agent.observing import Observer, as_report, event
from edgewright.agent.reports import Report as Stored
from edgewright.agent.talk import Silent
from edgewright.core import messages
from edgewright.core.errors import StorageError
from edgewright.core.messages import Collect, Event, Observation, read, render
from edgewright.core.messages.observations import merge, size_bytes
from edgewright.flows.release import METRICS, readings
from edgewright.runtime.addresses import Address
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.observations import Observations
from edgewright.runtime.server import Server, serving
from edgewright.testing.agents import digits, state_folder
from edgewright.trust import SigningKey

LONG = 60.0
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits" / "digits.npz"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two releases of the example's classifier, the second recalibrated, and what trusts their signer."""
    folder, key = tmp_path_factory.mktemp("bundles"), SigningKey.generate()
    found = [
        SimpleNamespace(path=folder / f"{version}.ewb", digest=digits(folder / f"{version}.ewb", key, version=version,
                                                                      scale=scale))
        for version, scale in (("one", 1.0), ("two", 2.0))
    ]  # fmt: skip
    return SimpleNamespace(key=key, one=found[0], two=found[1])


@pytest.fixture
def agent(made, tmp_path):
    """An agent that serves the first release with a real runtime."""
    agent = Agent(state_folder(tmp_path / "state", made.key), trial=Trial(0.0), options=("--http", "127.0.0.1:0"))
    try:
        agent.start()
        assert agent.update(made.one.path).result == "committed"
        yield agent
    finally:
        agent.runtime.stop()
        agent.close()


class Client(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LONG)
        self.unix = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LONG)
        self.sock.connect(str(self.unix))

    def infer(self, image):
        """Status, the version that answered and the digit."""
        told = {"name": "image", "datatype": "FP32", "shape": [1, *image.shape], "data": image.ravel().tolist()}
        self.request("POST", "/v2/models/digits/infer", json.dumps({"inputs": [told]}))
        answer = self.getresponse()
        raw = json.loads(answer.read())
        if answer.status != 200:
            return answer.status, "", -1
        return 200, raw["model_version"], int(np.argmax(raw["outputs"][0]["data"]))


def ask(agent, count, clients=4, enough=lambda: True):
    """Ask from several clients at once, at least ``count`` times each and until it is enough; answers counted by
    version, and by version and digit."""
    images, found, lock = np.load(EXAMPLE)["image"], Counter(), threading.Lock()

    def work(number):
        client, mine, asked = Client(agent.runtime.socket), Counter(), 0
        while asked < count or not enough():
            status, version, digit = client.infer(images[(number * 131 + asked) % len(images)])
            assert status == 200
            mine[version] += 1
            mine[version, f"digit_{digit}"] += 1
            asked += 1
        assert client.infer(np.zeros((1, 3, 3), np.float32))[0] == 400
        client.close()
        with lock:
            found.update(mine)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    return threads, found


def told(reports):
    """All observations of what waits, as the hub reads it; everything is acknowledged."""
    found = list[Observation]()
    for stored in iter(lambda: reports.batch(1), []):
        found += read(messages.Report, render(as_report(stored[0]))).observations
        reports.acknowledge(stored[0].boot, stored[0].sequence)
    return found


def test_what_a_real_runtime_answered_is_told_exactly_once(made, agent, tmp_path):
    reports, clock = Reports(tmp_path / "reports"), Clock()
    observer = Observer(agent.runtime.talk, reports, clock)
    observer.look(Collect())  # what the update itself may have asked
    told(reports)
    threads, answers = ask(agent, 120)
    while any(thread.is_alive() for thread in threads):  # taken all the while
        clock.step(900.0)
        observer.look(Collect(budget_bytes=10**9))
    for thread in threads:
        thread.join()
    clock.step(900.0)
    observer.look(Collect(budget_bytes=10**9))
    found = told(reports)
    assert {one.bundle for one in found} == {made.one.digest}
    assert {one.model for one in found} == {"digits"}
    whole = merge(found)
    assert whole.counters == {"requests": 480, "errors": 0, "predictions": 480}
    assert whole.classes == {key[1]: n for key, n in answers.items() if isinstance(key, tuple)}
    assert whole.series["latency_ms"].sketch.count == 480

    evidence = bundles.verify(made.one.path, [made.key.public]).content.held_out
    gate = readings(whole, evidence.curve)
    assert {name.partition("/")[0] for name in gate} == {"errors", "latency", "doubt", "confidence", "predictions"}
    assert {name.partition("/")[0] for name in gate} <= {metric.name for metric in METRICS}
    assert gate["errors"].mean == 0
    assert gate["confidence"].mean == pytest.approx(evidence.confidence, abs=0.05)
    assert gate["doubt"].mean == pytest.approx(evidence.doubt, abs=0.02)
    assert math.exp(gate["latency"].mean) == pytest.approx(whole.series["latency_ms"].sketch.quantile(0.95))
    assert sum(one.mean for name, one in gate.items() if name.startswith("predictions/")) == pytest.approx(1)


def test_a_reload_under_load_mixes_no_two_bundles(made, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(made.one.path, models / "digits.ewb")
    server = Server(Settings(models, [made.key.public], watch_s=0), [Address(path=tmp_path / "edge.sock")])
    serving_thread = serving(server)
    try:
        done, loaded, told_wrong = threading.Event(), threading.Event(), []
        asked_of = SimpleNamespace(runtime=SimpleNamespace(socket=tmp_path / "edge.sock"))
        threads, answers = ask(asked_of, 40, enough=done.is_set)
        shutil.copy(made.two.path, models / "new")
        (models / "new").replace(models / "digits.ewb")
        server.loader.load("digits", lambda error: (told_wrong.append(error), loaded.set()))
        assert loaded.wait(LONG)
        assert told_wrong == [None]
        done.set()
        for thread in threads:
            thread.join()
        reports = Reports(tmp_path / "reports")
        Observer(agent_talk.Talk(tmp_path / "edge.sock"), reports, Clock()).look(Collect())
    finally:
        server.stop()
        serving_thread.join(LONG)
    by_bundle = {one.bundle: one for one in told(reports)}
    for version, release in (("one", made.one), ("two", made.two)):
        one = by_bundle.pop(release.digest, Observation("digits", release.digest, 0.0, 0.0, {"requests": 0}))
        assert one.counters["requests"] == answers[version], version
        assert one.classes == {k[1]: n for k, n in answers.items() if isinstance(k, tuple) and k[0] == version}
    assert not by_bundle


def test_a_recalibrated_twin_is_surer_and_no_more_in_doubt(made):
    held = [bundles.verify(one.path, [made.key.public]).content.held_out for one in (made.one, made.two)]
    assert held[1].confidence > held[0].confidence + 0.01
    assert held[1].doubt == pytest.approx(held[0].doubt, abs=1e-4)
    assert bundles.expected(held[1], held[0]) == {"confidence": held[1].confidence - held[0].confidence}
    assert bundles.expected(held[1], None) == {}


class Talk:
    """The runtime's batches without a runtime: ``Observations`` itself, with one model whose requests are made up."""

    def __init__(self, models=1):
        self.several, self.silent, self.lost = Observations(), False, False
        self.counts = [Counting(f"m{number}") for number in range(models)]
        for one in self.counts:
            self.several.add(one)

    def observations(self, taken=""):
        if self.silent:
            raise Silent("it hangs")
        batch = self.several.batch(taken)
        if self.lost:
            raise Silent("the answer did not come through")
        return batch


class Counting:
    """Stands where ``Observed`` does."""

    def __init__(self, model):
        self.model, self.left, self.at = model, 0, 0.0

    def take(self):
        n, self.left, self.at = self.left, 0, self.at + 900.0
        series = {"lead": messages.Series.of(np.linspace(0.1, 30.0, 40))}
        return Observation(self.model, "", self.at, 900.0, {"requests": n}, {}, series) if n else None


def requests(found):
    return sum(one.counters["requests"] for one in found)


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def step(self, seconds):
        self.now += seconds


class KilledError(Exception):
    """SIGKILL, as far as a test can have it a thousand times."""


ACTIONS = st.lists(
    st.sampled_from(["run", "look", "start", "lost", "silent", "kill before", "kill after", "full", "acknowledge"]),
    max_size=25,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(ACTIONS, st.integers(1, 3), st.integers(1, 4))
def test_whatever_is_killed_or_lost_each_request_is_told_once(tmp_path_factory, actions, writes, models):
    folder = tmp_path_factory.mktemp("kills")
    talk, clock, collect = Talk(models), Clock(), Collect(budget_bytes=10**8)
    reports, heard, ran = Reports(folder), [], 0
    observer = Observer(talk, reports, clock)
    real = observing.write_file

    def start():
        nonlocal reports, observer
        reports.close()
        reports = Reports(folder)
        observer = Observer(talk, reports, clock)

    def hear():
        found = told(reports)
        heard.extend(found)

    def failing(how):
        left = writes

        def write(path, data, mode):
            nonlocal left
            left -= 1
            if left == 0 and how == "full":
                raise StorageError("the disk is full")
            if left != 0 or how == "kill after":
                real(path, data, mode)
            if left == 0:
                raise KilledError

        return write

    for action in actions:
        if action == "run":
            for one in talk.counts:
                one.left += 3
                ran += 3
        elif action == "start":
            start()
        elif action == "acknowledge":
            hear()
        else:
            clock.step(901.0)
            talk.lost, talk.silent = action == "lost", action == "silent"
            observing.write_file = failing(action) if action in ("kill before", "kill after", "full") else real
            try:
                observer.look(collect)
            except KilledError:
                observing.write_file = real
                start()
            finally:
                observing.write_file = real
            talk.lost = talk.silent = False
            if action == "full":  # until there is room for what it remembers, no kill: that may tell a report twice
                for one in talk.counts:
                    one.left += 1
                    ran += 1
                clock.step(901.0)
                observer.look(collect)
    for _ in range(2):
        clock.step(901.0)
        observer.look(collect)
    hear()
    assert requests(heard) == ran


def test_it_looks_every_period_and_soon_again_where_the_runtime_was_silent(tmp_path):
    talk, clock, reports = Talk(), Clock(), Reports(tmp_path)
    observer = Observer(talk, reports, clock)
    talk.counts[0].left = 1
    talk.silent = True
    assert not observer.look(Collect(period_s=900.0))
    talk.silent = False
    assert not observer.look(Collect(period_s=900.0))
    clock.step(31.0)
    assert observer.look(Collect(period_s=900.0))
    talk.counts[0].left = 1
    clock.step(899.0)
    assert not observer.look(Collect(period_s=900.0))
    clock.step(1.0)
    assert observer.look(Collect(period_s=900.0))


def test_a_clock_that_is_set_back_by_years_stops_nothing(tmp_path):
    now = [2e9]
    talk, reports = Talk(), Reports(tmp_path)
    observer = Observer(talk, reports, lambda: now[0])
    observer.look(Collect())
    now[0] = 0.0
    talk.counts[0].left = 1
    assert observer.look(Collect())


@pytest.mark.parametrize("budget_bytes", [20_000, 1_000_000])
def test_no_day_takes_more_than_its_budget_and_no_request_is_lost_for_it(tmp_path, budget_bytes):
    talk, clock, reports = Talk(models=3), Clock(), Reports(tmp_path)
    observer, collect = Observer(talk, reports, clock), Collect(budget_bytes=budget_bytes)
    sent, heard = [], []
    for look in range(2 * 96):
        for one in talk.counts:
            one.left += 1
        clock.step(900.0)
        observer.look(collect)
        for stored in iter(lambda: reports.batch(1), []):
            message = as_report(stored[0])
            sent.append((look, len(render(message))))
            heard += message.observations
            assert message.dropped == 0
            reports.acknowledge(stored[0].boot, stored[0].sequence)
    for day in range(96):
        assert sum(size for look, size in sent if day <= look < day + 96) <= budget_bytes
    held = requests(observer._state.waiting)
    assert requests(heard) + held == 2 * 3 * 96
    assert requests(heard) > 0


def test_a_budget_too_small_for_anything_is_told_as_dropped_once_there_is_one(tmp_path):
    talk, clock, reports = Talk(), Clock(), Reports(tmp_path)
    observer = Observer(talk, reports, clock)
    for _ in range(5):
        talk.counts[0].left += 1
        clock.step(900.0)
        assert not observer.look(Collect(budget_bytes=500))
    clock.step(900.0)
    talk.counts[0].left += 1
    assert observer.look(Collect())
    (stored,) = reports.batch()
    assert as_report(stored).dropped == 5


def test_many_models_go_into_several_reports(tmp_path):
    talk, clock, reports = Talk(models=150), Clock(), Reports(tmp_path)
    for one in talk.counts:
        one.left = 2
    observer = Observer(talk, reports, clock)
    assert observer.look(Collect(budget_bytes=10**7))
    assert len(reports.batch()) > 1
    assert requests(told(reports)) == 300


def test_refused_reports_are_counted(tmp_path):
    talk, clock = Talk(models=4), Clock()
    small = sum(size_bytes(one) for one in [Observation("m", "", 0.0, 1.0)])
    reports = Reports(tmp_path, most_bytes=small)
    observer = Observer(talk, reports, clock)
    for one in talk.counts:
        one.left = 1
    observer.look(Collect())
    assert reports.lost == 1
    reports._most = 10**6
    for one in talk.counts:
        one.left = 1
    clock.step(900.0)
    observer.look(Collect())
    found = [as_report(stored) for stored in reports.batch()]
    assert sum(one.dropped for one in found) == 4
    assert requests([o for one in found for o in one.observations]) == 4


def test_events_are_reports_of_their_own_and_long_details_are_cut(tmp_path):
    reports = Reports(tmp_path)
    event(reports, Event(12.0, "committed", "a" * 64, "x" * 900))
    (stored,) = reports.batch()
    message = read(messages.Report, render(as_report(stored)))
    assert message.events == (Event(12.0, "committed", "a" * 64, "x" * 500),)
    assert (message.boot, message.sequence, message.dropped) == (reports.boot, 1, 0)


@pytest.mark.parametrize(
    ("value", "dropped"),
    [
        ({"lost": 7}, 7),
        ({"o": [{"model": "?"}], "d": 2}, 3),
        ({"e": [{"kind": 1}, 4]}, 2),
        ({"o": "odd"}, 1),
        ({"something": "else"}, 1),
        ({"o": [], "d": -1}, 0),
    ],
)
def test_what_cannot_be_read_counts_as_dropped_and_holds_nobody_up(value, dropped):
    message = as_report(Stored("boot", 3, value))
    assert (message.observations, message.events, message.dropped) == ((), (), dropped)
    assert read(messages.Report, render(message)) == message
