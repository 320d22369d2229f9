"""One version of one model: runs alone and together, failing, hanging, and backed by the version before."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.runtime.config import ModelTable
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import BadRequest, Fault, Infeasible
from edgewright.runtime.finite import Finite
from edgewright.runtime.hangs import Hangs
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.served import Served

LONG = 60.0


class Session:
    """Does what ``deed`` does with its inputs. ``interrupt`` makes it raise, as ONNX Runtime's."""

    signature = Signature((TensorSpec("x", "float32", ("n",)),), (TensorSpec("y", "float32", ("n",)),))
    requested = provider = "fake"

    def __init__(self, deed=lambda x: x + 1):
        self.deed, self.asked, self.ended = deed, [], threading.Event()

    def infer(self, inputs):
        self.asked.append(inputs["x"])
        return {"y": self.deed(inputs["x"])}

    def hang(self, x):
        assert self.ended.wait(LONG)
        raise EngineError("it was ended")

    def interrupt(self):
        self.ended.set()

    def resume(self):
        self.ended.clear()

    def close(self):
        pass


def fails(x):
    raise EngineError("it failed")


def version(session, **table):
    undeclared = {"preprocessing": None, "postprocessing": None}
    source = SimpleNamespace(name="m", version="1", digest="d", engine="fake", options=EngineOptions(), **undeclared)
    return Served(source, session, ModelTable(**table))


def x(*values):
    return {"x": np.array(values, np.float32)}


def answered(served, *requests):
    """What each is told when all are run together."""
    told = []
    served.answer([Job(served, asked, lambda *answer: told.append(answer), rows=len(asked["x"])) for asked in requests])
    return [fault or outputs["y"].tolist() for outputs, fault in told]


def test_a_batch_gives_each_its_own():
    session = Session()
    served = version(session, max_batch=8)
    assert answered(served, x(1), x(2, 3)) == [[2], [3, 4]] and len(session.asked) == 1
    assert (served.stats.rows, served.stats.requests, served.stats.batches) == (3, 2, {3: 1})


@pytest.mark.parametrize("trouble", [EngineError("e"), InputError("i"), ValueError("v"), KeyError("k")])
def test_one_that_fails_in_a_batch_fails_alone_and_others_go_on_sharing(trouble):
    def deed(values):
        if 13 in values:
            raise trouble
        return values + 1

    session = Session(deed)
    served = version(session, max_batch=8)
    first, second, third = answered(served, x(1), x(13), x(2))
    assert (first, third) == ([2], [3]) and isinstance(second, Fault)
    assert served.most_rows == 8 and sum(served.stats.batches.values()) == 2


def test_a_model_whose_outputs_are_not_one_row_each_is_batched_no_more():
    served = version(Session(lambda values: values[:1]), max_batch=8)
    assert answered(served, x(1), x(2)) == [[1], [2]] and served.most_rows == 1
    assert served.stats.requests == 2 and served.stats.batches == {1: 2}


def test_the_version_before_answers_where_the_new_one_fails():
    new, old = version(Session(fails)), version(Session())
    new.rival = old
    assert new.infer(x(1))["y"].tolist() == [2] and new.worse == 1
    old.session.deed = fails
    with pytest.raises(Fault, match="it failed"):
        new.infer(x(1))
    assert new.worse == 1, "no version could"


def test_a_trial_that_ends_meanwhile_costs_nobody_an_answer():
    new, old = version(Session()), version(Session())

    class Ending(Served):
        looks = [None, old]  # noqa: RUF012
        rival = property(lambda self: self.looks.pop(), lambda self, value: None)

    def deed(values):
        raise EngineError("it failed")

    new.session.deed = deed
    new.__class__ = Ending
    assert new.infer(x(1))["y"].tolist() == [2]


def test_where_the_version_before_hangs_it_is_ended_and_not_the_new_one():
    new, old = version(Session(fails)), version(Session())
    new.rival, old.session.deed = old, old.session.hang
    told = []

    def ask():
        try:
            new.infer(x(1))
        except Fault as fault:
            told.append(fault)

    asker = threading.Thread(target=ask)
    asker.start()
    while old.at_work is None:
        pass
    Hangs(lambda: [new, old]).look(old.at_work[0] + 100.0)
    asker.join(LONG)
    assert "it failed" in str(told[0]) and (old.hangs, new.hangs) == (1, 0)
    old.session.deed = lambda values: values + 1
    assert old.infer(x(1))["y"].tolist() == [2], "it can be asked again"


def test_who_looks_for_hangs_outlives_what_it_looks_at(monkeypatch):
    monkeypatch.setattr("edgewright.runtime.hangs._LOOK_S", 0.001)
    looks = threading.Semaphore(0)

    def models():
        looks.release()
        return [SimpleNamespace(at_work=(0.0, {"x": [1.0]}), times=None)]

    hangs = Hangs(models)
    hangs.start()
    for _ in range(3):
        assert looks.acquire(timeout=LONG)
    hangs.close()


def test_rows_count_once_runs_of_several_are_seen_to_take_long(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("edgewright.runtime.served._now", lambda: clock[0])

    def deed(values):
        clock[0] += 0.001 * len(values)
        return values

    served = version(Session(deed))
    served.infer(x(1))
    assert not served.varied and served.more_s(x(1, 2, 3, 4)) == 0.0
    served.infer(x(1, 2, 3, 4))
    assert served.varied and served.times.usual_s == pytest.approx(0.001)
    assert served.more_s(x(1, 2, 3, 4)) == pytest.approx(0.003) and served.more_s(x(1)) == 0.0
    assert served.more_s({"x": [1.0, 2.0]}) == 0.0, "what is no array is told so by the session"
    desk = Desk(Scheduler())
    with pytest.raises(Infeasible, match="a run takes 4 ms"):
        desk.at_once(served, x(1, 2, 3, 4), timeout_s=0.002 / 20)
    (job,) = desk.later(served, x(1, 2, 3, 4), lambda *_: None).args
    assert job.beside_s == pytest.approx(0.003)
    desk.close()


def test_a_refusal_that_the_latest_run_does_not_bear_out_is_counted_apart():
    served, desk = version(Session()), Desk(Scheduler())
    for took in [0.05] * 33:
        served.times.add(1, took)
    for _ in range(2):
        with pytest.raises(Infeasible):
            desk.at_once(served, x(1), timeout_s=0.002)
        served.times.add(1, 0.001)
    stats = served.stats
    assert (stats.faults["infeasible"], stats.alone, stats.unsure, stats.missed) == (2, 1, 1, 2)
    desk.close()


def test_lists_are_no_arrays_for_those_either_who_want_finite_numbers():
    from edgewright.engines.session import check_array

    session = Session()
    session.infer = lambda inputs: {name: check_array(session.signature.inputs[0], a) for name, a in inputs.items()}
    with pytest.raises(InputError, match="NaN"):
        Finite(session).infer(x(np.nan))
    with pytest.raises(BadRequest, match="must be a numpy array, got list"):
        version(session, finite=True).infer({"x": [1.0]})
