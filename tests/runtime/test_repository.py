"""What is served under which name: whoever reads sees a whole state, whatever is being put, removed or noted."""

import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from edgewright.runtime.faults import NotReady
from edgewright.runtime.repository import Repository


def version(number):
    """As much of a Served as the repository looks at."""
    session = SimpleNamespace(requested="cpu", provider="cpu")
    return SimpleNamespace(
        source=SimpleNamespace(name="m", version=number, digest="", written_ns=0),
        reason="",
        session=session,
        name="m",
        observed=None,
    )


@contextmanager
def meanwhile(work):
    """``work`` again and again, in a thread that is switched to all the time."""
    over, before = threading.Event(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def go():
        while not over.is_set():
            work()

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)


def test_versions_come_and_go_while_they_are_listed():
    held, all_of_them, last = Repository(), [version(f"{number:03}") for number in range(200)], version("999")
    for one in all_of_them:
        held.put(one)

    def swap():
        held.put(last)
        held.remove(last)

    with meanwhile(swap):
        for _ in range(10_000):
            assert len(held.ready()) in (200, 201)


def test_a_model_that_failed_says_why_whenever_it_is_asked():
    held = Repository()
    for number in range(50):
        held.note("other", str(number), "UNAVAILABLE", "no")
    held.note("m", "1", "UNAVAILABLE", "it is damaged")
    with meanwhile(lambda: held.note("m", "1", "UNAVAILABLE", "it is damaged")):
        for _ in range(2000):
            with pytest.raises(NotReady, match="it is damaged"):
                held.find("m")
