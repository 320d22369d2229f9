"""/metrics, read by Prometheus's own parser; and logs that nobody can forge."""

import http.client
import io
import json
import logging
import re

import numpy as np
import pytest

from edgewright.core.sketches import Sketch
from edgewright.formats import save
from edgewright.runtime import Runtime, logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import load_config
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.metrics import BUCKETS_S, family, histogram, summary
from edgewright.runtime.server import Server, serving
from edgewright.runtime.stats import Times
from edgewright.testing.build import Build

parser = pytest.importorskip("prometheus_client.parser")
LONG = 60.0
ODD = 'a "quoted" \\ na\nme'
INFER = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [3, 4], "data": [1.0] * 12}]})


def read(text):
    return {one.name: one for one in parser.text_string_to_metric_families(text)}


@pytest.fixture
def folder(tmp_path):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "made")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{ODD}.onnx").write_bytes((tmp_path / "made" / "model.onnx").read_bytes())
    (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "double.onnx")
    return tmp_path / "models"


@pytest.fixture
def started(folder, tmp_path):
    running = []

    def start(text=""):
        (tmp_path / "runtime.toml").write_text(text)
        config = load_config(tmp_path / "runtime.toml")
        server = Server(Settings(folder, config=config), [Address(port=0)])
        running.append((server, serving(server)))
        return http.client.HTTPConnection("127.0.0.1", server.addresses[0].port, timeout=LONG)

    yield start
    for server, thread in running:
        server.stop()
        thread.join(LONG)


def ask(connection, method, target, body=None):
    connection.request(method, target, body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def test_prometheus_reads_what_happened(started):
    connection = started('[models."*"]\nmax_batch = 8')
    for _ in range(40):
        assert ask(connection, "POST", "/v2/models/double/infer", INFER)[0] == 200
    assert ask(connection, "POST", "/v2/models/double/infer", INFER.replace("[3, 4]", "[4, 3]"))[0] == 400
    assert ask(connection, "POST", "/v2/models/double/infer", INFER.replace("[3, 4]", "[9, 9]"))[0] == 400
    late = INFER[:-1] + ', "parameters": {"timeout": 1}}'
    assert ask(connection, "POST", "/v2/models/double/infer", late)[0] == 503
    status, text, headers = ask(connection, "GET", "/metrics")
    connection.close()
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = read(text)
    mine = {"model": "double", "version": "1"}

    def value(name, sample=None, **labels):
        (hit,) = [
            s.value
            for s in found[name].samples
            if s.name == (sample or name) and all(s.labels.get(k) == v for k, v in labels.items())
        ]
        return hit

    assert value("edgewright_requests", "edgewright_requests_total", outcome="ok", **mine) == 40
    assert value("edgewright_requests", "edgewright_requests_total", outcome="bad_request", **mine) == 2
    assert value("edgewright_deadline_misses", "edgewright_deadline_misses_total", **mine) == 1
    assert value("edgewright_rows", "edgewright_rows_total", **mine) == 120
    assert value("edgewright_compute_seconds", "edgewright_compute_seconds_count", **mine) == 40
    assert value("edgewright_compute_seconds", "edgewright_compute_seconds_sum", **mine) > 0
    assert value("edgewright_batch_rows", "edgewright_batch_rows_bucket", le="2", **mine) == 0
    assert value("edgewright_batch_rows", "edgewright_batch_rows_bucket", le="4", **mine) == 40
    for which in ("parse", "write"):
        assert 2 <= value(f"edgewright_{which}_seconds", f"edgewright_{which}_seconds_count", **mine) <= 3
    assert value("edgewright_connections") == 1 and value("edgewright_line_length") == 0
    assert value("process_resident_memory_bytes") > 1e6 and value("edgewright_build_info") == 1
    assert value("edgewright_model_state", model=ODD, state="READY") == 1, "odd names come through"
    assert {"edgewright_reloads", "edgewright_reload_longest_pause_seconds"} <= set(found)


def test_a_histogram_holds_each_time_once_and_below_its_bound():
    times = Times()
    made = np.exp(np.random.default_rng(0).uniform(np.log(1e-7), np.log(50), 2000))
    for one in made:
        times.add(float(one))
    told = read("".join(family("t", "histogram", "times", histogram(times, {}))))["t"].samples
    counts = {s.labels["le"]: s.value for s in told if s.name == "t_bucket"}
    assert [*counts.values()] == sorted(counts.values()) and counts["+Inf"] == 2000
    for bound in BUCKETS_S:
        assert (made <= bound / 1.03).sum() <= counts[f"{bound:g}"] <= (made <= bound).sum()
    assert {s.name: s.value for s in told}["t_sum"] == pytest.approx(made.sum())


def test_a_summary_knows_what_is_infinitely_far_and_what_was_never_seen():
    sketch = Sketch()
    sketch.add([1.0] * 6 + [2.0] * 3 + [np.inf])
    told = read("".join(family("d", "summary", "apart", summary(sketch, {"m": "a"}))))["d"].samples
    assert {s.labels.get("quantile", s.name): s.value for s in told} == pytest.approx(
        {"0.5": 1.0, "0.9": 2.0, "0.99": 2.0, "d_count": 10.0}, rel=0.02
    )
    sketch.add([np.inf] * 10)
    assert {s.value for s in summary_values(sketch)} == {np.inf, 20}
    assert all(np.isnan(s.value) for s in summary_values(Sketch())[:3])


def summary_values(sketch):
    return read("".join(family("d", "summary", "apart", summary(sketch, {}))))["d"].samples


def test_strict_readiness_waits_for_every_model(started, folder):
    (folder / "broken.onnx").write_bytes(b"no model")
    connection = started()
    assert ask(connection, "GET", "/v2/health/ready")[0] == 200
    connection.close()
    connection = started("[server]\nstrict_readiness = true")
    status, text, _ = ask(connection, "GET", "/v2/health/ready")
    assert status == 503 and "broken" in text and ask(connection, "GET", "/v2/health/live")[0] == 200
    connection.close()


def test_a_fail_safe_answer_says_so_and_the_next_one_in_time_does_not(started, folder):
    name = open_model_output(folder)
    connection = started(f"[models.double.fail_safe]\n{name} = [9, 9, 9, 9]")
    parameters = {"binary_data_output": True}
    for _ in range(2):  # the second time from what was remembered
        for timeout, safe in ((1, True), (60_000_000, False)):
            told = json.dumps({**json.loads(INFER), "parameters": {**parameters, "timeout": timeout}})
            connection.request("POST", "/v2/models/double/infer", told)
            answer = connection.getresponse()
            raw, size = answer.read(), int(answer.headers["Inference-Header-Content-Length"])
            assert answer.status == 200 and (json.loads(raw[:size]).get("parameters") == {"fail_safe": True}) is safe
            assert set(np.frombuffer(raw[size:], np.float32)) == ({9.0} if safe else {2.0})
    text = ask(connection, "GET", "/metrics")[1]
    connection.close()
    mine = [s for s in read(text)["edgewright_deadline_misses"].samples if s.labels["model"] == "double"]
    assert mine[0].value == 2


def open_model_output(folder):
    with Runtime(folder) as runtime:
        return runtime.repository.find("double").session.signature.outputs[0].name


@pytest.fixture
def log():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logs.LOG.addHandler(handler)
    logs.LOG.setLevel(logging.INFO)
    yield lambda form: handler.setFormatter(form) or stream.getvalue().splitlines()
    logs.LOG.removeHandler(handler)
    logs.LOG.setLevel(logging.NOTSET)


FORGED = 'x\nlistening everywhere\r\n\x1b[2J\u2028\x00{"level": "info"}'


def test_nobody_forges_a_line(log):
    log(logs.Text())
    logs.info("model", FORGED)
    log(logs.Json())
    logs.warning("model", FORGED, model=FORGED, level="lie")
    text, told = log(None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text[:24]) and text.isprintable()
    assert text[24:].startswith(" model     x\\nlistening")
    read = json.loads(told)
    assert read["message"] == read["model"] == FORGED and told.isprintable() and read["level"] == "warning"


def test_the_journal_has_times_of_its_own(tmp_path, monkeypatch):
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
        assert not logs.journaled(journal)
        facts = (tmp_path / "journal").stat()
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        assert logs.journaled(journal) and not logs.journaled(other) and not logs.journaled(io.StringIO())
    record = logging.LogRecord("name", logging.WARNING, "", 0, "it is so", (), None)
    assert logs.Text(timed=False).format(record) == "log       warning: it is so"


def test_rejections_are_told_in_one_line(log):
    log(logs.Json())
    rejections, counts = logs.Rejections(10.0), logs.Counter()
    for second in range(1, 40):
        counts["401"] += 100
        rejections.tell(float(second), counts)
    told = [json.loads(line) for line in log(None)]
    assert len(told) == 4 and all(one["event"] == "rejected" for one in told)
    assert [one["401"] for one in told] == [100, 1000, 1000, 1000]


def test_the_access_log_tells_no_secrets(started, log):
    log(logs.Json())
    connection = started("[server]\naccess_log = true")
    connection.request("GET", "/v2/models/double?token=secret", None, {"Authorization": "Bearer secret"})
    assert connection.getresponse().read()
    assert ask(connection, "POST", "/v2/models/double/infer", INFER)[0] == 200
    connection.close()
    first, second = [json.loads(line) for line in log(None)]
    assert first["path"] == "/v2/models/double" and first["status"] == second["status"] == 200
    assert second["peer"] == "127.0.0.1" and "secret" not in json.dumps([first, second])
