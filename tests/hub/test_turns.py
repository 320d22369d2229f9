"""Whoever waits holds a thread: few may, and of one tenant fewer."""

import threading

import pytest

from edgewright.core.errors import Unavailable
from edgewright.hub.errors import TooMany
from edgewright.hub.turns import Turns


def test_few_wait_and_of_one_tenant_fewer():
    turns, waits, had = Turns(at_once=1, waiting=1, of_one=1), threading.Event(), []

    def other():
        waits.set()
        with turns.turn("south", "busy"):
            had.append("south")

    with turns.turn("north", "busy"):
        with pytest.raises(TooMany, match="of yours go on"), turns.turn("north", "busy"):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        assert waits.wait(60)
        while not turns._now["south"]:
            pass
        with pytest.raises(Unavailable, match="busy; try again in a moment"), turns.turn("east", "busy"):
            pass
        assert had == []
    thread.join(60)
    assert had == ["south"] and not turns._now
    with turns.turn("north", "busy"), pytest.raises(ZeroDivisionError), Turns(1, 0, 1).turn("north", "busy"):
        raise ZeroDivisionError
