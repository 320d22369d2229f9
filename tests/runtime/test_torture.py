"""Everything at once, with threads that are switched between all the time: random requests of models that fail, hang
and are replaced. Each is told once, and rightly; nothing is left over; what is counted adds up."""

import contextlib
import random
import sys
import threading
import time
from collections import Counter
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.runtime.cache import Cache
from edgewright.runtime.caching import CachingDesk
from edgewright.runtime.config import ModelTable
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.desk import ShadowDesk
from edgewright.runtime.experiments.shadow import Shadow, Shadows
from edgewright.runtime.faults import Fault, Gone
from edgewright.runtime.repository import Repository
from edgewright.runtime.safedesk import SafeDesk
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.runtime.served import Served

LONG, ASKERS, EACH, SAFE = 60.0, 4, 250, 9.0
TABLES = {
    "a": ModelTable(max_batch=4, max_delay_ms=1.0),
    "b": ModelTable(),
    "c": ModelTable(max_batch=8, preferred_batch=(2,), max_delay_ms=0.5, fail_safe={"y": [SAFE]}),
}


class Session:
    """Adds 1; now and then it fails, or hangs until it is interrupted. It must not be asked once it is closed."""

    signature = Signature((TensorSpec("x", "float32", ("n",)),), (TensorSpec("y", "float32", ("n",)),))
    requested = provider = "fake"

    def __init__(self, seed):
        self.draws, self.closed, self.ended = random.Random(seed), False, threading.Event()

    def infer(self, inputs):
        assert not self.closed
        drawn = self.draws.random()
        if drawn < 0.05:
            raise (EngineError if drawn < 0.03 else InputError)("no")
        if drawn < 0.055:
            assert self.ended.wait(LONG)
            raise EngineError("it was ended")
        return {"y": inputs["x"] + 1}

    def interrupt(self):
        self.ended.set()

    def resume(self):
        self.ended.clear()

    def close(self):
        self.closed = True


class World:
    def __init__(self, executors, full):
        self.repository, self.scheduler, self.made = Repository(), Scheduler(executors, most=30), []
        self.told, self.asked, self.lock = Counter(), 0, threading.Condition()
        self.cache = Cache(100_000) if full else None
        self.desk = Desk(self.scheduler) if self.cache is None else CachingDesk(self.scheduler, self.cache)
        if full:
            self.caching = self.desk
            shadows = Shadows(self.repository.find_version, self.scheduler, [Shadow("a", "2", 0.5)])
            self.desk = SafeDesk(ShadowDesk(self.desk, shadows))
            self.put("a", "2")
        for name in TABLES:
            self.put(name, "1")

    def put(self, name, version):
        seed = len(self.made)
        source = SimpleNamespace(
            name=name, version=version, digest=f"{name}{seed}", engine="fake", options=EngineOptions(), written_ns=0,
            preprocessing=None, postprocessing=None, labels=(),
        )  # fmt: skip
        self.made.append(Served(source, Session(seed), TABLES[name]))
        return self.repository.put(self.made[-1])

    def ask(self, who):
        """One asker's requests, each with its own rows, value, time, priority and way of asking."""
        draws = random.Random(who)
        for number in range(EACH):
            name, rows, value = draws.choice("abc"), draws.choice((1, 1, 2, 3, 9)), float(draws.randrange(6))
            options = draws.choice((None, None, 1e-6, 1e-4, 0.001, 0.01, LONG)), draws.choice((0, 1, 2, 3))
            told = partial(self.tell, (who, number), name, np.full(rows, value + 1, np.float32), [])
            with self.lock:
                self.asked += 1
            self.once(name, {"x": np.full(rows, value, np.float32)}, options, told, draws.random())

    def once(self, name, inputs, options, told, way):
        def done(outputs, fault):
            again(name, inputs, options, told, way) if isinstance(fault, Gone) else told(outputs, fault)

        again = self.once
        while True:
            served = self.repository.find(name)
            try:
                if way < 0.4:
                    told(self.desk.wait(served, inputs, *options), None)
                else:
                    give_up = self.desk.later(served, inputs, done, *options)
                    if way < 0.6:
                        give_up()
            except Gone:
                continue
            except Fault as fault:
                told(None, fault)
            return

    def tell(self, who, name, right, before, outputs, fault):
        with self.lock:
            assert not before, f"{who} was told twice"
            before.append(fault)
            safe = name == "c" and outputs is not None and (outputs["y"] == SAFE).all()
            good = fault is not None or safe or np.array_equal(outputs["y"], right)
            self.told["wrong" if not good else "ok" if fault is None else fault.kind] += 1
            self.lock.notify_all()

    def replace(self, over):
        """Reloads, one after the other; the version before lends its answers now and then."""
        draws = random.Random(7)
        while not over.is_set():
            before = self.put(draws.choice("abc"), "1")
            self.made[-1].rival = draws.choice((None, before))
            time.sleep(0)
            self.made[-1].rival = None
            assert self.desk.retire(before, LONG)
            before.close()

    def end_hangs(self, over):
        while not over.wait(0.01):
            for served in self.made[-10:]:
                run = served.at_work
                if run is not None and time.perf_counter() - run[0] > 0.1:
                    served.interrupt()


@pytest.mark.parametrize("executors", [1, 3])
@pytest.mark.parametrize("full", [False, True], ids=["plain", "cache, shadow, fail-safe"])
def test_everybody_is_told_once_and_rightly(executors, full):
    world, over, before = World(executors, full), threading.Event(), sys.getswitchinterval()
    askers = [threading.Thread(target=world.ask, args=(who,)) for who in range(ASKERS)]
    others = [threading.Thread(target=work, args=(over,)) for work in (world.replace, world.end_hangs)]
    with contextlib.ExitStack() as stack:
        stack.callback(sys.setswitchinterval, before)
        sys.setswitchinterval(1e-6)
        for thread in (*askers, *others):
            thread.start()
        for thread in askers:
            thread.join(LONG)
        with world.lock:
            assert world.lock.wait_for(lambda: world.told.total() == ASKERS * EACH, LONG), world.told
        over.set()
        for thread in others:
            thread.join(LONG)
    world.desk.close()
    scheduler, stats = world.scheduler, [served.stats for served in world.made]
    assert not world.told["wrong"] and world.told["ok"] > 100 and world.asked == world.told.total()
    assert (scheduler.waiting, scheduler._free, scheduler._ends) == (0, executors, [])
    assert not any(served.running for served in world.made)
    if not full:
        lent = sum(served.worse for served in world.made)
        assert sum(one.requests for one in stats) + lent == world.told["ok"]
        assert sum(sum(one.faults.values()) for one in stats) == world.asked - world.told["ok"]
    else:
        assert not world.caching._flights
        kept = [size for _, size, _ in world.cache._kept.values()]
        assert sum(kept) == world.cache.counts().bytes <= world.cache.most_bytes
