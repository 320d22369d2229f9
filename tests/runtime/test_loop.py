"""The loop's end: whoever calls it later writes into nothing that is not the loop's."""

import os
import signal

import pytest

from edgewright.runtime.lanes.loop import Loop


class Interrupted(BaseException):
    """What ends ``run`` from outside, as Ctrl-C does."""


@pytest.fixture
def wake():
    """The loop's own descriptor numbers, as they are given: the one it is woken through is among them."""
    opened, eventfd = [], os.eventfd
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "eventfd", lambda *args: opened.append(eventfd(*args)) or opened[-1])
    yield opened
    patch.undo()


def heir(number):
    """Somebody else's event counter, at a number that was just given back."""
    found = os.eventfd(0, os.EFD_NONBLOCK)
    if found != number:
        os.dup2(found, number)
        os.close(found)
    return number


def asleep(loop):
    """``loop`` after a run that was interrupted while it slept."""

    def interrupt(*_):
        if loop._sleeping:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        with pytest.raises(Interrupted):
            loop.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return loop


@pytest.mark.parametrize("late", [lambda loop: loop.call(lambda: None), lambda loop: loop.stop()], ids=["call", "stop"])
def test_who_comes_after_the_end_writes_into_nobody_elses_descriptor(late, wake):
    loop = asleep(Loop())
    loop.close()
    late(loop)
    number = heir(wake[0])
    late(loop)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(number)
    loop.close()
    os.eventfd_write(number, 1)  # open still: closed twice, the loop gave back its own number alone
    os.close(number)


def test_a_signal_handler_may_call_in_the_middle_of_a_call():
    loop = Loop()
    with loop._rousing:  # where the handler comes
        loop.stop()
    loop.run()
    loop.close()
