"""Models that change while they are served: nothing is dropped, and what is worse does not stay."""

import contextlib
import json
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.formats import save
from edgewright.runtime import logs
from edgewright.runtime.config import Config, ModelTable
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Fault, Gone, NotFound, NotReady
from edgewright.runtime.loading.loader import Loader
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.loading.places import find_places
from edgewright.runtime.loading.shelf import Shelf
from edgewright.runtime.loading.sources import _unready
from edgewright.runtime.loading.trial import Answers, judge
from edgewright.runtime.metrics import Metrics
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.runtime.stats import Times
from edgewright.testing.build import Build

LONG = 120.0
X = np.arange(4, dtype=np.float32).reshape(1, 4)


def multiply(path, factor, size=0):
    """Put a model there that multiplies, whole or not at all; ``size``: floats of ballast."""
    build = Build()
    made = build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor)))
    if size:
        nothing = build.constant(np.float32(0))
        ballast = build.constant(np.arange(size, dtype=np.float32))
        made = build.node("Add", made, build.node("Mul", build.node("ReduceMax", ballast), nothing))
    build.output(made, ["n", 4])
    scratch = path.parent.parent / "scratch"
    save(build.model(), scratch)
    path.parent.mkdir(exist_ok=True)
    (scratch / "model.onnx").replace(path)
    shutil.rmtree(scratch)


class Served:
    """A loader of a folder, and what its models answer."""

    def __init__(self, path, **options):
        self.repository, self.scheduler = Repository(), Scheduler()
        self.desk = Desk(self.scheduler)
        self.loader = Loader(self.repository, self.desk, Settings(path, watch_s=0, **options))
        self.loader.start()

    def factor(self, name="m", version=""):
        while True:
            try:
                (found,) = self.desk.wait(self.repository.find(name, version), {"x": X}).values()
            except Gone:
                continue
            return float(found[0, 1])

    def do(self, what, name, wrong=None):
        """``load`` or ``unload`` done; raises what it answers, unless that is ``wrong``."""
        over, answer = threading.Event(), []
        getattr(self.loader, what)(name, lambda error: (answer.append(error), over.set()))
        assert over.wait(LONG)
        if answer[0] is not None and not (wrong and isinstance(answer[0], wrong)):
            raise answer[0]

    def looked(self):
        """The loader has looked at trials since: it does so after each order."""
        for _ in range(2):
            self.do("unload", "nothing", wrong=NotFound)

    def reasons(self):
        return {(entry.name, entry.version): (entry.state, entry.reason) for entry in self.repository.index()}


@pytest.fixture
def serve(tmp_path):
    running = []

    def start(path=tmp_path / "models", **options):
        running.append(Served(path, **options))
        return running[-1]

    yield start
    for one in running:
        one.scheduler.close()
        one.loader.close()


@pytest.fixture
def models(tmp_path):
    multiply(tmp_path / "models" / "m.onnx", 2)
    return tmp_path / "models"


@pytest.mark.parametrize("size", [0, 200_000])
def test_requests_go_on_while_the_model_is_replaced(serve, models, size):
    served, stop, seen, wrong = serve(), threading.Event(), set(), []

    def ask():
        try:
            while not stop.is_set():
                seen.add(served.factor())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells it
            wrong.append(error)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for factor in (3, 4, 5):
        multiply(models / "m.onnx", factor, size)
        served.do("load", "m")
        assert served.factor() == factor
    stop.set()
    for asker in askers:
        asker.join(LONG)
    assert not wrong and seen <= {2, 3, 4, 5} and served.repository.totals.reloads["applied"] == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_no_thread_keeps_the_priority_at_which_a_version_was_opened(serve, models, threads):
    def niced():
        found = []
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                found += [task] if os.getpriority(os.PRIO_PROCESS, int(task.name)) > before else []
        return found

    before = os.getpriority(os.PRIO_PROCESS, 0)
    served = serve(config=Config(models={"*": ModelTable(threads=threads)}))
    multiply(models / "m.onnx", 3)
    served.do("load", "m")
    assert served.factor() == 3
    end = time.monotonic() + 10
    while niced():  # the one that opened it may be about to end
        assert time.monotonic() < end, "a thread of the session's has it for good"


def test_files_that_were_written_again_and_are_the_same_are_said_to_be(serve, models, caplog):
    served = serve()
    multiply(models / "m.onnx", 2)
    caplog.set_level("INFO", logs.LOG.name)
    served.do("load", "m")
    assert "was loaded anew: its files were written again, and are the same" in caplog.text
    multiply(models / "m.onnx", 3)
    served.do("load", "m")
    assert "took the place of m 1 (sha256 " in caplog.text


def test_files_that_did_not_change_are_not_loaded_again(serve, models):
    served = serve()
    before = served.repository.find("m")
    served.do("load", "m")
    assert served.repository.find("m") is before


def test_new_files_that_are_no_model_leave_the_old_one_serving(serve, models):
    served = serve()
    (models / "m.onnx").write_bytes(b"garbage")
    for _ in range(2):  # the same files are refused again, whoever looked at them first
        with pytest.raises(EdgewrightError, match="not a whole ONNX file"):
            served.do("load", "m")
    assert served.factor() == 2
    state, reason = served.reasons()["m", "1"]
    assert state == "READY" and "new files were refused" in reason
    multiply(models / "m.onnx", 7)
    served.do("load", "m")
    assert served.factor() == 7 and served.reasons() == {("m", "1"): ("READY", "")}


def test_models_come_and_go(serve, models):
    served = serve()
    with pytest.raises(NotFound):
        served.do("load", "other")
    multiply(models / "other.onnx", 9)
    served.do("load", "other")
    assert served.factor("other") == 9
    served.do("unload", "m")
    with pytest.raises(NotReady, match="unloaded"):
        served.factor()
    served.do("load", "m")
    assert served.factor() == 2
    (models / "other.onnx").unlink()
    served.loader.rescan()
    served.do("load", "m")  # orders are carried out one after the other
    with pytest.raises(NotFound):
        served.factor("other")


def test_a_held_version_answers_whom_it_was_given_to_and_then_is_gone(serve, models):
    served = serve()
    held = served.repository.find("m")
    multiply(models / "m.onnx", 3)
    served.do("load", "m")
    (answer,) = served.desk.wait(held, {"x": X}).values()
    assert answer[0, 1] == 2
    multiply(models / "m.onnx", 4)
    served.do("load", "m")
    served.do("unload", "m")
    with pytest.raises(Gone):
        served.desk.wait(held, {"x": X})


def test_several_versions_at_once(serve, tmp_path):
    for version in ("1", "2", "10"):
        multiply(tmp_path / "models" / f"{version}.onnx", int(version))
    (tmp_path / "all").mkdir()
    (tmp_path / "models").rename(tmp_path / "all" / "m")
    served = serve(tmp_path / "all")
    assert served.factor() == 10 and served.factor("m", "2") == 2 and served.factor("m", "1") == 1
    assert served.repository.versions("m") == ["1", "2", "10"]
    with pytest.raises(NotFound, match="has no version '3'"):
        served.factor("m", "3")


def test_a_version_that_fails_its_callers_is_taken_back_and_nobody_is_failed(serve, models):
    served = serve()
    multiply(models / "m.onnx", 3)
    served.do("load", "m")
    new = served.repository.find("m")
    assert served.factor() == 3
    new.session.close()  # from now on every run of it fails
    for _ in range(10):
        assert served.factor() == 2, "the one before answers for it"
    served.looked()
    assert served.factor() == 2 and served.repository.find("m") is not new
    assert "was taken back" in served.reasons()["m", "1"][1]
    served.do("load", "m")  # who asks for it gets it tried once more
    assert served.factor() == 3


def test_nobody_is_failed_in_the_very_moment_it_is_taken_back(serve, models, monkeypatch):
    served, put, seen = serve(), Repository.put, []
    multiply(models / "m.onnx", 3)
    served.do("load", "m")
    new = served.repository.find("m")

    def asked_just_before(repository, version):
        seen.append(new.infer({"x": X}))  # as a request that found it before it was taken back
        put(repository, version)

    monkeypatch.setattr(Repository, "put", asked_just_before)
    new.session.close()
    for _ in range(10):
        assert served.factor() == 2
    served.looked()
    assert [float(found[0, 1]) for answer in seen for found in answer.values()] == [2]


def test_a_version_is_not_blamed_for_requests_that_no_version_could_answer(serve, tmp_path):
    def gather(numbers):
        build = Build()
        table = build.constant(np.asarray(numbers, np.float32))
        build.output(build.node("Gather", table, build.input("i", ["n"], "int64")), ["n"])
        save(build.model(), tmp_path / "made")
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "made" / "model.onnx").replace(tmp_path / "models" / "m.onnx")
        shutil.rmtree(tmp_path / "made")

    gather(range(10))
    served = serve()
    gather(range(1, 11))
    served.do("load", "m")
    new = served.repository.find("m")
    for _ in range(10):
        with pytest.raises(Fault):
            served.desk.wait(new, {"i": np.array([33])})
    served.looked()
    assert served.repository.find("m") is new and "taken back" not in str(served.reasons())


def test_the_rule_of_a_trial():
    fine = Answers(1000, 0, 0.002)
    assert judge(Answers(5, 0, 0.002), fine, None, 1.0) is None
    assert judge(Answers(5, 0, 0.002), fine, None, 11.0) is True
    assert judge(Answers(200, 0, 0.002), fine, None, 0.5) is True
    assert judge(Answers(300, 3, 0.002), fine, None, 0.5) is True, "one in a hundred is within the usual"
    assert "3 of its first 5 runs failed" in judge(Answers(2, 3, 0.002), fine, None, 0.5)
    assert judge(Answers(2, 3, 0.002), Answers(400, 600, 0.002), None, 0.5) is None, "the old one failed as often"
    assert "promised" not in str(judge(Answers(9, 0, 0.02), fine, None, 0.5))
    assert judge(Answers(9, 0, 0.02), fine, 10.0, 0.5) is None, "the first of them meet cold caches"
    assert "should take 10 ms" in judge(Answers(9, 0, 0.02), fine, 10.0, 11.0)
    assert "should take 10 ms" in judge(Answers(20, 0, 0.02), fine, 10.0, 0.5), "ten times as slow"
    thrice = replace(fine, median_s=0.006)
    assert judge(Answers(20, 0, 0.02), thrice, 10.0, 0.5) is None
    assert "should take 10 ms" in judge(Answers(200, 0, 0.02), thrice, 10.0, 0.5)
    assert judge(Answers(200, 0, 0.02), replace(fine, median_s=0.019), 10.0, 0.5) is True, "the machine is busy"


def test_where_models_lie(tmp_path):
    for name in ("a.onnx", "b/1.onnx", "b/2/model.onnx", "c.xml", ".hidden.onnx", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {(p.name, p.version): p.path.relative_to(tmp_path).as_posix() for p in find_places(tmp_path)}
    assert found == {("a", "1"): "a.onnx", ("b", "1"): "b/1.onnx", ("b", "2"): "b/2/model.onnx", ("c", "1"): "c.xml"}
    with pytest.raises(InputError, match="there is nothing at"):
        find_places(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"notes.txt is neither a bundle nor a model; taken are bundles \(.ewb"):
        find_places(tmp_path / "notes.txt")


def test_versions_without_a_number_are_as_new_as_their_files(serve, tmp_path):
    times = {"ffea961f6edc": 1000, "06ea961f6edc": 2000}
    for version, factor in (("ffea961f6edc", 3), ("06ea961f6edc", 4)):
        multiply(tmp_path / "models" / f"{version}.onnx", factor)
        os.utime(tmp_path / "models" / f"{version}.onnx", (times[version], times[version]))
    (tmp_path / "all").mkdir()
    (tmp_path / "models").rename(tmp_path / "all" / "m")
    served = serve(tmp_path / "all")
    assert served.factor() == 4 and served.repository.versions("m") == ["ffea961f6edc", "06ea961f6edc"]
    multiply(tmp_path / "all" / "m" / "ffea961f6edc.onnx", 5)  # written anew, by way of the child
    served.do("load", "m")
    assert served.factor() == 5 and served.factor("m", "06ea961f6edc") == 4


@pytest.mark.parametrize("mixing", ["ReduceSum", "ReduceMax", None])
def test_models_that_mix_their_callers_are_not_batched(serve, tmp_path, mixing):
    build = Build()
    x = build.input("x", ["n", 4])
    made = build.node("Sub", x, build.node(mixing, x, keepdims=0)) if mixing else build.node("Relu", x)
    build.output(made, ["n", 4])
    save(build.model(), tmp_path / "models")
    served = serve(config=Config(models={"*": ModelTable(max_batch=8)}))
    assert served.repository.find().most_rows == (1 if mixing else 8)


def test_gates_that_were_not_passed_are_told():
    gates = [{"name": "load", "state": "failed"}, {"name": "size", "state": "passed"}]
    told = json.dumps({"ready": False, "gates": gates}).encode()
    assert _unready({"readiness.json": told}) == "load"
    assert _unready({"readiness.json": told.replace(b"false", b"true")}) == "" == _unready({})
    assert _unready({"readiness.json": b'{"ready": false, "gates": []}'}) == "its report says not ready"
    assert _unready({"readiness.json": b"nonsense"}) == ""


def test_giving_back_the_old_version_counts_as_a_pause_of_the_reload_where_it_holds_the_interpreter():
    class Heavy:
        source, observed = SimpleNamespace(name="m", version="1"), None

        def close(self):
            sum(range(20_000_000))  # one call: no other thread gets to run

    repository = Repository()
    Shelf(repository, SimpleNamespace(retire=lambda served, timeout_s: True)).retire(Heavy())
    assert repository.totals.longest_pause_s > 0.01


def counted(served):
    """Each model's counters as /metrics has them."""
    page = "".join(Metrics(served.repository, lambda: ())._lines()).splitlines()
    told = dict(line.rsplit(" ", 1) for line in page if "_total{" in line or "_sum{" in line or "_count{" in line)
    return {name: float(value) for name, value in told.items() if "model=" in name}


def test_counters_go_on_over_reloads_and_what_is_taken_back_or_unloaded(serve, models):
    served = serve()
    served.desk.wait(served.repository.find("m"), {"x": X})
    before, runs = counted(served), 1
    with contextlib.suppress(Fault):
        served.desk.wait(served.repository.find("m"), {"x": X[0]})
    for what, factor in (("load", 3), ("load", 4), ("unload", 0), ("load", 5)):
        if factor:
            multiply(models / "m.onnx", factor)
        served.do(what, "m")
        for _ in range(3 if factor else 0):
            served.factor()
            runs += 1
        now = counted(served)
        assert all(now[name] >= value for name, value in before.items()), "a counter fell"
        before = now
    mine = 'model="m",version="1"'
    assert before[f'edgewright_requests_total{{{mine},outcome="ok"}}'] == runs == 10
    assert before[f'edgewright_requests_total{{{mine},outcome="bad_request"}}'] == 1
    assert (
        before[f"edgewright_compute_seconds_count{{{mine}}}"] == before[f"edgewright_batch_rows_count{{{mine}}}"] == 10
    )
    (parts,) = served.repository.tallies.parts().values()
    assert len(parts) == 2, "what was, as one, and what is"


def test_counters_of_what_is_gone_are_forgotten_however_many_came_and_went(serve, models):
    served = serve()
    for number in range(3):
        path = models / "v" / f"{number}.onnx"
        multiply(path, number)
        served.do("load", "v")
        served.factor("v")
        if number == 1:
            served.do("unload", "v")
        path.unlink()
        served.do("load", "v", NotFound)
        assert list(served.repository.tallies.parts()) == [("m", "1")]
        assert [entry.name for entry in served.repository.index()] == ["m"]


def test_a_sum_of_parts_never_falls_whatever_is_merged_first():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b, c = (Times() for _ in range(3))
        for one, seconds in zip((a, b, c), rng.exponential(size=3), strict=True):
            one.add(float(seconds))
        left, right = Times(), Times()
        for one in (a, b, c):
            left.merge(one)
        for one in (c, a, b):
            right.merge(one)
        assert left.sum_s == right.sum_s and left.count == right.count == 3
