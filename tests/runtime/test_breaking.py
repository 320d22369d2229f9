"""What should never happen, happening: nobody waits for ever, nothing is lost in silence, and it passes."""

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.core.child import ChildError, ChildLost, run_child
from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.priority import Turns
from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.addresses import Address
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Cancelled, Expired, Fault
from edgewright.runtime.hangs import Hangs, patience_s
from edgewright.runtime.lanes.door import Door
from edgewright.runtime.loading.loader import Loader
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.loading.places import Place, find_places
from edgewright.runtime.loading.slots import INFINITY, Slot, Taken
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.scheduling.times import RunTimes
from edgewright.runtime.served import Served
from edgewright.runtime.server import Server, serving
from edgewright.runtime.stats import Stats
from edgewright.runtime.versions import ordered
from edgewright.testing.build import Build

LONG = 120.0
X = np.ones((1, 4), np.float32)
_value = helper.make_tensor_value_info


def doubling(path, shape=("n", 4)):
    build = Build()
    build.output(build.node("Mul", build.input("x", shape), build.constant(np.float32(2))), shape)
    save(build.model(), path.parent / "scratch")
    path.parent.joinpath("scratch", "model.onnx").replace(path)
    shutil.rmtree(path.parent / "scratch")
    return path


def looping(path):
    """Turns for ever where the largest element is above 1,000."""
    turn = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["v", "one"], ["w"])], "turn",
        [_value("i", TensorProto.INT64, []), _value("go", TensorProto.BOOL, []), _value("v", TensorProto.FLOAT, [])],
        [_value("on", TensorProto.BOOL, []), _value("w", TensorProto.FLOAT, [])],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "limit"], ["first"]),
        helper.make_node("Loop", ["", "first", "top"], ["y"], body=turn),
    ]
    graph = helper.make_graph(
        nodes, "looping", [_value("x", TensorProto.FLOAT, ["n"])], [_value("y", TensorProto.FLOAT, [])],
        [helper.make_tensor("limit", TensorProto.FLOAT, [], [1000.0])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


class Model:
    """What the scheduler must know of a model that does as it is told."""

    most_rows, delay_s, preferred, running, most_runs, last = 1, 0.0, (), 0, 1, 0.0

    def __init__(self, run):
        self.times, self.run = RunTimes(), run


@pytest.fixture
def scheduler():
    made = Scheduler()
    yield made
    made.close()


def asked(scheduler, model, **more):
    """A job in line, and what became of it (once the event is set)."""
    over, found = threading.Event(), []
    job = Job(model, None, lambda outputs, fault: (found.extend((outputs, fault)), over.set()), **more)
    scheduler.submit(job)
    return job, over, found


def answers(jobs):
    for job in jobs:
        job.done("fine", None)


def test_an_executor_outlives_what_it_runs(scheduler):
    def fail(jobs):
        raise MemoryError

    scheduler.submit(Job(Model(fail), None, lambda *_: None))
    _, over, found = asked(scheduler, Model(answers))
    assert over.wait(LONG) and found == ["fine", None]


def test_the_reaper_outlives_deadlines_of_a_thousand_years(scheduler):
    model, clock = Model(answers), scheduler._clock
    assert scheduler.enter(model)
    _, late, found = asked(scheduler, model, deadline=clock() + 1e12)
    _, soon, told = asked(scheduler, model, deadline=clock() + 0.2)
    assert soon.wait(LONG) and isinstance(told[1], Expired)
    scheduler.leave(model)
    assert late.wait(LONG) and found == ["fine", None]


def test_run_times_of_no_rows_and_of_many_sizes():
    times = RunTimes()
    times.add(0, 0.001)
    assert times.mean(5) == pytest.approx(0.005)
    for rows in range(1, 5000):
        times.add(rows, 0.001)
    assert len(times._known) <= 256 and len(times._sizes) <= 256 and times.mean(4999) == pytest.approx(0.001)
    stats = Stats()
    for rows in range(1, 5000):
        stats.ran(rows, 1, 0.001)
    assert len(stats.batches) < 600 and stats.rows == sum(range(1, 5000))


@pytest.mark.parametrize(
    ("outputs", "batched"),
    [
        ((TensorSpec("y", "float32", ("n", 4)),), True),
        ((TensorSpec("y", "float32", ("m", 4)),), True),
        ((TensorSpec("y", "float32", (4,)),), False),  # summed over the batch: four callers would get a number each
        ((TensorSpec("y", "float32", ("n", "n")),), False),  # all pairs: each would see the others
        ((TensorSpec("y", "float32", ()),), False),
    ],
)
def test_only_outputs_of_a_row_each_are_batched(outputs, batched):
    from edgewright.runtime.served import _one_row_each

    assert _one_row_each(Signature((TensorSpec("x", "float32", ("n", 4)),), outputs)) is batched


# Hangs.


@pytest.mark.parametrize(("usual", "rows", "limit"), [(None, 1, 60), (0.001, 1, 10), (1.0, 1, 100), (0.01, 50, 50)])
def test_patience(usual, rows, limit):
    assert patience_s(usual, rows) == pytest.approx(limit)


def test_a_run_that_never_ends_is_ended_and_the_next_is_answered(tmp_path):
    with Runtime(looping(tmp_path / "loop.onnx")) as runtime:
        served, found = runtime.repository.find(), []

        def ask():
            with contextlib.suppress(Fault):
                runtime.infer({"x": np.full(1, 2000.0, np.float32)})
                return
            found.append("ended")

        asker = threading.Thread(target=ask)
        asker.start()
        while served.at_work is None:
            pass
        hangs = Hangs(lambda: [served])
        hangs.look(served.at_work[0] + 9.0)
        assert not served.hangs
        hangs.look(served.at_work[0] + 11.0)
        asker.join(LONG)
        assert found == ["ended"] and served.hangs == 1
        assert runtime.infer({"x": np.ones(1, np.float32)})["y"] == 1.0


def test_a_run_that_cannot_be_ended_is_told_once(caplog):
    class Endless:
        """As OpenVINO's sessions: without ``interrupt``."""

        signature = Signature((TensorSpec("x", "float32", ("n",)),), (TensorSpec("y", "float32", ("n",)),))
        began, go = threading.Event(), threading.Event()

        def infer(self, inputs):
            self.began.set()
            assert self.go.wait(LONG)
            return {"y": inputs["x"]}

    undeclared = {"preprocessing": None, "postprocessing": None}
    served = Served(SimpleNamespace(name="m", engine="openvino", **undeclared), Endless())
    asker = threading.Thread(target=lambda: served.infer({"x": np.ones(1, np.float32)}))
    asker.start()
    assert Endless.began.wait(LONG)
    hangs, begin = Hangs(lambda: [served]), served.at_work[0]
    hangs.look(begin + 59.0)
    assert not caplog.records
    for more in (61.0, 62.0):
        hangs.look(begin + more)
    (record,) = caplog.records
    assert record.event == "hang" and "openvino does not let it be ended" in record.message
    assert "isolated = true in [models.'m']" in record.message
    assert served.hangs == 1, "and no more of it on the thread that reads"
    Endless.go.set()
    asker.join(LONG)


# Clients that vanish.


@pytest.mark.parametrize("lane", ["http", "frames"])
def test_no_work_for_a_client_that_hung_up(tmp_path, lane):
    from edgewright.runtime.lanes.frames import HEADER, INFER, MAGIC

    path = tmp_path / "s"
    server = Server(Settings(doubling(tmp_path / "m.onnx")), [Address(port=0), Address(path=path)])
    thread = serving(server)
    try:
        served = server.repository.find()
        assert server.desk.scheduler.enter(served)  # busy
        told = b'{"model_name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,1,1,1]}]}'
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            if lane == "http":
                sock.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(told))
                sock.sendall(told)
            else:
                sock.sendall(HEADER.pack(MAGIC, INFER, 0, 0, 0, len(told), len(told)) + told)
            while not server.desk.scheduler.waiting:
                pass
        while server.desk.scheduler.waiting:
            pass
        while not served.stats.faults[Cancelled.kind]:
            pass
        server.desk.scheduler.leave(served)
        assert not served.stats.requests
    finally:
        server.stop()
        thread.join(LONG)


def test_a_door_whose_spare_handle_was_taken_closes_nobody_elses(monkeypatch):
    door = Door(Address(port=0))

    def full(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        door._send_away()
    other = os.open(os.devnull, os.O_RDONLY)
    door.close()
    os.fstat(other)
    os.close(other)


# Files.


class Loaded:
    """A loader of a folder that looks at it when it is told to."""

    def __init__(self, path):
        self.repository, scheduler = Repository(), Scheduler()
        self.desk = Desk(scheduler)
        self.loader = Loader(self.repository, self.desk, Settings(path, watch_s=0))
        self.loader.start()

    def load(self, name):
        over, answer = threading.Event(), []
        self.loader.load(name, lambda error: (answer.append(error), over.set()))
        assert over.wait(LONG)
        return answer[0]

    def close(self):
        self.desk.close()
        self.loader.close()


@pytest.fixture
def loaded(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(path=tmp_path / "models"):
            made = Loaded(path)
            stack.callback(made.close)
            return made

        (tmp_path / "models").mkdir()
        doubling(tmp_path / "models" / "m.onnx")
        yield start


def test_files_that_were_refused_are_refused_again_when_asked_for(loaded, tmp_path):
    one = loaded()
    (tmp_path / "models" / "bad.onnx").write_bytes(b"no model")
    assert "not a whole ONNX file" in str(one.load("bad"))
    assert "not a whole ONNX file" in str(one.load("bad"))
    (tmp_path / "models" / "bad.onnx").unlink()
    assert "there is no model" in str(one.load("bad"))
    assert [entry.name for entry in one.repository.index()] == ["m"]


@pytest.mark.parametrize(
    ("error", "again"),
    [(StorageError("full"), True), (ChildLost("killed"), True), (Taken(Path("m.onnx"), "m", "1"), True),
     (ChildError("slow"), False), (InputError("no model"), False)],
)  # fmt: skip
def test_what_may_pass_is_tried_again_ever_later(error, again):
    slot = Slot(Place("m", "1", Path("m.onnx")))
    slot.refuse(error, 100.0)
    assert slot.again == (102.0 if again else INFINITY)
    for _ in range(20):
        slot.refuse(error, 100.0)
    assert slot.again == (400.0 if again else INFINITY)
    slot.accept()
    assert slot.wrong is None and slot.again == INFINITY


def test_two_files_of_one_name_and_version(loaded, tmp_path):
    (tmp_path / "models" / "m").mkdir()
    doubling(tmp_path / "models" / "m" / "1.onnx")
    one = loaded()
    (entry,) = one.repository.index()
    assert entry.state == "READY" and "already" in entry.reason
    first = one.repository.find("m").source
    assert first.model.main == "1.onnx"
    shutil.rmtree(tmp_path / "models" / "m")
    assert one.load("m") is None
    assert one.repository.find("m").source.model.main == "m.onnx"


def external(folder, factor):
    """A model whose one weight lies in a file beside it."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])], "g", [_value("x", TensorProto.FLOAT, ["n", 4])],
        [_value("y", TensorProto.FLOAT, ["n", 4])], [numpy_helper.from_array(np.full((1, 4), factor, np.float32), "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, folder / "far.onnx", save_as_external_data=True, location="far.data", size_threshold=0)


def test_weights_in_a_file_beside_the_model(loaded, tmp_path):
    external(tmp_path / "models", 3)
    one = loaded()

    def factor():
        return float(one.desk.wait(one.repository.find("far"), {"x": X})["y"][0, 0])

    assert factor() == 3
    (tmp_path / "models" / "far.data").write_bytes(np.full(4, 7, np.float32).tobytes())
    assert one.load("far") is None and factor() == 7
    (tmp_path / "models" / "far.data").rename(tmp_path / "away")
    assert "not all that belongs to it" in str(one.load("far")) and factor() == 7


def test_folders_that_nobody_may_look_into_and_odd_names(tmp_path, monkeypatch):
    doubling(tmp_path / "m.onnx")
    (tmp_path / "lost+found").mkdir()
    usual = Path.is_file

    def refused(path):
        if "lost+found" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied")
        return usual(path)

    monkeypatch.setattr(Path, "is_file", refused)  # root may look into everything
    assert [place.name for place in find_places(tmp_path)] == ["m"]
    odd = ["²", "1", "9" * 5000]
    assert sorted(ordered(dict.fromkeys(odd, 0))) == sorted(odd)


def test_an_exception_nobody_thought_of_is_told_and_the_loader_lives(loaded, tmp_path, monkeypatch):
    one = loaded()
    doubling(tmp_path / "models" / "n.onnx")
    with monkeypatch.context() as patched:
        patched.setattr("edgewright.runtime.loading.opening.prepare", lambda *_, **__: {}["missing"])
        assert "KeyError" in str(one.load("n"))
    assert one.load("n") is None


def test_what_is_tidied_away_is_made_again(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one = loaded()
    for folder in tmp_path.glob(".edgewright-serve.*"):
        shutil.rmtree(folder)
    doubling(tmp_path / "models" / "n.onnx")
    assert one.load("n") is None


def test_a_child_is_given_up_when_it_is_told_to_stop():
    stop = os.eventfd(0)
    try:
        os.eventfd_write(stop, 1)
        with pytest.raises(ChildError, match="given up"):
            run_child("time:sleep", LONG, timeout_s=LONG, stop=stop)
    finally:
        os.close(stop)


def test_a_version_that_gets_no_time_of_the_cpu_is_prepared_once_more_with_some(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr("edgewright.core.child._PATIENCE_S", 0.001)
    asked = []
    monkeypatch.setattr("edgewright.core.child.turns", lambda pid: asked.append(pid) or Turns(0.1, 6.0))
    one = loaded()
    doubling(tmp_path / "models" / "n.onnx")
    assert one.load("n") is None and len(asked) == 1
    assert one.repository.find("n").infer({"x": X})


# The program.


def test_killed_and_started_again_it_tidies_up(tmp_path):
    doubling(tmp_path / "m.onnx")
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "edgewright.runtime", "--models-dir", str(tmp_path / "m.onnx"), "--http",
               "127.0.0.1:0", "--uds", str(tmp_path / "a b ü.sock")]  # fmt: skip

    def left():
        return {path.name for path in (tmp_path / "tmp").glob(".edgewright*")}

    def run(number):
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}
        ) as server:
            assert server.stderr is not None
            for line in server.stderr:
                if "unix:" in line:
                    break
            before = left()
            server.send_signal(number)
            server.send_signal(number)
            server.stderr.read()
        return before, server.returncode

    killed, status = run(signal.SIGKILL)
    assert status == -signal.SIGKILL and left() == killed and len(killed) == 1
    ended, status = run(signal.SIGTERM)
    assert status == 0 and not killed & ended and not left() and not (tmp_path / "a b ü.sock").exists()


def test_a_socket_of_a_server_that_is_too_busy_is_not_taken_for_a_dead_ones(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as stack:
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(3):  # fills its queue
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(InputError, match="another server"):
            Server(Settings(doubling(tmp_path / "m.onnx")), [Address(path=path)])
        assert path.exists()


@pytest.mark.parametrize("text", ["127.0.0.1:²", "127.0.0.1:-1", "127.0.0.1", ":70000"])
def test_addresses_that_are_none(text):
    with pytest.raises(EdgewrightError, match="no address"):
        Address.parse(text)


def test_signals_are_handled_after_a_model_of_openvino_was_closed_elsewhere(tmp_path):
    pytest.importorskip("openvino")
    told = (
        "import os, signal, sys, threading\n"
        "from pathlib import Path\n"
        "from edgewright.core.session import EngineOptions\n"
        "from edgewright.engines import open_session\n"
        "from edgewright.formats import load\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('handled'))\n"
        "session = open_session(load(Path(sys.argv[1])), 'openvino', EngineOptions())\n"
        "closer = threading.Thread(target=session.close)\n"
        "closer.start()\n"
        "closer.join()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", told, str(doubling(tmp_path / "m.onnx"))], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0 and ran.stdout == "handled\n", ran.stderr
