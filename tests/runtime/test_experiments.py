"""Splits, shadows and the cache at work in a server and in process, with real models and real files."""

import http.client
import json
import math
import threading
import time
from collections import Counter

import numpy as np
import pytest

from edgewright.cli._whys import page
from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.addresses import Address
from edgewright.runtime.caching import CachingDesk
from edgewright.runtime.config import Config, ModelTable, ServerTable
from edgewright.runtime.desk import Desk
from edgewright.runtime.diagnosis.whys import Whys
from edgewright.runtime.experiments.series import series
from edgewright.runtime.faults import BadRequest, NotFound
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip.inference import Inference
from edgewright.runtime.oip.splitting import SplitInference
from edgewright.runtime.server import Server, serving
from edgewright.runtime.service import Service
from edgewright.testing.build import Build

LONG = 60.0
X = np.arange(4, dtype=np.float32).reshape(1, 4)
HALVES = Config(models={"m": ModelTable(split={"1": 1, "2": 1})})


@pytest.fixture
def models(tmp_path):
    """Two versions of one model, which multiply by their number; no number that is asked for twice is answered."""
    (tmp_path / "models" / "m").mkdir(parents=True)
    for version in (1, 2):
        build = Build()
        made = build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(version)))
        build.output(made, ["n", 4])
        save(build.model(), tmp_path / "made")
        (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "m" / f"{version}.onnx")
    return tmp_path / "models"


@pytest.fixture
def halves(tmp_path):
    (tmp_path / "runtime.toml").write_text("[models.m]\nsplit = {1 = 1, 2 = 1}\n")
    return tmp_path / "runtime.toml"


@pytest.fixture
def start(models):
    running = []

    def begin(config, watch_s=0):
        server = Server(Settings(models, config=config, watch_s=watch_s), [Address(port=0)])
        running.append((server, serving(server)))
        return server

    yield begin
    for server, thread in running:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def ask(server, method, target, told=None, **headers):
    address = server.addresses[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=LONG)
    connection.request(method, target, json.dumps(told) if told else None, headers)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def infer(server, target="/v2/models/m/infer", parameters=None, x=X, **headers):
    told = {"inputs": [{"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": x.ravel().tolist()}]}
    status, found = ask(server, "POST", target, {**told, "parameters": parameters or {}}, **headers)
    assert status == 200, found
    assert found["outputs"][0]["data"] == (x * float(found["model_version"])).ravel().tolist()
    return found["model_version"]


def test_keys_stay_with_their_version_and_the_reply_tells_which(start):
    server = start(HALVES)
    by_parameter = [infer(server, parameters={"key": n}) for n in range(24)]
    assert by_parameter == [infer(server, **{"Edgewright-Key": str(n)}) for n in range(24)]
    assert by_parameter == [infer(server, parameters={"key": str(n)}) for n in range(24)]
    assert set(by_parameter) == {"1", "2"} == {infer(server) for _ in range(40)}
    other = by_parameter.index("1")
    assert infer(server, "/v2/models/m/versions/2/infer", {"key": other}) == "2", "who names a version gets it"
    _, stats = ask(server, "GET", "/v2/models/stats")
    told = {one["version"]: one["inference_count"] for one in stats["model_stats"]}
    assert told["1"] + told["2"] == 24 * 3 + 40 + 1 and told["1"] >= 3 * by_parameter.count("1")
    assert {one["latency_trend"]["word"] for one in stats["model_stats"]} == {"unknown"}


def test_a_key_that_is_none_is_refused(start):
    server = start(HALVES)
    told = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0] * 4}], "parameters": {"key": []}}
    status, found = ask(server, "POST", "/v2/models/m/infer", told)
    assert status == 400 and "'key'" in found["error"]
    assert ask(server, "POST", "/v2/models/none/infer", {"inputs": []})[0] in (400, 404)


def test_answers_come_from_the_cache_and_go_with_their_model(start):
    server = start(Config(ServerTable(cache_mb=1)))
    assert [infer(server, x=X + n) for n in (0, 0, 1, 0)] == ["2"] * 4
    _, stats = ask(server, "GET", "/v2/models/m/stats")
    told, cache = stats["model_stats"][0]["inference_stats"], stats["cache"]
    assert (told["cache_hit"]["count"], told["cache_miss"]["count"], told["success"]["count"]) == (2, 2, 2)
    assert (cache["hits"], cache["misses"], cache["entries"]) == (2, 2, 2)
    over = threading.Event()
    server.loader.unload("m", lambda error: over.set())
    assert over.wait(LONG)
    _, stats = ask(server, "GET", "/v2/models/stats")
    assert (stats["cache"]["entries"], stats["cache"]["bytes"], stats["cache"]["dropped"]) == (0, 0, 2)


def test_a_shadow_is_told_of_in_the_statistics(start):
    server = start(Config(models={"m": ModelTable(shadow={"version": "1"})}))
    told, until = [], time.monotonic() + LONG
    while not told and time.monotonic() < until:
        assert infer(server, parameters={"timeout": 60_000_000}) == "2"
        told = ask(server, "GET", "/v2/models/m/stats")[1]["shadows"][0]["comparisons"]
    assert told[0]["answered_by"] == "2" and told[0]["compared"]
    (output,) = told[0]["outputs"].values()
    assert output["choices"] >= 1 and output["other_choices"] == 0 and output["relative"]["positive"]


def scraped(server):
    """What Prometheus's parser reads, by sample and labels."""
    parser = pytest.importorskip("prometheus_client.parser")
    address = server.addresses[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=LONG)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    families = [*parser.text_string_to_metric_families(text)]
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "each family once"
    return {(s.name.removeprefix("edgewright_"), *s.labels.values()): s.value for f in families for s in f.samples}


def test_prometheus_reads_who_drew_which_version(start):
    server = start(Config(models={"m": ModelTable(split={"1": 1, "2": 3, "gone": 0})}))
    before = scraped(server)
    assert [before["split_requests_total", "m", v] for v in ("1", "2", "gone", "none")] == [0, 0, 0, 0]
    assert [before["split_share", "m", v] for v in ("1", "2", "gone")] == [0.25, 0.75, 0]
    answered = [infer(server, parameters={"key": n}) for n in range(24)]
    infer(server, "/v2/models/m/versions/2/infer")
    found = scraped(server)
    drawn = {v: found["split_requests_total", "m", v] for v in ("1", "2", "none")}
    assert drawn == {"1": answered.count("1"), "2": answered.count("2"), "none": 0}, "who names a version draws none"
    assert found["arm_seconds_count", "m", "2", "answers"] == drawn["2"] + 1
    assert found["arm_seconds_sum", "m", "1", "answers"] > 0 < found["arm_seconds", "m", "1", "answers", "0.99"]
    assert ask(server, "GET", "/v2/models/m/stats")[1]["splits"][0]["drawn"]["2"] == drawn["2"]
    for served in server.repository.ready():
        server.repository.remove(served)
    told = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0] * 4}]}
    assert ask(server, "POST", "/v2/models/m/infer", told)[0] == 404
    assert scraped(server)["split_requests_total", "m", "none"] == 1
    assert not [key for key in found if key[0].startswith("shadow")]


def test_prometheus_reads_what_a_shadow_did(start, models):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(-1))), ["n", 4])
    save(build.model(), models.parent / "made")
    (models.parent / "made" / "model.onnx").replace(models / "m" / "1.onnx")
    server = start(Config(models={"m": ModelTable(shadow={"version": "1"})}))
    shadow, until = ("m", "1"), time.monotonic() + LONG
    found = scraped(server)
    assert found["shadow_runs_total", *shadow, "compared"] == 0
    assert math.isnan(found["shadow_difference", *shadow, "0.5"]), "nothing was seen"
    runs = 0
    while time.monotonic() < until and (not runs or found["shadow_disagreements_total", *shadow, "choice"] != runs):
        assert infer(server, parameters={"timeout": 60_000_000}) == "2"
        found = scraped(server)  # perhaps while an answer is being compared
        runs = found["shadow_runs_total", *shadow, "compared"]
    assert found["shadow_choices_total", *shadow] == found["shadow_disagreements_total", *shadow, "choice"] == runs
    assert found["shadow_difference_count", *shadow] == found["arm_seconds_count", *shadow, "shadow"] == runs >= 1
    assert found["shadow_runs_total", *shadow, "failed"] == found["shadow_disagreements_total", *shadow, "unlike"] == 0
    assert found["shadow_difference", *shadow, "0.5"] == pytest.approx(1.5, rel=0.02)
    assert found["arm_seconds", *shadow, "shadow", "0.5"] > 0 < found["arm_seconds_sum", *shadow, "shadow"]
    assert found["arm_seconds_count", "m", "2", "answers"] >= runs > found["arm_seconds_count", *shadow, "answers"] == 0


def test_what_a_shadow_is_not_asked_is_told_with_its_reason(start):
    server, shed, until = start(Config(models={"m": ModelTable(shadow={"version": "9"})})), 0, time.monotonic() + LONG
    while not shed and time.monotonic() < until:
        infer(server, parameters={"timeout": 60_000_000})
        found = scraped(server)
        shed = found["shadow_shed_total", "m", "9", "missing"]
    assert shed and found["shadow_shed_total", "m", "9", "full"] == 0


def test_in_process_a_key_says_which_version_answers(models, halves):
    with Runtime(models, config=halves) as runtime:
        first = [
            float(runtime.infer({"x": X}, "m", key=n)[next(iter(runtime.infer({"x": X})))][0, 1]) for n in "abcdef"
        ]
        again = [float(next(iter(runtime.infer({"x": X}, key=n).values()))[0, 1]) for n in "abcdef"]
        assert first == again and set(first) == {1.0, 2.0}
        with pytest.raises(BadRequest, match="'key'"):
            runtime.infer({"x": X}, key=1.5)
        with pytest.raises(NotFound):
            runtime.infer({"x": X}, "other", key="a")


def test_a_version_that_is_taken_away_gives_its_keys_to_the_other(models, halves):
    with Runtime(models, config=halves) as runtime:
        keys = [str(n) for n in range(20)]

        def answers():
            return [float(next(iter(runtime.infer({"x": X}, key=key).values()))[0, 1]) for key in keys]

        assert set(answers()) == {1.0, 2.0}
        runtime.repository.remove(runtime.repository.find("m", "1"))
        assert set(answers()) == {2.0}


def test_everything_at_once(models, tmp_path):
    text = "[server]\ncache_mb = 1\n[models.m]\nsplit = {1 = 9, 2 = 1}\nshadow = {version = '2'}\n"
    (tmp_path / "runtime.toml").write_text(text)
    with Runtime(models, config=tmp_path / "runtime.toml") as runtime:
        first, second = (next(iter(runtime.infer({"x": X}, key="a").values())) for _ in range(2))
        assert np.array_equal(first, second) and runtime.desk.report()["cache"]["hits"] == 1
        assert runtime.desk.report().keys() == {"cache", "shadows"}


def test_what_is_off_is_not_there(models):
    with Service.of(Settings(models)) as plain:
        assert type(plain.desk.at_once.__self__) is type(plain.desk.later.__self__) is Desk and plain.splits is None
        assert plain.desk.plain and not plain.desk.shadows
    with Service.of(Settings(models, config=Config(ServerTable(cache_mb=1)))) as keeping:
        assert type(keeping.desk.at_once.__self__) is CachingDesk and not keeping.desk.plain
    assert Inference._ask is not SplitInference._ask
    with Runtime(models) as runtime:
        assert type(runtime.desk.at_once.__self__) is Desk and runtime.desk.report() == {}
        assert list(series(runtime.repository, None, runtime.desk.shadows)) == []
        assert float(next(iter(runtime.infer({"x": X}, key="unused").values()))[0, 1]) == 2.0


def test_why_tells_who_answered_how_much_and_what_shadows_shed(start):
    table = ModelTable(split={"1": 3, "2": 1, "9": 1}, shadow={"version": "7", "share": 0.5})
    server = start(Config(models={"m": table}))
    for number in range(20):
        infer(server, parameters={"key": number})
    infer(server, "/v2/models/m/versions/2/infer")
    shadows, deadline = server.desk.shadows, time.monotonic() + LONG
    while shadows.counts()[0][1]["shed missing"] < 21 and time.monotonic() < deadline:
        pass
    told = ask(server, "GET", "/v2/models/stats")[1]["server"]
    (split,), (shadow,) = told["splits"], told["shadows"]
    assert split["shares"] == {"1": 0.6, "2": 0.2, "9": 0.2} and sum(split["drawn"].values()) == 20
    assert split["answered"] == {"1": split["drawn"]["1"], "2": split["drawn"]["2"] + 1} and split["drawn"]["9"] == 0
    assert shadow["shed"] == {"full": 0, "missing": 21, "failed": 0}
    assert (shadow["version"], shadow["compared"], shadow["failed"], shadow["waiting"]) == ("7", 0, 0, 0)
    text = " ".join(page([], [], told).split())
    assert f"1 drew {split['drawn']['1']} " in text and "60% configured); 2 drew" in text
    assert f"2 answered {split['answered']['2']}." in text
    assert "0 answers compared, 21 copies were shed (no such version: 21), 0 wait; it may take 50% of a core." in text


def test_what_why_tells_of_splits_and_shadows_is_of_late(start):
    server, now = start(Config(models={"m": ModelTable(split={"1": 1, "2": 1}, shadow={"version": "2"})})), [0.0]
    splits = server._service.splits
    whys = Whys(server.repository, server.desk, Counter, clock=lambda: now[0], splits=splits)
    for _ in range(9):
        splits.find("m")
        now[0] += 10.0
        whys.look()
    assert sum(whys.server()["splits"][0]["drawn"].values()) == 6 and whys.server()["window_s"] == 60.0


def test_what_is_told_of_a_split_model_is_of_versions_that_answer(start, models):
    (models / "m" / "2.onnx").rename(models / "m" / "3.onnx")
    (models / "m" / "2.onnx").write_bytes((models / "m" / "1.onnx").read_bytes())
    server = start(Config(models={"m": ModelTable(split={"1": 1, "2": 3, "9": 4, "3": 0})}))
    told = ask(server, "GET", "/v2/models/m")[1]
    assert told["versions"] == ["1", "2", "3"], "all that may be asked for"
    assert told["parameters"]["version"] == "2" and told["parameters"]["split"] == {"2": 0.75, "1": 0.25}
    one = ask(server, "GET", "/v2/models/m/versions/3")[1]["parameters"]
    assert one["version"] == "3" and "split" not in one
    digest = server.repository.find("m", "2").source.digest
    assert ask(server, "GET", "/v2/models/m/config")[1]["parameters"]["digest"]["string_value"] == digest
    assert ask(server, "GET", "/v2/models/m/ready")[1]["version"] == "2"
    for version in "12":
        server.repository.remove(server.repository.find("m", version))
    told = ask(server, "GET", "/v2/models/m")[1]
    assert told["parameters"]["version"] == "3" and "split" not in told["parameters"], "the latest answers"


def test_grpc_tells_of_versions_that_answer(models):
    pytest.importorskip("grpc")
    from edgewright.runtime.lanes.rpc.answers import Answers
    from edgewright.runtime.lanes.rpc.schema import MESSAGES

    with Service.of(Settings(models, config=Config(models={"m": ModelTable(split={"1": 1})}))) as service:
        service.loader.start()
        calls = Answers(service).calls()
        told = calls["ModelConfig"](MESSAGES["ModelConfigRequest"](name="m"))
        digest = service.repository.find("m", "1").source.digest
        assert told.config.parameters["digest"].string_value == digest
        assert calls["ModelMetadata"](MESSAGES["ModelMetadataRequest"](name="m")).versions == ["1", "2"]
        service.repository.remove(service.repository.find("m", "2"))
        assert calls["ModelReady"](MESSAGES["ModelReadyRequest"](name="m")).ready
