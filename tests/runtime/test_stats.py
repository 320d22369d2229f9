"""What a served model's times tell."""

import sys
import threading

import numpy as np

from edgewright.core.trend import Trend
from edgewright.runtime.stats import Stats, Times


def test_times_know_their_trend_when_they_are_asked():
    stats, rng = Stats(), np.random.default_rng(0)
    assert stats.compute.trend().word == "unknown"
    for seconds in rng.lognormal(-7, 0.3, 4000):
        stats.ran(1, 1, float(seconds))
    assert stats.compute.trend().word == "stable"
    for seconds in rng.lognormal(-6.5, 0.3, 2000):
        stats.ran(1, 1, float(seconds))
    assert stats.compute.trend().word == "degrading"
    assert stats.compute.trend().values <= 4096


def test_every_time_is_looked_at_once_however_often_somebody_asks():
    times, seen, over = Times(), [], threading.Event()

    class Watched(Trend):
        def add(self, values):
            seen.extend(values)
            super().add(values)

    times._trend = Watched()

    def ask():
        while not over.is_set():
            times.trend()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for number in range(1, 20_001):
            while number % 500 == 0 and len(seen) < number - 3000:
                pass
            times.add(number)
    finally:
        sys.setswitchinterval(before)
        over.set()
        asker.join()
    times.trend()
    assert seen == list(range(1, 20_001)) and times.sketch.count == times.count == 20_000
