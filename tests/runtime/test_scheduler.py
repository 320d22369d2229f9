"""The scheduler with real threads: who runs, in what order, together with whom, and who is told that it is too late.

A model's run waits for the test, so nothing here depends on how fast anything is.
"""

import threading

import pytest

from edgewright.runtime.faults import Cancelled, Expired, Gone, Infeasible, NotReady, Overloaded
from edgewright.runtime.scheduling.admission import Admission
from edgewright.runtime.scheduling.line import Line
from edgewright.runtime.scheduling.machine import Machine
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.scheduling.times import RunTimes

LONG = 60.0


class Held:
    """A model whose runs take place one by one, when the test says so."""

    def __init__(self, takes=0.0, most_rows=1, delay_s=0.0):
        self.times = RunTimes(takes)
        self.most_rows, self.delay_s, self.preferred = most_rows, delay_s, ()
        self.running, self.most_runs, self.last = 0, 1, 0.0
        self.runs, self.began, self.go = [], threading.Semaphore(0), threading.Semaphore(0)

    def run(self, jobs):
        self.runs.append([job.inputs for job in jobs])
        self.began.release()
        assert self.go.acquire(timeout=LONG)
        for job in jobs:
            job.done(job.inputs, None)


class Answers:
    """What became of jobs."""

    def __init__(self, scheduler):
        self.scheduler, self.found, self.came = scheduler, {}, threading.Condition()

    def submit(self, model, name, **options):
        def done(outputs, fault):
            with self.came:
                assert name not in self.found, "answered twice"
                self.found[name] = outputs if fault is None else type(fault)
                self.came.notify_all()

        job = Job(model, name, done, **options)
        self.scheduler.submit(job)
        return job

    def wait(self, *names):
        with self.came:
            assert self.came.wait_for(lambda: all(n in self.found for n in names), LONG)
            return [self.found[n] for n in names]


@pytest.fixture
def busy():
    """A scheduler whose one executor runs a job of a model until ``go`` is released."""
    scheduler = Scheduler()
    model, answers = Held(), Answers(scheduler)
    answers.submit(model, "first")
    assert model.began.acquire(timeout=LONG)
    yield scheduler, model, answers
    for _ in range(50):
        model.go.release()
    scheduler.close()


def later(scheduler, seconds):
    return scheduler._clock() + seconds


def test_what_waits_runs_by_priority_and_deadline(busy):
    scheduler, model, answers = busy
    answers.submit(model, "whenever")
    answers.submit(model, "tomorrow", deadline=later(scheduler, 86400))
    answers.submit(model, "today", deadline=later(scheduler, 3600))
    answers.submit(model, "urgent", priority=1)
    for _ in range(5):
        model.go.release()
    answers.wait("whenever", "tomorrow", "today", "urgent")
    assert model.runs == [["first"], ["urgent"], ["whenever"], ["today"], ["tomorrow"]], "who has all day gives way"


def test_an_idle_scheduler_lets_a_caller_run_in_its_own_thread():
    scheduler, model = Scheduler(), Held()
    assert scheduler.enter(model)
    assert not scheduler.enter(model), "one executor, one run"
    scheduler.leave(model)
    assert scheduler.enter(model)
    scheduler.leave(model)
    scheduler.close()
    assert not scheduler.enter(model)


def test_nobody_overtakes_those_who_wait(busy):
    scheduler, model, answers = busy
    answers.submit(model, "second")
    assert not scheduler.enter(model)


def test_the_infeasible_the_expired_and_the_superfluous_are_not_let_in():
    scheduler = Scheduler(most=2)
    model, answers = Held(takes=10.0), Answers(scheduler)
    answers.submit(model, "first")
    assert model.began.acquire(timeout=LONG)
    with pytest.raises(Infeasible, match="0 wait, and its run alone takes 1e"):
        answers.submit(model, "too tight", deadline=later(scheduler, 5))
    with pytest.raises(Expired):
        answers.submit(model, "too late", deadline=later(scheduler, -1))
    answers.submit(model, "a")
    answers.submit(model, "b")
    with pytest.raises(Overloaded, match="2 requests wait already"):
        answers.submit(model, "c")
    for _ in range(3):
        model.go.release()
    answers.wait("a", "b")
    scheduler.close()
    with pytest.raises(NotReady):
        answers.submit(model, "d")
    assert set(answers.found) == {"first", "a", "b"}


@pytest.mark.parametrize(
    ("runs", "running", "left", "alone", "unsure"),
    [
        ([0.05] * 4, 0, 0.02, True, False),
        ([0.05] * 40 + [0.01], 0, 0.02, True, True),
        ([0.001, 0.099] * 20, 1, 0.2, False, True),
        ([0.05] * 40, 1, 0.06, False, False),
    ],
)
def test_a_refusal_says_whether_slower_times_than_the_latest_are_to_blame(runs, running, left, alone, unsure):
    model = Held()
    for took in runs:
        model.times.add(1, took)
    model.running, model.until = running, 10.05
    job = Job(model, "x", lambda outputs, fault: None, deadline=10.0 + left)
    model.last = 10.0
    with pytest.raises(Infeasible) as refused:
        Admission().place(job, 0, Line(), Machine(1, 1 - running, [10.05] * running), 10.0)
    assert (refused.value.alone, refused.value.unsure) == (alone, unsure)


def test_who_can_no_longer_be_done_in_time_hears_it_while_the_model_is_busy(busy):
    scheduler, model, answers = busy
    answers.submit(model, "short", deadline=later(scheduler, 0.5))
    assert answers.wait("short") == [Expired]
    assert "first" not in answers.found, "the run before has not ended"


def test_a_cancelled_job_does_not_run(busy):
    scheduler, model, answers = busy
    job = answers.submit(model, "unwanted")
    assert scheduler.cancel(job) and not scheduler.cancel(job)
    assert answers.wait("unwanted") == [Cancelled]
    model.go.release()
    answers.wait("first")
    assert model.runs == [["first"]]


def test_those_that_fit_together_run_together_and_no_others(busy):
    _, blocker, answers = busy
    model = Held(most_rows=4)
    for name, key in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "x"), ("e", "x"), ("f", "x")):
        answers.submit(model, name, rows=1, key=key)
    answers.submit(model, "alone", rows=0)
    blocker.go.release()
    for _ in range(8):
        model.go.release()
    answers.wait("a", "b", "c", "d", "e", "f", "alone")
    assert model.runs == [["a", "c", "d", "e"], ["b"], ["f"], ["alone"]]


def test_closing_answers_what_waits(busy):
    scheduler, model, answers = busy
    answers.submit(model, "second")
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    for _ in range(2):
        model.go.release()
    closing.join(LONG)
    assert not closing.is_alive() and answers.wait("first", "second") == ["first", "second"]


def ended(call, *arguments):
    """What ``call`` gives, in a thread of its own, and the thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call(*arguments)), daemon=True)
    thread.start()
    return thread, found


def test_closing_ends_when_the_last_who_waits_gives_up():
    scheduler, model = Scheduler(), Held()
    assert scheduler.enter(model)
    job = Answers(scheduler).submit(model, "waits")
    closing, _ = ended(scheduler.close)
    while scheduler._open:
        pass
    assert scheduler.cancel(job)
    scheduler.leave(model)
    closing.join(LONG)
    assert not closing.is_alive()


def test_closing_ends_for_executors_that_had_nothing_left_to_do():
    scheduler, model = Scheduler(executors=4), Held()
    answers = Answers(scheduler)
    for name in ("runs", "waits"):
        answers.submit(model, name)
    assert model.began.acquire(timeout=LONG)
    closing, _ = ended(scheduler.close)
    while scheduler._open:
        pass
    for _ in range(2):
        model.go.release()
    closing.join(LONG)
    assert not closing.is_alive() and answers.wait("runs", "waits") == ["runs", "waits"]


def test_who_is_too_late_hears_it_while_the_scheduler_closes(busy):
    scheduler, model, answers = busy
    answers.submit(model, "short", deadline=later(scheduler, 0.5))
    ended(scheduler.close)
    assert answers.wait("short") == [Expired] and "first" not in answers.found


def test_retiring_ends_when_the_last_who_waits_gives_up():
    scheduler, model = Scheduler(), Held(most_rows=8, delay_s=LONG)
    job = Answers(scheduler).submit(model, "waits for company", rows=1)
    retiring, found = ended(scheduler.retire, model, LONG)
    while not scheduler._retiring:
        pass
    assert scheduler.cancel(job)
    retiring.join(LONG / 2)
    assert found == [True]
    scheduler.close()


def test_a_preferred_size_waits_for_nobody_else(busy):
    _, blocker, answers = busy
    model = Held(most_rows=8, delay_s=3600.0)
    model.preferred = (2,)
    answers.submit(model, "a", rows=1)
    answers.submit(model, "b", rows=1)
    for one in (blocker, model):
        one.go.release()
    answers.wait("a", "b")
    assert model.runs == [["a", "b"]]


def test_a_batch_of_the_less_urgent_leaves_the_urgent_their_slack(busy):
    scheduler, blocker, answers = busy
    model = Held(most_rows=8)
    for rows in range(1, 9):
        model.times.add(rows, 10.0 * rows)
    urgent = Held(takes=1.0)
    # It comes with 25 s to spare, so no batch may be longer than that: two rows at 10 s each, not eight.
    first = answers.submit(urgent, "urgent", priority=1, deadline=later(scheduler, 26.0))
    assert scheduler.cancel(first)
    for name in "abcd":
        answers.submit(model, name, rows=1)
    for one in (blocker, *[model] * 4):
        one.go.release()
    answers.wait(*"abcd")
    assert model.runs == [["a", "b"], ["c", "d"]]


def test_two_executors_run_two_models_but_one_model_once():
    scheduler = Scheduler(executors=2)
    one, other, answers = Held(), Held(), Answers(scheduler)
    for name in ("a", "b"):
        answers.submit(one, name)
    answers.submit(other, "c")
    assert one.began.acquire(timeout=LONG) and other.began.acquire(timeout=LONG)
    assert not one.began.acquire(blocking=False) and one.running == other.running == 1
    assert not scheduler.enter(one)
    for model in (one, one, other):
        model.go.release()
    assert answers.wait("a", "b", "c") == ["a", "b", "c"]
    scheduler.close()


def test_a_retired_model_is_waited_for_and_takes_nobody_any_more(busy):
    scheduler, model, answers = busy
    answers.submit(model, "second")
    assert not scheduler.retire(model, 0.01), "it still runs"
    done = []
    retiring = threading.Thread(target=lambda: done.append(scheduler.retire(model, LONG)))
    retiring.start()
    for _ in range(2):
        model.go.release()
    retiring.join(LONG)
    assert done == [True] and answers.wait("first", "second") == ["first", "second"]
    with pytest.raises(Gone):
        answers.submit(model, "third")
    assert not scheduler.enter(model)
