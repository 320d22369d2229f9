"""Signals reach a run wherever they find it."""

import select
import signal
import sys

import pytest

from edgewright.flows.interrupts import Interrupts


class Last:
    """An object during whose end somebody presses Ctrl-C."""

    def __init__(self, number=signal.SIGINT):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)
        self.passed = [n for n in range(1000) if n % 2]  # somewhere here the handler is called


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_comes_while_an_object_is_finalized_is_raised_after_it(number):
    with Interrupts() as interrupts:
        made = Last(number)
        with pytest.raises(KeyboardInterrupt):
            del made
            select.select([], [], [], 60)
    assert interrupts.heard == 1


def test_one_that_comes_then_while_the_result_is_written_is_heard_alone():
    with Interrupts() as interrupts, interrupts.finishing():
        made = Last()
        del made
    assert interrupts.heard == 1


def test_other_faults_of_objects_that_end_are_told_as_before(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    class Faulty:
        def __del__(self):
            raise ValueError

    with Interrupts():
        Faulty()
    assert [one.exc_type for one in told] == [ValueError]
    Faulty()
    assert len(told) == 2, "and after it"
