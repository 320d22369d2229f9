"""Slack: a run nobody waits for begins only where it will be over before it is in anybody's way."""

import numpy as np
import pytest

from edgewright.runtime.experiments.slack import Slack
from edgewright.runtime.scheduling.line import NEVER


def lived(pauses, spare=NEVER, takes=0.001):
    """A slack that saw requests with these pauses between, and when the last was answered."""
    slack, now = Slack(), 0.0
    for pause in pauses:
        slack.asked(now, spare)
        slack.answered(now + takes)
        now += takes + pause
    return slack, now - pauses[-1]


@pytest.mark.parametrize(("takes", "fits"), [(0.005, True), (0.009, True), (0.011, False)])
def test_without_deadlines_it_must_fit_the_usual_pause(takes, fits):
    slack, now = lived([0.010] * 50)
    assert slack.fits(takes, now) == fits


def test_one_in_ten_pauses_may_be_shorter_and_no_more():
    assert lived([0.001] * 4 + [0.1] * 46)[0].fits(0.05, lived([0.001] * 4 + [0.1] * 46)[1])
    slack, now = lived([0.001] * 10 + [0.1] * 40)
    assert not slack.fits(0.05, now)
    assert slack.fits(0.05, now + 0.002), "this pause is one of the long ones"
    assert not slack.fits(0.05, now + 0.06), "but nearly over"


def test_with_deadlines_it_must_fit_what_each_had_to_spare():
    slack, now = lived([0.0001] * 20, spare=0.02)
    assert slack.fits(0.019, now) and not slack.fits(0.021, now)
    slack.asked(now, 0.005)
    slack.answered(now)
    assert not slack.fits(0.019, now) and slack.fits(0.004, now)
    slack.asked(now, NEVER)
    slack.answered(now)
    assert not slack.fits(0.004, now), "one without a deadline came, and pauses are short"


def test_nothing_fits_while_somebody_is_served_or_before_anything_is_known():
    slack, now = lived([0.1] * 20)
    slack.asked(now + 0.1)
    assert not slack.fits(0.001, now + 0.1)
    few, now = lived([0.1] * 3)
    assert not few.fits(0.001, now)


def test_a_lull_that_is_longer_than_any_before_is_used_with_measure():
    slack, now = lived([0.01] * 50)
    assert slack.fits(0.009, now + 60) and not slack.fits(0.02, now + 60)


def test_at_poisson_arrivals_at_most_one_run_in_ten_is_in_the_way():
    """Arrivals at a fifth of saturation; a run is begun whenever it fits."""
    rng = np.random.default_rng(0)
    slack, now, begun, late = Slack(), 0.0, 0, 0
    for pause in rng.exponential(0.01, 3000):
        slack.asked(now)
        now += 0.002
        slack.answered(now)
        if slack.fits(0.0005, now):
            begun += 1
            late += pause < 0.0005
        assert not slack.fits(0.005, now)
        now += pause
    assert begun > 2000 and late / begun < 0.1
