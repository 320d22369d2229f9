"""What a few hundred samples say of a limit, and when they are too few to say it."""

import pytest

from edgewright.flows.evidence import Part, weigh


def counts(n, harmed, helped=0, smoothed=None):
    """A split on which so many answers turned wrong and right, in points."""
    return Part(n, 100 * (harmed - helped) / n, smoothed, 100 * (harmed + helped) ** 0.5 / n)


@pytest.mark.parametrize(
    ("parts", "broken", "doubtful"),
    [
        ([counts(178, 0), counts(237, 0)], False, False),
        ([counts(178, 0), counts(237, 1)], False, False),
        ([counts(178, 0), counts(237, 0, 2)], False, False),
        ([counts(178, 2), counts(237, 0, 1)], False, True),
        ([counts(178, 2), counts(237, 0)], False, True),
        ([counts(178, 2), counts(237, 1)], True, False),
        ([counts(178, 0), counts(237, 0, 4)], False, False),
        ([counts(178, 0), counts(237, 0, 12)], False, True),
        ([counts(17800, 20), counts(23700, 10)], False, False),
        ([counts(178, 0, smoothed=1.5), counts(237, 0, smoothed=0.1)], True, False),
        ([counts(178, 0, smoothed=0.4), counts(237, 1, smoothed=0.4)], False, True),
    ],
    ids=["none turned", "one of 415", "two gained", "a loss that gains hide", "two lost", "three lost",
         "some gains", "many gains are no safety", "many samples", "near misses", "near misses and one lost"],
)  # fmt: skip
def test_half_a_point_may_be_lost(parts, broken, doubtful):
    refused, doubts = weigh(parts, 0.5, "points")
    assert (bool(refused), bool(doubts)) == (broken, doubtful)


def test_the_reasons_say_how_much_and_on_how_many():
    (reason,), _ = weigh([counts(178, 2), counts(237, 1)], 0.5, "points")
    assert reason == "loses 0.72 on all 415 samples it was not fitted on (counted), above 0.5"
    _, (doubt,) = weigh([counts(178, 2), counts(237, 0, 1)], 0.5, "points")
    assert "at most 0.5 points on other samples (0.24 with a standard error of 0.42 on all 415" in doubt
