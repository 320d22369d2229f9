"""What a served model's times tell."""

import numpy as np

from edgewright.runtime.stats import Stats


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
