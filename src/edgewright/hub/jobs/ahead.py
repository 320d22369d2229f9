"""Ahead: the search's side and the helpers' side of trials that are judged before their turn, in child processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgewright.compression.search import Spec
from edgewright.core.store import Store
from edgewright.flows.answers import Answers
from edgewright.flows.place import STORE
from edgewright.hub.jobs.line import Line

_HEAR_S, _SILENT_S = 0.2, 10.0
"""Whoever tells nothing of helpers for so long knows nothing of them."""
_PATIENCE_S, _TIMES = 2.0, 2.0
"""A helper that takes that many times as long as the search took for one, and these seconds at least, may be dead,
stuck or slow: the search does it itself."""


class Workers:
    """The other workers, as a search sees them (``flows.others.Others``): it says what comes next, and hears which of
    it they have taken, and which they have done."""

    def __init__(self, say: Line) -> None:
        self._say = say
        self._offered: list[Spec] = []
        self._mine: set[str] = set()
        self._taken: set[str] = set()
        self._done: set[str] = set()
        self._heard = float("-inf")
        self._slowest = 0.0

    def offer(self, specs: Sequence[Spec]) -> None:
        """As ``Others`` has it."""
        self._offered = [spec for spec in specs if spec.key not in self._mine]
        self._say({"ahead": [spec.to_json() for spec in self._offered]})

    def wait(self, spec: Spec, ahead: Callable[[Spec], None], checkpoint: Callable[[], None]) -> None:
        """As ``Others`` has it."""
        self._hear(0.0)
        begun = time.monotonic()
        while spec.key in self._taken - self._done:
            now = time.monotonic()
            if now - self._heard > _SILENT_S or now - begun > max(_PATIENCE_S, _TIMES * self._slowest):
                break
            checkpoint()
            free = [one for one in self._offered if one.key not in self._taken | self._done]
            if free:
                self._mine.add(free[0].key)
                self.offer(self._offered)
                ahead(free[0])
                self._heard = time.monotonic()  # it did not listen meanwhile
                self._slowest = max(self._slowest, self._heard - now)
            self._hear(0.0 if free else _HEAR_S)

    def _hear(self, wait_s: float) -> None:
        for told in self._say.heard(wait_s):
            self._taken, self._done, self._heard = set(told["taken"]), set(told["done"]), time.monotonic()


def judge_ahead(asked: dict[str, Any], say: Line) -> dict[str, Any]:
    """Build and judge what the worker says, one after the other, into the store of ``out``; until it ends this process.
    Raises InputError."""
    from edgewright.datasets import dataset
    from edgewright.flows.settings import settle
    from edgewright.formats import load
    from edgewright.hub.jobs.wishes import options
    from edgewright.targets import target

    settings, _ = settle(None, options(asked["wish"]))
    model = load(Path(asked["model"]))
    bound = dataset(asked["data"], **asked["reading"]).bind(model.signature)
    with Answers(model, bound, target(asked["target"]), settings, Store(Path(asked["out"]) / STORE), _go_on) as answers:
        answers.open(settings.metric)
        say({"ready": True})
        while True:
            for told in say.heard(_HEAR_S):
                answers.ahead(Spec.from_json(told["spec"]))
                say({"judged": told["judge"]})


def _go_on() -> None:
    """Nothing stops a trial but the end of its process."""
