"""Every part of a run gets its share of the time, and the shares add up."""

import pytest

from edgewright.flows.budget import HASTY, Budget


@pytest.mark.parametrize("seconds", [15, 20, 60, 170, 300, 3600])
def test_search_and_what_comes_after_fit_into_the_budget(seconds):
    budget = Budget(seconds)
    assert budget.search_s + budget.finals_s + 10 * budget.gates <= seconds
    assert budget.search_s >= 0.33 * seconds


def test_more_time_never_means_less_of_anything():
    budgets = [Budget(s) for s in (1, 5, 10, 20, 40, 80, 160, 320)]
    for part in ("search_s", "finals_s", "gates", "finalists"):
        shares = [getattr(b, part) for b in budgets]
        assert shares == sorted(shares), part


def test_the_smallest_budget_still_tries_something_and_compares_a_few():
    assert Budget(0.5).search_s >= 5 and Budget(0.5).finalists == 3


def test_somebody_who_waits_waits_little():
    assert HASTY.finals_s <= 2 and HASTY.gates <= 0.1 and HASTY.finalists == 3
