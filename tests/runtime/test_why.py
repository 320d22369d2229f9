"""Why a model is slow and why it refuses: by its statistics alone, by rules, and in a server that runs."""

import http.client
import json
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edgewright.core.sketches import Sketch
from edgewright.core.trend import Verdict
from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.client import Client, Unanswered
from edgewright.runtime.config import load_config
from edgewright.runtime.diagnosis.causes import Facts, explain, refusals, times
from edgewright.runtime.diagnosis.machine import machine
from edgewright.runtime.diagnosis.readings import Reading, Window
from edgewright.runtime.diagnosis.whys import Whys
from edgewright.runtime.diagnosis.words import many, percent, time
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.runtime.stats import Stats
from edgewright.testing.build import Build
from edgewright.testing.tiny import seal_tiny

LONG = 60.0
FACTS = Facts("onnxruntime", "CPUExecutionProvider", usual_s=0.004, longest_s=0.009)


def ran(runs=100, run=0.004, wait=0.0, beside=0.0, parse=0.0, write=0.0, seconds=60.0, **counts):
    """What is read of a model that answered so many, each in so many s."""
    stats = Stats()
    for _ in range(runs):
        stats.ran(1, 1, run)
        for one, took in ((stats.queue, wait), (stats.beside, beside), (stats.parse, parse), (stats.write, write)):
            if took:
                one.add(took)
    for name, count in counts.items():
        if hasattr(stats, name):
            setattr(stats, name, count)
        else:
            stats.faults[name] = count
    return Window.between(Reading(), Reading.of(stats), seconds)


def said(window, facts=FACTS):
    return explain(window, facts)["summary"]


@pytest.mark.parametrize(
    ("window", "facts", "sentence"),
    [
        (ran(0), FACTS, "Nobody has asked in the last 60 s."),
        (ran(0, hits=40), FACTS, "All 40 answers came from the cache."),
        (
            ran(run=0.004, wait=0.006, parse=0.00001),
            FACTS,
            "6 ms of the 10 ms that a request takes (60%) is waiting in line, as long as 1.5 runs of it take; its own "
            "runs took 0.67% of the time; had they come at random, they would have waited some 26.8 µs.",
        ),
        (
            ran(1000, run=0.05, wait=0.9),
            replace(FACTS, others_busy=0.2, most_rows=8, delay_s=0.002),
            "900 ms of the 950 ms that a request takes (95%) is waiting in line, as long as 18 runs of it take; its "
            "own runs took 83% of the time, other models' 20% of the executors'; a batch waits up to 2 ms for company.",
        ),
        (
            ran(run=0.004),
            FACTS,
            "4 ms of the 4 ms that a request takes (100%) is the model's run on onnxruntime's CPUExecutionProvider "
            "with 1 thread.",
        ),
        (
            ran(run=0.004),
            replace(
                FACTS, threads=2, step_down="it runs on CPU", promised_s=0.002, load={"load_1m": 3.5, "cores": 2},
                trend=Verdict("degrading", 4096, 0.3, 9.0),
            ),
            "4 ms of the 4 ms that a request takes (100%) is the model's run on onnxruntime's CPUExecutionProvider "
            "with 2 threads (it runs on CPU); 99% are within 4.01 ms, its bundle promises 2 ms; runs became 30% slower "
            "over the latest 4,096; 3.5 programs wanted the 2 cores in the last minute.",
        ),
        (
            ran(run=0.004, beside=0.003),
            FACTS,
            "3 ms of the 4 ms that a request takes (75%) is decoding images and ranking classes.",
        ),
        (
            ran(run=0.001, parse=0.002, write=0.0005),
            FACTS,
            "2 ms of the 3.5 ms that a request takes (57%) is reading it; tensors as bytes are read faster than JSON.",
        ),
        (
            ran(run=0.001, write=0.002),
            FACTS,
            "2 ms of the 3 ms that a request takes (67%) is writing the reply; tensors as bytes are written faster "
            "than JSON.",
        ),
        (
            ran(90, infeasible=8, alone=7, missed=9, cancelled=2),
            replace(FACTS, deadline_s=0.001),
            "11 of 100 requests were refused, failed or late (11%), 7 of these because their deadline was shorter than "
            "one run, which usually takes 4 ms (deadline_ms gives 1 ms to who names none).",
        ),
        (
            ran(999, run=0.03, overloaded=1),
            FACTS,
            "1 of 1,000 requests was refused, failed or late (0.1%), because the line was full; its own runs took 50% "
            "of the time.",
        ),
        (ran(1), replace(FACTS, reason="its process died"), "It does not answer now: its process died."),
        (
            ran(90, failed=10),
            replace(FACTS, running_s=12.0),
            "A run has been going on for 12 s; none before took longer than 9 ms.",
        ),
        (
            ran(0),
            replace(FACTS, longest_s=0.0, running_s=12.0),
            "A run has been going on for 12 s; when it was loaded one took 4 ms.",
        ),
        (
            ran(0),
            replace(FACTS, longest_s=0.0, usual_s=0.0, running_s=0.5),
            "A run has been going on for 500 ms; it is the first.",
        ),
    ],
)  # fmt: skip
def test_one_sentence_names_the_largest_cause(window, facts, sentence):
    assert said(window, facts) == sentence


def test_a_run_as_long_as_others_is_no_news():
    assert said(ran(), replace(FACTS, running_s=0.009)).startswith("4 ms of the 4 ms")


@pytest.mark.parametrize(
    ("counts", "causes"),
    [
        ({}, {}),
        ({"infeasible": 5, "missed": 5}, {"infeasible": 5}),
        ({"infeasible": 5, "alone": 5, "missed": 5}, {"too_short": 5}),
        ({"expired": 2, "infeasible": 3, "alone": 1, "missed": 9}, {"late": 4, "infeasible": 2, "expired": 2,
                                                                    "too_short": 1}),
        ({"missed": 3}, {"late": 3}),
        ({"infeasible": 9, "alone": 2, "unsure": 4, "missed": 9}, {"unsure": 4, "infeasible": 3, "too_short": 2}),
        ({"bad_request": 1, "failed": 2, "new kind": 4}, {"new kind": 4, "failed": 2, "bad_request": 1}),
    ],
)  # fmt: skip
def test_refusals_are_told_apart_by_cause(counts, causes):
    found = refusals(ran(100, **counts), FACTS)
    assert {one["cause"]: one["count"] for one in found} == causes
    assert [one["count"] for one in found] == sorted(causes.values(), reverse=True)
    assert all(one["says"] for one in found)


@pytest.mark.parametrize(
    ("runs", "counts", "says"),
    [
        (9, {"infeasible": 5, "alone": 5}, "shorter than one run, which usually takes 4 ms"),
        (0, {"infeasible": 5, "alone": 5}, "usually takes 4 ms; that was learnt before, none ran in this time"),
        (9, {"infeasible": 5}, "; a run is reckoned with 80 ms, though none took longer than 4.01 ms"),
        (9, {"infeasible": 5, "unsure": 5}, "a run is reckoned with 4 ms, and 3 ms kept free before deadlines"),
    ],
)
def test_estimates_that_no_longer_hold_are_not_taken_for_a_long_line(runs, counts, says):
    (told,) = refusals(ran(runs, **counts), replace(FACTS, mean_s=0.08, margin_s=0.003))
    assert told["says"].endswith(says)


def test_a_request_waits_for_the_whole_of_a_shared_run_and_most_wait_for_none():
    stats = Stats()
    stats.ran(8, 8, 0.004)
    for _ in range(2):
        stats.queue.add(0.001)
    found = times(Window.between(Reading(), Reading.of(stats), 60.0))
    assert found == pytest.approx({"running": 0.004, "waiting": 0.002 / 8, "images": 0, "reading": 0, "writing": 0})


@pytest.mark.parametrize("runs", [[0.001, 0.1], [0.004] * 7, [0.001] * 99 + [9.0], [0.001] * 90])
def test_99_of_100_are_not_told_to_be_below_the_mean_of_the_same(runs):
    stats = Stats()
    for number, took in enumerate(runs):
        stats.ran(1, 1, took)
        if number % 3 == 0:
            stats.queue.add(took)
    stats.ran(32, 32, 0.02)
    stats.faults["failed"] += 2
    why = explain(Window.between(Reading(), Reading.of(stats), 60.0), FACTS)
    asked = sorted([*runs, *[0.02] * 32])
    assert why["time_ms"]["running"] == pytest.approx(1e3 * sum(asked) / len(asked))
    assert why["p99_ms"]["running"] == pytest.approx(1e3 * asked[-(len(asked) // 100) - 1], rel=0.03)
    assert why["longest_ms"]["running"] == pytest.approx(1e3 * asked[-1], rel=0.03)
    for name in ("waiting", "running"):
        assert why["time_ms"][name] <= why["longest_ms"][name]
        assert why["time_ms"][name] <= why["p99_ms"][name] or len(asked) > 100


def test_nobody_waited_for_99_of_100_where_one_of_200_did():
    stats = Stats()
    stats.ran(200, 200, 0.001)
    stats.queue.add(0.5)
    why = explain(Window.between(Reading(), Reading.of(stats), 60.0), FACTS)
    assert why["p99_ms"]["waiting"] == 0 and why["longest_ms"]["waiting"] == pytest.approx(500, rel=0.03)


def test_what_was_timed_of_a_few_stands_for_those_few():
    stats = Stats()
    for _ in range(320):  # most of them over another lane than HTTP
        stats.ran(1, 1, 0.001)
    stats.parse.add(0.002)
    assert times(Window.between(Reading(), Reading.of(stats), 60.0))["reading"] == pytest.approx(16 * 0.002 / 320)


def test_a_window_is_what_came_between_two_readings():
    stats = Stats()
    stats.ran(1, 1, 5.0)
    stats.faults["failed"] += 3
    before = Reading.of(stats)
    stats.ran(4, 2, 0.5)
    stats.queue.add(0.25)
    stats.faults["failed"] += 1
    window = Window.between(before, Reading.of(stats), 10.0)
    assert window.counts == Counter({"requests": 2, "rows": 4, "compute": 1, "shared": 1, "queue": 1})
    assert (window.faults, window.sums["compute"], window.seconds) == (Counter(failed=1), 0.5, 10.0)
    assert window.runs.count == window.waits.count == 2, "each request's"
    assert window.runs.quantile(0.99) == pytest.approx(0.5, rel=0.02)
    assert explain(window, FACTS)["requests"]["asked"] == 3
    json.dumps(explain(window, FACTS), allow_nan=False)


def test_figures_as_people_read_them():
    assert [time(x) for x in (0.0, 2e-6, 0.0012345, 1.5, 90)] == ["0 ms", "2 µs", "1.23 ms", "1.5 s", "90 s"]
    assert [percent(x) for x in (0.0, 0.00123, 0.011, 0.5, 1.0)] == ["0%", "0.12%", "1%", "50%", "100%"]
    assert [many(n, "core") for n in (1, 2, 1000)] == ["1 core", "2 cores", "1,000 cores"]


def test_the_machine_tells_what_it_knows(tmp_path):
    pressure, group = tmp_path / "cpu", tmp_path / "cpu.stat"
    found = machine(pressure, group)
    assert found["cores"] >= 1 and found["load_1m"] >= 0
    assert found["cpu_pressure_60s"] is found["throttled_s"] is None
    pressure.write_text("some avg10=1.00 avg60=12.50 avg300=3.00 total=9\nfull avg10=0.00 avg60=0.00\n")
    group.write_text("usage_usec 5\nnr_periods 3\nnr_throttled 2\nthrottled_usec 2500000\n")
    found = machine(pressure, group)
    assert (found["cpu_pressure_60s"], found["throttled_s"]) == (0.125, 2.5)


@pytest.fixture
def start(tmp_path):
    """Serves a model that doubles, and one that is broken."""
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "made")
    (tmp_path / "models").mkdir()
    (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "double.onnx")
    running = []

    def begin(text="", beside=()):
        (tmp_path / "runtime.toml").write_text(text)
        config = load_config(tmp_path / "runtime.toml")
        addresses = [Address(port=0), Address(path=tmp_path / "sock")]
        server = Server(Settings(tmp_path / "models", config=config, watch_s=0), addresses, beside=beside)
        running.append((server, serving(server)))
        return server

    yield begin
    for server, thread in running:
        server.stop()
        thread.join(LONG)


def ask(server, method, target, told=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.addresses[0].port, timeout=LONG)
    connection.request(method, target, None if told is None else json.dumps(told))
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def infer(server, **parameters):
    x = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    return ask(server, "POST", "/v2/models/double/infer", {"inputs": [x], "parameters": parameters})[0]


def test_a_server_says_why(start):
    server = start('[models."*"]\nthreads = 2\ndeadline_ms = 60000')
    assert [infer(server) for _ in range(20)] == [200] * 20
    assert [infer(server, timeout=1) for _ in range(3)] == [503] * 3
    x = {"name": "y", "datatype": "FP32", "shape": [1], "data": [1]}
    assert ask(server, "POST", "/v2/models/double/infer", {"inputs": [x]})[0] == 400
    status, told = ask(server, "GET", "/v2/models/double/stats")
    (model,), shared = told["model_stats"], told["server"]
    why = model["why"]
    assert status == 200 and why["requests"] == {
        "asked": 24,
        "answered": 20,
        "from_cache": 0,
        "fail_safe": 0,
        "deadlines_missed": 3,
    }
    assert [(one["cause"], one["count"]) for one in why["refused"]] == [("too_short", 3), ("bad_request", 1)]
    assert why["summary"] == why["refused_because"] and "4 of 24 requests were refused" in why["summary"]
    assert "3 of these because their deadline was shorter than one run" in why["summary"]
    assert why["time_ms"]["running"] > 0 < why["time_ms"]["reading"] and why["time_ms"]["waiting"] == 0
    assert why["time_ms"]["images"] == 0 and " that a request takes (" in why["slow_because"]
    assert why["since_load"] and (why["threads"], why["deadline_ms"], why["engine"]) == (2, 60000, "onnxruntime")
    assert 0 < why["busy"] < 1 and why["p99_ms"]["running"] > 0 and why["p99_ms"]["waiting"] == 0
    assert shared["executors"] >= 1 and shared["line_length"] == 0 and shared["machine"]["cores"] >= 1
    assert ask(server, "GET", "/v2/models/stats")[1]["model_stats"][0]["why"]["requests"]["asked"] == 24


def test_reloads_and_clients_that_were_turned_away_are_told(start, tmp_path):
    server = start()
    path = tmp_path / "models" / "double.onnx"
    path.write_bytes(path.read_bytes())
    connection = http.client.HTTPConnection("127.0.0.1", server.addresses[0].port, timeout=LONG)
    for method, target, host, status in (
        ("POST", "/v2/repository/models/double/load", "localhost", 200), ("GET", "/v2", "evil.example", 421),
    ):  # fmt: skip
        connection.request(method, target, headers={"Host": host})
        answer = connection.getresponse()
        assert answer.read() is not None and answer.status == status
    connection.close()
    shared = ask(server, "GET", "/v2/models/stats")[1]["server"]
    assert shared["reloads"] == {"applied": 1} and shared["longest_reload_pause_ms"] >= 0
    assert shared["rejected"] == {"421": 1} and shared["strays"] == {}


def test_requests_that_reach_no_model_are_counted_on_every_lane(start, tmp_path):
    triton = pytest.importorskip("tritonclient.grpc")
    lane = pytest.importorskip("edgewright.runtime.lanes.rpc.lane").GrpcLane
    server = start(beside=[lambda service, budget: lane(service, Address(port=0, scheme="grpc"), budget)])
    assert ask(server, "POST", "/v2/models/double/infer", {"inputs": []})[0] == 400
    assert ask(server, "POST", "/v2/models/none/infer", {"inputs": []})[0] == 400
    assert ask(server, "GET", "/v2/models/none")[0] == 404
    with Client(tmp_path / "sock") as client, pytest.raises(Unanswered):
        client.infer({"x": np.ones((1, 4), np.float32)}, "none")
    x, over = triton.InferInput("x", [1, 4], "FP32"), []
    x.set_data_from_numpy(np.ones((1, 4), np.float32))
    with triton.InferenceServerClient(server.lanes[1].addresses[0].place) as client:
        with pytest.raises(triton.InferenceServerException):
            client.infer("none", [x])
        client.start_stream(lambda result, error: over.append(error))
        client.async_stream_infer("none", [x])
        client.stop_stream()
    assert len(over) == 1
    assert infer(server, timeout=1) == 503, "a model's own affair"
    told = ask(server, "GET", "/v2/models/stats")[1]
    assert told["server"]["strays"] == {"bad_request": 2, "not_found": 4}
    assert told["model_stats"][0]["why"]["requests"]["asked"] == 1
    connection = http.client.HTTPConnection("127.0.0.1", server.addresses[0].port, timeout=LONG)
    connection.request("GET", "/metrics")
    assert 'edgewright_stray_requests_total{outcome="not_found"} 4' in connection.getresponse().read().decode()
    connection.close()


def test_a_run_that_goes_on_is_told_while_it_does(start):
    server = start()
    served = server.repository.find("double")
    served.at_work = (served.stats.began - 100.0, {})
    why = ask(server, "GET", "/v2/models/double/stats")[1]["model_stats"][0]["why"]
    assert why["running_s"] > 100 and why["summary"].startswith("A run has been going on for 1")


def test_what_images_take_is_told_apart(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    seal_tiny(tmp_path / "models" / "tiny")
    pil.new("RGB", (200, 300)).save(tmp_path / "photo.jpg")
    server = Server(Settings(tmp_path / "models", watch_s=0), [Address(port=0)])
    thread = serving(server)
    try:
        served = server.repository.find("tiny")
        photo = {"image": np.array([(tmp_path / "photo.jpg").read_bytes()], object)}
        for _ in range(3):
            server.desk.wait(served, photo)
        answered = threading.Event()
        server.desk.later(served, photo, lambda outputs, fault: answered.set())
        assert answered.wait(LONG)
        why = ask(server, "GET", "/v2/models/tiny/stats")[1]["model_stats"][0]["why"]
        assert served.stats.beside.count == 4
        assert 0 < why["time_ms"]["images"] <= 1e3 * served.stats.compute.total / 4
    finally:
        server.stop()
        thread.join(LONG)


def test_what_was_long_ago_does_not_hide_the_last_minute(start):
    server = start()
    served, now = server.repository.find("double"), [0.0]
    whys = Whys(server.repository, server.desk, Counter, clock=lambda: now[0])
    served.stats.began = now[0] = 1000.0
    for _ in range(300):  # as the server does, every second
        served.stats.ran(1, 1, 0.001)
        now[0] += 1.0
        whys.look()
    assert 60.0 <= whys.of(served)["window_s"] < 70.0 and not whys.of(served)["since_load"]
    for _ in range(10):
        served.stats.ran(1, 1, 0.5)
    why = whys.of(served)
    assert 70 <= why["requests"]["asked"] < 80 and why["p99_ms"]["running"] > 400
    now[0] += 3600.0
    for _ in range(8):
        now[0] += 10.0
        whys.look()
    assert whys.of(served)["requests"]["asked"] == 0


def test_sketches_lose_nothing_to_a_window():
    whole = Sketch()
    whole.add([0.001, 0.002])
    assert Window.between(Reading(), Reading(bins={"queue": whole.positive}), 1.0).waits.count == 2


def test_whose_runs_kept_a_request_waiting_is_told(start, tmp_path):
    (tmp_path / "models" / "other.onnx").write_bytes((tmp_path / "models" / "double.onnx").read_bytes())
    server, now = start(), [0.0]
    whys = Whys(server.repository, server.desk, Counter, clock=lambda: now[0])
    one, other = server.repository.find("double"), server.repository.find("other")
    one.stats.began = other.stats.began = 1000.0
    now[0] = 1010.0
    one.stats.ran(1, 1, 1.0)
    other.stats.ran(1, 1, 5.0)
    executors = server.desk.scheduler.executors
    assert (whys.of(one)["busy"], whys.of(one)["others_busy"]) == (0.1, round(0.5 / executors, 6))
    assert (whys.of(other)["busy"], whys.of(other)["others_busy"]) == (0.5, round(0.1 / executors, 6))
