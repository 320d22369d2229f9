"""Alarms go off in order and in time, and not for what is gone."""

import gc
import threading
import time
from weakref import ref

from edgewright.runtime.scheduling.alarms import Alarms

LONG = 60.0


class Thing:
    """Something one can hold weakly."""


def test_they_go_off_in_order_however_they_were_set():
    over, told = threading.Semaphore(0), []
    alarms = Alarms(lambda thing: (told.append((things.index(thing), time.perf_counter())), over.release()))
    things, now = [Thing() for _ in range(4)], time.perf_counter()
    times = [now + 0.06, now + 0.02, now + 0.04, now - 1]
    for when, thing in zip(times, things, strict=True):
        alarms.at(when, thing)
    for _ in things:
        assert over.acquire(timeout=LONG)
    alarms.close()
    assert sorted(n for n, _ in told) == [0, 1, 2, 3] and [n for n, _ in told if n in (1, 2)] == [1, 2]
    assert all(when >= times[n] for n, when in told)


def test_what_is_gone_is_forgotten():
    told = []
    alarms = Alarms(told.append)
    kept = Thing()
    alarms.at(time.perf_counter() + LONG, kept)
    for _ in range(3000):
        alarms.at(time.perf_counter() + LONG, Thing())
    gc.collect()
    assert len(alarms._heap) < 1100
    alarms.close()
    assert not told


def test_one_that_fails_does_not_end_the_others():
    things, over = [Thing(), Thing()], threading.Event()

    def call(thing):
        if thing is things[0]:
            raise OSError("nobody is there")
        over.set()

    alarms = Alarms(call)
    for thing in things:
        alarms.at(time.perf_counter() - 1, thing)
    assert over.wait(LONG)
    alarms.close()


def test_what_it_called_with_last_is_held_no_longer():
    over = threading.Event()
    alarms = Alarms(lambda thing: over.set())
    thing = Thing()
    alarms.at(time.perf_counter() - 1, thing)
    assert over.wait(LONG)
    gone = ref(thing)
    del thing
    while gone() is not None:
        pass
    alarms.close()
