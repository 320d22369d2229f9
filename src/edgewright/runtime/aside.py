"""Aside: a thread for what would keep the loop's clients waiting, done in steps.

A step takes a millisecond or so and then lets go of the interpreter's lock, which the loop needs for everybody else.
What is short goes before what is long, between two steps: who asks for little need not wait for who asks for much.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that pauses now and then; what it returns is its result."""
_LONG = 2**20
"""Bytes from which on an errand is a long one. These are done one after the other: half-done ones hold memory."""


def step(work: Callable[[], T]) -> Steps[T]:
    """``work``, which holds the interpreter's lock for no long time, as a single step."""
    yield
    return work()


def drained(steps: Steps[T]) -> T:
    """What the steps come to, done at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


@dataclass(eq=False, slots=True)
class Errand:
    """``done`` is given what the steps returned, or what they raised."""

    steps: Steps[Any]
    done: Callable[[Any, Exception | None], None]
    wanted: bool = True

    def give_up(self) -> None:
        """Nobody waits for it any more: its ``done`` is not called."""
        self.wanted = False


class Aside:
    """``later`` runs a function on the loop's thread, which alone calls ``run`` and ``close``."""

    def __init__(self, later: Callable[[Callable[[], None]], None]) -> None:
        self._later, self._news = later, threading.Condition()
        self._short, self._long = deque[Errand](), deque[Errand]()
        self._thread: threading.Thread | None = None
        self._open = True

    def run(self, size: int, steps: Steps[T], done: Callable[[T | None, Exception | None], None]) -> Errand:
        """Do the steps, and call ``done`` on the loop's thread. ``size``: bytes that are worked on."""
        errand = Errand(steps, done)
        with self._news:
            (self._long if size > _LONG else self._short).append(errand)
            self._news.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="edgewright-aside", daemon=True)
            self._thread.start()
        return errand

    def close(self) -> None:
        """Leave undone what is not done."""
        with self._news:
            self._open = False
            self._news.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._news:
                while self._open and not self._short and not self._long:
                    self._news.wait()
                if not self._open:
                    return
                line = self._short or self._long
            errand = line[0]
            if errand.wanted:
                try:
                    next(errand.steps)
                    continue
                except StopIteration as end:
                    told = partial(errand.done, end.value, None)
                except Exception as error:  # noqa: BLE001 - handed on: whoever wanted it tells its client
                    told = partial(errand.done, None, error)
                self._later(partial(_tell, errand, told))
            line.popleft()


def _tell(errand: Errand, told: Callable[[], None]) -> None:
    if errand.wanted:
        told()
