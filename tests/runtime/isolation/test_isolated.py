"""Isolated sessions: the contract of every session, and engines that crash, hang and lie."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright.core.errors import EngineError, InputError, NotAnswering
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.engines import engine
from edgewright.engines.session import answer_within
from edgewright.formats import save
from edgewright.formats.onnx import from_proto
from edgewright.runtime.addresses import Address
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Fault, NotReady
from edgewright.runtime.isolation import Isolation, open_isolated
from edgewright.runtime.isolation.restarts import Restarts
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.loading.places import Place
from edgewright.runtime.loading.sources import Source, open_model, read_source
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.runtime.served import Served
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build
from edgewright.testing.engines import check_engine

LONG = 60.0
X = np.arange(8, dtype=np.float32).reshape(2, 4)
FOREVER = np.int64(10**15)
ALWAYS = Isolation(restarts=Restarts(most=10**6, first_s=0.0))


def turning():
    """Adds one, as many times as it is told."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Add", ["v", "one"], ["more"])],
        "body",
        [
            helper.make_tensor_value_info("i", T.INT64, []),
            helper.make_tensor_value_info("on", T.BOOL, []),
            helper.make_tensor_value_info("v", T.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("still", T.BOOL, []), helper.make_tensor_value_info("more", T.FLOAT, [1])],
        [numpy_helper.from_array(np.ones(1, np.float32), "one")],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "yes", "zero"], ["y"], body=body)],
        "turning",
        [helper.make_tensor_value_info("turns", T.INT64, [])],
        [helper.make_tensor_value_info("y", T.FLOAT, [1])],
        [numpy_helper.from_array(np.array(True), "yes"), numpy_helper.from_array(np.zeros(1, np.float32), "zero")],
    )
    return from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


def growing():
    """As many ones as it is told."""
    build = Build()
    build.output(build.node("Expand", build.constant(np.float32(1)), build.input("n", [1], "int64")), ["m"])
    return build.model()


def turns(session, count):
    return float(session.infer({"turns": np.array(count)})["y"][0])


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    """Installs an engine of somebody else's where workers find it; makes models for it."""
    place = tmp_path / "installed"
    facts = place / "misbehaving-1.0.dist-info"
    facts.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("misbehaving.py"), place)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[edgewright.engines]\nmisbehaving = misbehaving:Misbehaving\n")
    monkeypatch.syspath_prepend(place)
    specs = [TensorSpec(name, "float32", ("n",)) for name in "xy"]
    signature = Signature((specs[0],), (specs[1],))
    return lambda what: Model("odd", "model.odd", {"model.odd": what.encode()}, signature)


GOOD = {"x": np.ones(3, np.float32)}
BAD = {"x": -np.ones(3, np.float32)}


def until(true, what):
    """Look until ``true()``: for what another process does and tells nobody. Fails after LONG."""
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.001)


def held():
    """What this process holds: descriptors, child processes, threads."""
    children = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # an idle thread of an earlier test ended meanwhile
            children += len((task / "children").read_text().split())
    return len(list(Path("/proc/self/fd").iterdir())), children, threading.active_count()


def nothing_more(than):
    """This process holds no more of anything than ``than`` says; threads of earlier tests may end meanwhile."""
    assert all(now <= before for now, before in zip(held(), than, strict=True)), (held(), than)


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """The test gives back every descriptor, process, thread and folder it took."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    before = held()
    yield
    nothing_more(before)
    assert not list(place.iterdir())


def busy_s(pid):
    """The CPU time a process used, in s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(session, ask):
    """What ``ask(session)`` gives once the worker is there again."""
    found = []

    def again():
        try:
            found.append(ask(session))
        except NotAnswering as error:
            assert error.retry_after_s is not None, error
        return bool(found)

    until(again, "an answer")
    return found[0]


class Apart:
    """An engine's sessions, each in a process of its own."""

    def __init__(self, name):
        self._own = engine(name)
        self.name, self.version, self.providers = name, self._own.version, self._own.providers

    def open(self, model, options):
        return open_isolated(model, self.name, options)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_contract_of_every_engine(name):
    check_engine(Apart(name), models=("several", "mlp"))


def test_text_and_changing_sizes(nothing_left):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "text",
        [helper.make_tensor_value_info("x", T.STRING, ["n"])], [helper.make_tensor_value_info("y", T.STRING, ["n"])],
    )  # fmt: skip
    model = from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))
    with open_isolated(model) as session:
        for words in (["a", "", "späß"], ["x" * 100_000], []):
            assert session.infer({"x": np.array(words, object)})["y"].tolist() == words
    with open_isolated(growing()) as session:
        for n in (1, 5000, 0, 3, 10**6, 2):
            (out,) = session.infer({"n": np.array([n])}).values()
            np.testing.assert_array_equal(out, np.ones(n, np.float32))


def test_a_worker_killed_in_the_middle_of_a_run(nothing_left):
    with open_isolated(turning()) as session, open_isolated(turning()) as other, ThreadPoolExecutor() as pool:
        assert turns(session, 3) == 3
        pid = session.pid
        before = busy_s(pid)
        running = pool.submit(turns, session, FOREVER)
        until(lambda: busy_s(pid) > before + 0.05, "the run")
        assert turns(other, 5) == 5  # others go on
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"lost with this request: it was killed by SIGKILL"):
            running.result(LONG)
        assert answers(session, lambda s: turns(s, 4)) == 4
        assert session.pid != pid and session.restarts == 1 and session.reason == ""
        assert turns(other, 5) == 5 and other.restarts == 0


def test_a_model_that_loops_for_ever(nothing_left):
    with open_isolated(turning(), isolation=Isolation(hang_s=0.3)) as session:
        with pytest.raises(EngineError, match=r"did not answer within 0.3 s"):
            turns(session, FOREVER)
        assert answers(session, lambda s: turns(s, 4)) == 4
        with pytest.raises(EngineError, match=r"did not answer one request within"):
            answer_within(session, {"turns": np.array(FOREVER)}, 0.1)
        assert answers(session, lambda s: turns(s, 4)) == 4


def test_a_worker_that_dies_while_idle_is_replaced(nothing_left):
    with open_isolated(turning()) as session:
        pid = session.pid
        os.kill(pid, signal.SIGTERM)
        until(lambda: session.pid not in (None, pid), "a new worker")
        assert turns(session, 2) == 2


def test_a_run_that_needs_more_memory_than_it_may_have(nothing_left):
    with open_isolated(growing(), isolation=Isolation(memory_bytes=256 * 2**20)) as session:
        pid = session.pid
        with pytest.raises(EngineError, match=r"may take 268 MB"):
            session.infer({"n": np.array([10**9])})
        assert len(answers(session, lambda s: s.infer({"n": np.array([7])}))) == 1
        assert session.pid == pid, "the library told of it, and nothing died"
    with pytest.raises(EngineError, match=r"bad_alloc .*may take 0 MB"):
        open_isolated(growing(), isolation=Isolation(memory_bytes=1))
    with pytest.raises(EngineError):  # it says so or aborts (OpenVINO 2026.4), depending on where memory runs out
        open_isolated(growing(), "openvino", isolation=Isolation(memory_bytes=8 * 10**6))


def test_twenty_restarts_leave_nothing_behind(nothing_left):
    with open_isolated(turning(), isolation=ALWAYS) as session:
        assert turns(session, 1) == 1
        at_rest = held()
        for number in range(20):
            os.kill(session.pid, signal.SIGKILL)
            until(lambda number=number: session.restarts == number + 1 and session.pid, "a new worker")
            assert turns(session, number) == number
        nothing_more(at_rest)


@pytest.mark.parametrize(
    ("deed", "says"),
    [("abort", r"SIGABRT: the plugin is not amused"), ("crash", "SIGSEGV"), ("leave", "status 7")],
)
def test_an_engine_that_dies_while_it_opens_the_model(misbehaving, nothing_left, deed, says):
    with pytest.raises(EngineError, match=f"lost while it opened the model: .*{says}"):
        open_isolated(misbehaving(f"open {deed}"), "misbehaving")


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        ("abort", r"SIGABRT.*: the plugin is not amused"),
        ("crash", "SIGSEGV"),
        ("leave", "status 7"),
        ("hang", "did not answer within"),
        ("scribble", "cannot be read"),
    ],
)
def test_an_engine_that_dies_over_a_request(misbehaving, nothing_left, deed, says):
    walls = Isolation(hang_s=None if deed != "hang" else 0.2)
    with open_isolated(misbehaving(f"run {deed}"), "misbehaving", isolation=walls) as session:
        assert session.infer(GOOD)["y"].tolist() == [2, 2, 2]
        with pytest.raises(EngineError, match=f"lost with this request: .*{says}"):
            session.infer(BAD)
        assert answers(session, lambda s: s.infer(GOOD))["y"].tolist() == [2, 2, 2]


def test_a_noisy_engine_fills_nothing(misbehaving, nothing_left):
    with open_isolated(misbehaving("run shout"), "misbehaving") as session:
        assert session.infer(BAD)["y"].tolist() == [-2, -2, -2]


def test_a_worker_that_is_shut_in(misbehaving, nothing_left):
    with open_isolated(misbehaving("run escape"), "misbehaving") as session:
        if set(session.layers) != {"namespaces", "landlock", "seccomp"}:
            pytest.skip("this kernel has not all the walls")
        # Descriptors: the standard three, the socket, and that of the folder being listed; the regions' two.
        with pytest.raises(EngineError, match=r"escaped: \[\], descriptors: [4-7]$"):
            session.infer(BAD)
    free = Isolation(confined=False)
    every = r"escaped: \['network', 'programs', 'files', 'parent'\]"
    with open_isolated(misbehaving("run escape"), "misbehaving", isolation=free) as session:
        assert session.layers == ()
        with pytest.raises(EngineError, match=every):
            session.infer(BAD)


def test_a_worker_that_dies_too_often_is_given_up(misbehaving, nothing_left):
    often = Isolation(restarts=Restarts(most=3, first_s=0.0))
    with open_isolated(misbehaving("run leave"), "misbehaving", isolation=often) as session:
        for last in (False, False, True):
            with pytest.raises(EngineError, match="status 7"):
                session.infer(BAD)
            if not last:
                until(lambda: session.pid, "a new worker")
        until(lambda: "3 times" in session.reason, "giving up")
        with pytest.raises(NotAnswering, match=r"ended 3 times within 60 s.*status 7") as caught:
            session.infer(GOOD)
        assert caught.value.retry_after_s is None


def test_requests_of_many_threads_get_their_own_answers(nothing_left):
    with open_isolated(growing()) as session, ThreadPoolExecutor(8) as pool:
        sizes = [
            len(next(iter(o.values()))) for o in pool.map(lambda n: session.infer({"n": np.array([n])}), range(50))
        ]
    assert sizes == list(range(50))


def test_closing_ends_what_runs(nothing_left):
    with ThreadPoolExecutor() as pool:
        session = open_isolated(turning())
        pid = session.pid
        before = busy_s(pid)
        running = pool.submit(turns, session, FOREVER)
        until(lambda: busy_s(pid) > before + 0.05, "the run")
        session.close()
        session.close()
        with pytest.raises(EngineError):
            running.result(LONG)
    with pytest.raises(EngineError, match="closed"):
        turns(session, 1)


def test_a_worker_ends_with_its_parent(tmp_path):
    save(turning(), tmp_path / "model")
    script = """if True:
        import sys, numpy as np
        from edgewright.formats import load
        from edgewright.runtime.isolation import open_isolated
        session = open_isolated(load(sys.argv[1]))
        print(session.pid, flush=True)
        session.infer({"turns": np.array(10**15)})
    """
    command = [sys.executable, "-c", script, str(tmp_path / "model" / "model.onnx")]
    here = tmp_path / "tmp"
    here.mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(here)}) as parent:
        pid = int(parent.stdout.readline())
        before = busy_s(pid)
        until(lambda: busy_s(pid) > before + 0.05, "the run")
        parent.kill()
    until(lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text(), "its end")
    left = list(here.iterdir())
    assert len(left) == 1  # the worker's own folder, which the next one sweeps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(here))
        with open_isolated(turning()) as session:
            assert turns(session, 1) == 1 and not left[0].exists()


def test_what_a_request_is_told(misbehaving, nothing_left):
    model = misbehaving("run leave")
    once = Isolation(restarts=Restarts(most=1))
    session = open_isolated(model, "misbehaving", isolation=once)
    served = Served(Source("m", "1", model, "misbehaving", EngineOptions()), session)
    scheduler = Scheduler()
    desk = Desk(scheduler)
    assert desk.wait(served, GOOD)["y"].tolist() == [2, 2, 2]
    with pytest.raises(Fault, match="lost with this request") as caught:
        desk.wait(served, BAD)
    assert caught.value.status == 500
    until(lambda: "1 times" in session.reason, "giving up")
    repository = Repository()
    repository.put(served)
    (entry,) = repository.index()
    assert entry.state == "UNAVAILABLE" and "status 7" in entry.reason
    with pytest.raises(NotReady, match=r"does not answer: .* Load the model again") as caught:
        desk.wait(served, GOOD)
    assert caught.value.status == 503
    scheduler.close()
    session.close()


def test_what_is_wrong_with_a_request_or_a_model_is_told_as_ever(nothing_left):
    with open_isolated(turning()) as session, pytest.raises(InputError, match="must be int64"):
        session.infer({"turns": np.array(1, np.int32)})
    with pytest.raises(InputError, match="no engine is named"):
        open_isolated(turning(), "nonesuch")
    with pytest.raises(EngineError, match="provider 'cuda' is not in this build"):
        open_isolated(turning(), options=EngineOptions(provider="cuda"))
    with open_isolated(turning(), options=EngineOptions(provider="cuda", policy="degrade")) as session:
        assert (session.requested, session.provider) == ("CUDAExecutionProvider", "CPUExecutionProvider")
        assert session.layers == () and turns(session, 2) == 2


def test_files_that_were_replaced_are_not_opened_in_the_place_of_those_that_were_served(tmp_path, nothing_left):
    path = save(turning(), tmp_path / "model")
    source = read_source(Place("turning", "1", path))
    source, session = open_model(source, Isolation(restarts=Restarts(most=2, first_s=0.0)))
    with session:
        assert turns(session, 2) == 2
        os.kill(session.pid, signal.SIGKILL)
        until(lambda: session.restarts and session.pid, "a new worker")
        assert turns(session, 3) == 3
        path.unlink()
        save(growing(), tmp_path / "model")
        os.kill(session.pid, signal.SIGKILL)
        until(lambda: "not started again" in session.reason, "giving up")
    source, session = open_model(read_source(Place("turning", "2", path)), Isolation())
    with session:
        assert source.model.signature.inputs[0].name == "n"


def test_the_server_goes_on_without_a_model_that_crashes(misbehaving, tmp_path):
    """Over HTTP: the crash is that request's 500, the model's next answers are 503 or right, others never notice."""
    save(turning(), tmp_path / "models")
    server = Server(Settings(tmp_path / "models" / "model.onnx"), [Address(port=0)])
    thread = serving(server)
    model = misbehaving("run crash")
    bad = Served(Source("bad", "1", model, "misbehaving", EngineOptions()), open_isolated(model, "misbehaving"))
    server.repository.put(bad)

    def ask(name, given, kind, x):
        body = {"inputs": [{"name": given, "datatype": kind, "shape": [1] if given == "x" else [], "data": [x]}]}
        connection = http.client.HTTPConnection("127.0.0.1", server.addresses[0].port, timeout=LONG)
        connection.request("POST", f"/v2/models/{name}/infer", json.dumps(body))
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        return answer.status, told

    def again():
        status, _ = ask("bad", "x", "FP32", 1.0)
        assert status in (200, 503)
        return status == 200

    assert again()
    for _ in range(2):
        status, told = ask("bad", "x", "FP32", -1.0)
        assert status == 500 and "SIGSEGV" in told["error"]
        assert ask("model", "turns", "INT64", 6)[1]["outputs"][0]["data"] == [6.0]
        until(again, "an answer")
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()
    bad.close()


def test_a_death_between_requests_is_told_in_the_log_and_to_whoever_asks_next(nothing_left, caplog):
    caplog.set_level("INFO", "edgewright.runtime")
    with open_isolated(turning(), isolation=Isolation(name="turning")) as session:
        pid = session.pid
        os.kill(pid, signal.SIGKILL)
        try:
            turns(session, 1)
        except NotAnswering as told:
            assert "gone before it was asked" in str(told) or "being started again" in str(told)
            assert told.retry_after_s == 1.0
        until(lambda: any("is back" in record.message for record in caplog.records), "a new worker")
        assert session.pid != pid and turns(session, 2) == 2
    said = [record for record in caplog.records if record.event == "worker"]
    assert [record.fields for record in said] == [{"model": "turning"}] * 2
    assert said[0].message.startswith("turning: its process is gone: it was killed by SIGKILL")
    assert said[1].message == "turning: its process is back, and it answers again"
