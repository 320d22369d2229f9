"""A desk with a cache: equal requests run once, and each is told what it would have been told alone.

Models run when the test says so, on a real scheduler: nothing here depends on how fast anything is.
"""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from edgewright.core.errors import EngineError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.cache import Cache
from edgewright.runtime.caching import CachingDesk
from edgewright.runtime.failsafe import FailSafe, Safe
from edgewright.runtime.faults import BadRequest, Cancelled, Expired, Fault, Gone, Infeasible
from edgewright.runtime.safedesk import SafeDesk
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.runtime.served import Served
from edgewright.testing.build import Build

LONG = 60.0


class Held:
    """A session that adds 1 to its inputs when the test says so. ``fails``: its first runs fail."""

    signature = Signature((TensorSpec("x", "float32", ("n",)),), (TensorSpec("y", "float32", ("n",)),))

    def __init__(self, fails=0):
        self.runs, self.fails = [], fails
        self.began, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def infer(self, inputs):
        self.runs.append(float(inputs["x"][0]))
        self.began.release()
        assert self.go.acquire(timeout=LONG)
        if len(self.runs) <= self.fails:
            raise EngineError("it failed")
        return {"y": inputs["x"] + 1}

    def close(self):
        pass


class Watched(Cache):
    def __init__(self, most_bytes=10**6):
        super().__init__(most_bytes)
        self.waits = threading.Semaphore(0)

    def joined(self):
        super().joined()
        self.waits.release()


class Answers:
    """What became of requests, by the names that the test gave them."""

    def __init__(self):
        self.found, self.came = {}, threading.Condition()

    def of(self, name):
        def done(outputs, fault):
            with self.came:
                assert name not in self.found, "answered twice"
                self.found[name] = float(outputs["y"][0]) if fault is None else type(fault)
                self.came.notify_all()

        return done

    def wait(self, *names):
        with self.came:
            assert self.came.wait_for(lambda: all(n in self.found for n in names), LONG), self.found
            return [self.found[n] for n in names]


def model(session, digest="d", takes=0.0):
    undeclared = {"preprocessing": None, "postprocessing": None}
    source = SimpleNamespace(name="m", version="1", digest=digest, engine="fake", options=EngineOptions(), **undeclared)
    served = Served(source, session)
    served.times.add(1, takes)
    return served


@pytest.fixture
def desk():
    made = CachingDesk(Scheduler(), Watched())
    yield made
    made.close()


def x(value=1.0):
    return {"x": np.full(1, value, np.float32)}


@pytest.fixture
def blocked(desk):
    """A desk whose one executor runs another model until ``other.go`` is released."""
    other = Held()
    desk.later(model(other, "other"), x(), Answers().of("other"))
    assert other.began.acquire(timeout=LONG)
    yield desk, other
    other.go.release(9)


def test_what_was_answered_is_answered_at_once(desk):
    session = Held()
    served = model(session)
    session.go.release(3)
    first = desk.at_once(served, x())
    again = desk.at_once(served, x(), timeout_s=1e-9)
    assert first["y"][0] == again["y"][0] == 2 and first["y"] is not again["y"]
    assert desk.wait(served, x())["y"][0] == 2 and session.runs == [1.0]
    with pytest.raises(ValueError):
        first["y"][0] = 5
    answers = Answers()
    give_up = desk.later(served, x(), answers.of("later"))
    assert answers.found == {"later": 2.0} and not give_up()
    assert desk.at_once(served, x(2))["y"][0] == 3 and session.runs == [1.0, 2.0]
    assert (served.stats.hits, served.stats.misses, served.stats.requests) == (3, 2, 2)


def test_equal_requests_at_the_same_time_run_once(blocked):
    desk, other = blocked
    session, answers = Held(), Answers()
    served = model(session)
    for number in range(6):
        assert desk.at_once(served, x()) is None
        desk.later(served, x(), answers.of(number))
    desk.later(served, x(2), answers.of("different"))
    assert desk.scheduler.waiting == 2
    other.go.release()
    session.go.release(9)
    assert answers.wait(*range(6), "different") == [2.0] * 6 + [3.0]
    assert session.runs == [1.0, 2.0] and desk.cache.counts().joined == 5


def test_threads_that_ask_at_once_run_it_once(desk):
    session = Held()
    served, found = model(session), []
    threads = [threading.Thread(target=lambda: found.append(desk.wait(served, x())["y"][0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert session.began.acquire(timeout=LONG)
    for _ in range(7):
        assert desk.cache.waits.acquire(timeout=LONG)
    session.go.release()
    for thread in threads:
        thread.join(LONG)
    assert found == [2.0] * 8 and session.runs == [1.0]


def test_a_failure_is_its_own_callers_alone_and_the_next_runs(blocked):
    desk, other = blocked
    session, answers = Held(fails=2), Answers()
    served = model(session)
    for number in range(5):
        desk.later(served, x(), answers.of(number))
    other.go.release()
    session.go.release(9)
    assert answers.wait(*range(5)) == [Fault, Fault, 2.0, 2.0, 2.0]
    assert len(session.runs) == 3 and served.stats.faults["failed"] == 2


def test_one_that_fails_in_its_callers_thread_leaves_its_place_to_who_followed(desk):
    session, answers, failed = Held(fails=1), Answers(), []
    served = model(session)

    def ask():
        try:
            desk.at_once(served, x())
        except Fault as fault:
            failed.append(fault)

    thread = threading.Thread(target=ask)
    thread.start()
    assert session.began.acquire(timeout=LONG)
    desk.later(served, x(), answers.of("follower"))
    assert not desk.scheduler.waiting
    session.go.release(2)
    assert answers.wait("follower") == [2.0]
    thread.join(LONG)
    assert failed and len(session.runs) == 2


def test_one_that_is_cancelled_leaves_its_place_to_the_most_urgent_of_the_others(blocked):
    desk, other = blocked
    session, answers = Held(), Answers()
    served = model(session)
    give_up = desk.later(served, x(), answers.of("first"), priority=1)
    desk.later(served, x(), answers.of("patient"), priority=3)
    desk.later(served, x(), answers.of("urgent"), priority=2)
    assert desk.scheduler.waiting == 1 and give_up()
    assert answers.found == {"first": Cancelled} and desk.scheduler.waiting == 1
    other.go.release()
    session.go.release(2)
    assert answers.wait("patient", "urgent") == [2.0, 2.0] and session.runs == [1.0]


@pytest.mark.parametrize("inline", [False, True])
def test_one_that_follows_is_cancelled_by_itself_while_the_run_goes_on(desk, inline):
    session, answers = Held(), Answers()
    served = model(session)
    runner = threading.Thread(target=desk.at_once if inline else desk.wait, args=(served, x()))
    runner.start()
    assert session.began.acquire(timeout=LONG)
    give_up = desk.later(served, x(), answers.of("follower"), timeout_s=LONG)
    desk.later(served, x(), answers.of("other"))
    assert give_up() and not give_up() and answers.found == {"follower": Cancelled}
    session.go.release()
    assert answers.wait("other") == [2.0]
    runner.join(LONG)
    assert len(session.runs) == 1 and served.stats.faults == {"cancelled": 1}


def test_one_that_followed_and_leads_now_can_be_cancelled_still(blocked):
    desk, other = blocked
    session, answers = Held(), Answers()
    served = model(session)
    first = desk.later(served, x(), answers.of("first"), priority=1)
    second = desk.later(served, x(), answers.of("second"), priority=2)
    assert first() and desk.scheduler.waiting == 1, "the second took its place"
    assert second() and desk.scheduler.waiting == 0 and len(desk._flights) == 1, "the blocker's"
    other.go.release()
    assert answers.found == {"first": Cancelled, "second": Cancelled} and not session.runs


def test_who_is_interrupted_while_waiting_waits_no_more(blocked, monkeypatch):
    desk, _ = blocked
    served = model(Held())

    class Interrupted(threading.Event):
        def wait(self, timeout=None):
            raise KeyboardInterrupt

    monkeypatch.setattr("edgewright.runtime.desk.threading.Event", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        desk.wait(served, x())
    assert desk.scheduler.waiting == 0 and served.stats.faults == {"cancelled": 1}


def test_one_that_expires_does_not_take_the_others_along(blocked):
    desk, other = blocked
    session, answers = Held(), Answers()
    served = model(session)
    desk.later(served, x(), answers.of("short"), timeout_s=0.05)
    desk.later(served, x(), answers.of("long"), timeout_s=LONG)
    desk.later(served, x(), answers.of("whenever"))
    assert answers.wait("short") == [Expired] and len(answers.found) == 1
    other.go.release()
    session.go.release()
    assert answers.wait("long", "whenever") == [2.0, 2.0] and session.runs == [1.0]
    assert served.stats.missed == 1


def test_who_is_more_urgent_than_the_one_in_line_takes_a_place_of_its_own_and_answers_both(blocked):
    desk, other = blocked
    session, answers = Held(), Answers()
    served = model(session)
    desk.later(served, x(), answers.of("whenever"))
    desk.later(served, x(9), answers.of("between"), priority=1, timeout_s=2 * LONG)
    desk.later(served, x(), answers.of("urgent"), priority=1, timeout_s=LONG)
    assert desk.scheduler.waiting == 3
    other.go.release()
    session.go.release()
    assert answers.wait("whenever", "urgent") == [2.0, 2.0], "before the one between"
    session.go.release()
    assert answers.wait("between") == [10.0] and session.runs == [1.0, 9.0]
    assert not served.stats.faults, "a place given up by an answered request is no fault"


def test_who_has_less_time_than_a_run_takes_is_told_so_and_not_made_to_wait(blocked):
    desk, _ = blocked
    session, answers = Held(), Answers()
    served = model(session, takes=5.0)
    session.go.release()
    desk.later(served, x(), answers.of("first"), timeout_s=LONG / 2, priority=1)
    with pytest.raises(Infeasible):
        desk.later(served, x(), answers.of("hopeless"), timeout_s=0.5, priority=2)
    assert not answers.found and served.stats.missed == 1


def test_who_follows_is_told_at_its_deadline_whatever_the_run_does(desk):
    session, answers = Held(), Answers()
    served = model(session)
    late = time.perf_counter() + 0.5
    desk.later(served, x(), answers.of("runs"), timeout_s=0.5)
    assert session.began.acquire(timeout=LONG)
    desk.later(served, x(), answers.of("short"), timeout_s=0.05)
    desk.later(served, x(), answers.of("long"), timeout_s=LONG)
    assert not desk.scheduler.waiting and answers.wait("short") == [Expired] and len(answers.found) == 1
    while time.perf_counter() <= late:
        pass
    session.go.release()
    assert answers.wait("runs", "long") == [2.0, 2.0]
    assert served.stats.missed == 2 and len(session.runs) == 1  # one told, one answered late


def test_who_follows_and_is_answered_late_has_missed_its_deadline(desk):
    session, answers = Held(), Answers()
    served = model(session)
    desk._alarms.at = lambda *_: None  # as if its thread had not come to it yet
    desk.later(served, x(), answers.of("runs"))
    assert session.began.acquire(timeout=LONG)
    desk.later(served, x(), answers.of("late"), timeout_s=1e-3)
    while time.perf_counter() < desk._flights[desk._key(served, x())].following[0].deadline:
        pass
    session.go.release()
    assert answers.wait("runs", "late") == [2.0, 2.0] and served.stats.missed == 1


def test_an_answer_out_of_the_cache_may_come_late_too(desk):
    session, answers = Held(), Answers()
    served = model(session)
    session.go.release()
    assert desk.wait(served, x())["y"][0] == 2.0
    assert desk.at_once(served, x(), LONG)["y"][0] == 2.0 and served.stats.missed == 0
    assert desk.at_once(served, x(), 1e-9)["y"][0] == 2.0 and served.stats.missed == 1
    desk.later(served, x(), answers.of("late"), timeout_s=1e-9)
    desk.later(served, x(), answers.of("in time"), timeout_s=LONG)
    assert answers.wait("late", "in time") == [2.0, 2.0] and served.stats.missed == 2 and len(session.runs) == 1


def test_fail_safe_outputs_take_the_place_of_late_answers_each_a_miss_and_none_is_kept(desk):
    session, answers, safe = Held(), Answers(), SafeDesk(desk)
    served = model(session)
    served.fail_safe = FailSafe({"y": [9.0]}, session)
    desk._alarms.at = lambda *_: None  # as if its thread had not come to it yet
    safe.later(served, x(), answers.of("runs"))
    assert session.began.acquire(timeout=LONG)
    safe.later(served, x(), answers.of("late"), timeout_s=1e-3)
    while time.perf_counter() < desk._flights[desk._key(served, x())].following[0].deadline:
        pass
    session.go.release()
    assert answers.wait("runs", "late") == [2.0, 9.0] and (served.stats.missed, served.stats.safe) == (1, 1)
    assert isinstance(safe.at_once(served, x(), 1e-9), Safe) and (served.stats.missed, served.stats.safe) == (2, 2)
    assert safe.wait(served, x(), LONG)["y"][0] == 2.0 and len(session.runs) == 1, "out of the cache"
    served.times.add(1, LONG)
    with pytest.raises(Infeasible):
        desk.at_once(served, x(5), 1e-3)
    assert safe.at_once(served, x(5), 1e-3)["y"][0] == 9.0 and (served.stats.missed, served.stats.safe) == (4, 3)


def test_who_follows_a_run_that_is_nearly_done_is_not_refused_for_its_whole_length(desk):
    session, answers = Held(), Answers()
    served = model(session, takes=100.0)
    desk.later(served, x(), answers.of("runs"))
    assert session.began.acquire(timeout=LONG)
    with pytest.raises(Infeasible):
        desk.later(served, x(), answers.of("hopeless"), timeout_s=50.0)
    while time.perf_counter() < served.until - 99.9:
        pass
    desk.later(served, x(), answers.of("follows"), timeout_s=99.95)
    session.go.release()
    assert answers.wait("runs", "follows") == [2.0, 2.0] and len(session.runs) == 1


def test_a_late_answer_counts_for_the_model_that_was_asked(desk):
    session, answers = Held(), Answers()
    one, same = model(session), model(session)  # two names for one file
    desk._alarms.at = lambda *_: None
    desk.later(one, x(), answers.of("runs"))
    assert session.began.acquire(timeout=LONG)
    desk.later(same, x(), answers.of("late"), timeout_s=1e-3)
    while time.perf_counter() < desk._flights[desk._key(one, x())].following[0].deadline:
        pass
    session.go.release()
    assert answers.wait("runs", "late") == [2.0, 2.0] and (one.stats.missed, same.stats.missed) == (0, 1)


def test_one_who_fails_to_hear_the_answer_keeps_nobody_from_it(desk):
    session, answers = Held(), Answers()
    served = model(session)
    desk.later(served, x(), answers.of("runs"))
    assert session.began.acquire(timeout=LONG)

    def deaf(outputs, fault):
        raise OSError("its connection is closed")

    desk.later(served, x(), deaf)
    desk.later(served, x(), deaf, timeout_s=0.01)
    desk.later(served, x(), answers.of("short"), timeout_s=0.05)
    desk.later(served, x(), answers.of("follows"))
    assert answers.wait("short") == [Expired]
    session.go.release()
    assert answers.wait("runs", "follows") == [2.0, 2.0]


def test_one_that_cannot_be_put_in_line_is_followed_by_nobody(blocked, monkeypatch):
    desk, other = blocked
    session, answers = Held(), Answers()
    served = model(session)
    with monkeypatch.context() as patched, pytest.raises(Fault, match="its log says which"):
        patched.setattr(desk.scheduler, "submit", lambda job: 1 / 0)
        desk.later(served, x(), answers.of("fails"))
    desk.later(served, x(), answers.of("next"))
    other.go.release()
    session.go.release()
    assert answers.wait("next") == [2.0] and not answers.found.keys() - {"next"} and not desk._flights


def test_what_the_version_before_answered_is_not_kept_for_the_one_that_failed(desk):
    failing, before = Held(fails=1), Held()
    served = model(failing, "new")
    served.rival = model(before, "old")
    failing.go.release(9)
    before.go.release(9)
    assert desk.wait(served, x())["y"][0] == 2.0 and (len(failing.runs), served.worse) == (1, 1)
    assert desk.wait(served, x())["y"][0] == 2.0 and (len(failing.runs), len(before.runs)) == (2, 1), "asked anew"
    assert desk.wait(served, x())["y"][0] == 2.0 and len(failing.runs) == 2, "its own answer is kept"


def test_answers_are_gone_with_their_version(desk):
    session = Held()
    served = model(session)
    session.go.release(5)
    desk.wait(served, x())
    assert desk.cache.counts().entries == 1 and desk.retire(served, LONG)
    assert desk.cache.counts().entries == 0
    with pytest.raises(Gone):
        desk.wait(served, x())


def test_versions_of_other_content_do_not_share_and_those_of_none_are_not_kept(desk):
    sessions = [Held(), Held(), Held()]
    for session, digest in zip(sessions, ("a", "b", ""), strict=True):
        session.go.release(2)
        served = model(session, digest)
        desk.wait(served, x())
        desk.wait(served, x())
    assert [len(s.runs) for s in sessions] == [1, 1, 2]


def test_in_a_crowd_everybody_is_answered_once_and_rightly():
    """Threads ask for few different things at once; some runs fail, some requests are cancelled or have little time."""
    rng, lock = np.random.default_rng(0), threading.Lock()

    class Fickle(Held):
        def infer(self, inputs):
            with lock:
                self.runs.append(float(inputs["x"][0]))
                if rng.random() < 0.3:
                    raise EngineError("it failed")
            return {"y": inputs["x"] + 1}

    desk, answers, asked = CachingDesk(Scheduler(most=20), Cache(1500)), Answers(), []
    served = model(Fickle())

    def ask(who):
        draws = np.random.default_rng(who)
        for number in range(150):
            value, name = float(draws.integers(4)), (who, number)
            timeout = [None, 1e-6, 0.002, LONG][draws.integers(4)]
            try:
                found = desk.at_once(served, x(value), timeout) if draws.random() < 0.3 else None
                if found is not None:
                    assert found["y"][0] == value + 1
                    continue
                asked.append((name, value))
                give_up = desk.later(served, x(value), answers.of(name), timeout, int(draws.integers(1, 4)))
                if draws.random() < 0.1:
                    give_up()
            except Fault as fault:
                answers.of(name)(None, fault)
                asked.append((name, value))

    threads = [threading.Thread(target=ask, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    told = answers.wait(*[name for name, _ in asked])
    desk.close()
    right = sum(one == value + 1 for one, (_, value) in zip(told, asked, strict=True))
    wrong = sum(not isinstance(one, type) and one != value + 1 for one, (_, value) in zip(told, asked, strict=True))
    assert right > 100 and not wrong and not desk._flights and not desk.scheduler.waiting


def test_what_is_no_array_is_the_callers_fault(tmp_path):
    build = Build()
    build.output(build.node("Relu", build.input("x", ["n", 4])), ["n", 4])
    save(build.model(), tmp_path / "m")
    for text in ("", "[server]\ncache_mb = 1\n"):
        (tmp_path / "runtime.toml").write_text(text)
        runtime = Runtime(tmp_path / "m" / "model.onnx", config=tmp_path / "runtime.toml")
        with runtime, pytest.raises(BadRequest, match=r"must be a numpy array, got list"):
            runtime.infer({"x": [[1.0, 2.0, 3.0, 4.0]]})
    (tmp_path / "runtime.toml").write_text('[models."*"]\nmax_batch = 4\n')
    runtime = Runtime(tmp_path / "m" / "model.onnx", config=tmp_path / "runtime.toml")
    with runtime, pytest.raises(BadRequest, match="must be numpy arrays"):
        runtime.desk.later(runtime.repository.find(), {"x": [[1.0]]}, lambda *answer: None)
