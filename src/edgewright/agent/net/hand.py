"""Hand: what somebody on the device wants, carried out between the steps of the machine; it comes before the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgewright.agent.machine import Machine
from edgewright.agent.net.control import Orders
from edgewright.agent.states import BEFORE, EXPOSED, Situation, Update
from edgewright.core.errors import EdgewrightError

ASKED = "somebody on this device asked for it"


class Hand:
    """``turn`` is called before each step, on the thread that steps. ``current``: the digest of what serves;
    ``overrule``: what the hub offers now counts no more, its next word does."""

    def __init__(
        self, machine: Machine, orders: Orders, current: Callable[[], str], overrule: Callable[[], None]
    ) -> None:
        self._machine, self._orders, self._current, self._overrule = machine, orders, current, overrule
        self._begun = False

    @property
    def wants(self) -> bool:
        """Whether an order waits for what is on its way to end: what is fetched now is wanted no more."""
        return self._orders.waiting is not None and not self._begun

    def turn(self) -> bool:
        """Whether an order is under way, and the hub has to wait. Raises StorageError of ``overrule``."""
        now = self._machine.now
        if now.state == "committed" and now.update is not None and "path" in now.update.details:
            self._overrule()  # here, so that a kill between two records leaves the hub's older word overruled, too
        asked = self._orders.waiting
        if asked is None:
            return False
        try:
            if not self._begun:
                self._begin(now, asked)
            elif now.state == "idle":
                self._end(ended(now))
        except EdgewrightError as error:
            self._end(error)
        return self._orders.waiting is not None

    def _begin(self, now: Situation, asked: Mapping[str, Any]) -> None:
        update = asked.get("update")
        if now.state in BEFORE:
            self._machine.end(ASKED)
        elif update is None and now.state in EXPOSED:
            self._begun = True
            self._machine.end(ASKED, bad=True)
        elif now.state != "idle":
            return  # a trial, or a way back, comes to its end first
        elif isinstance(update, Update):
            if now.good == update.bundle == self._current():
                self._end({**ended(now), "result": "committed", "reason": ""})
                return
            self._machine.offer(update)
            self._begun = True
        else:
            self._machine.revert(ASKED)
            self._begun = True

    def _end(self, told: Mapping[str, Any] | EdgewrightError) -> None:
        self._begun = False
        self._orders.end(told)


def ended(now: Situation) -> dict[str, Any]:
    """How the last update ended."""
    return {"result": now.result, "good": now.good, "reason": now.reason}
