"""A desk with shadows: answers as the desk behind it does, and lets shadows have copies. One thread runs them.

While there are no shadows it is on no path: its methods are those of the desk behind.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from edgewright.runtime.desk import Arrays, Desk, GiveUp
from edgewright.runtime.experiments.shadow import Shadows
from edgewright.runtime.faults import Fault
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Done
from edgewright.runtime.served import Served

_now = time.perf_counter


class ShadowDesk(Desk):
    """``behind`` answers. Close it before the models."""

    def __init__(self, behind: Desk, shadows: Shadows) -> None:
        super().__init__(behind.scheduler)
        self._behind, self.cache = behind, behind.cache
        self.shadows: Shadows = shadows
        self._offered, self._open, self._news = threading.Condition(), True, False
        self._thread = threading.Thread(target=self._work, name="edgewright-shadows", daemon=True)
        shadows.changed = self._attend
        self._attend()

    def _attend(self) -> None:
        """Stand between callers and the desk behind as long as there are shadows."""
        if not self.shadows:
            vars(self).update(at_once=self._behind.at_once, later=self._behind.later)
            return
        for name in ("at_once", "later"):
            vars(self).pop(name, None)
        with self._offered:
            if self._open and not self._thread.is_alive():
                self._thread.start()

    @property
    def plain(self) -> bool:
        """As the desk's."""
        return not self.shadows and self._behind.plain

    def at_once(self, served: Served, inputs: Arrays, timeout_s: float | None = None) -> Arrays | None:
        """As the desk behind."""
        came = _now()
        outputs = self._behind.at_once(served, inputs, timeout_s)
        if outputs is not None:  # else ``later`` is asked
            self._asked(served, timeout_s, came)
            self._answered(served, inputs, outputs)
        return outputs

    def later(
        self, served: Served, inputs: Arrays, done: Done, timeout_s: float | None = None, priority: int = 0
    ) -> GiveUp:
        """As the desk behind."""

        def told(outputs: Any, fault: Fault | None) -> None:
            done(outputs, fault)
            if fault is None:
                self._answered(served, inputs, outputs)

        self._asked(served, timeout_s, _now())
        return self._behind.later(served, inputs, told, timeout_s, priority)

    def retire(self, served: Served, timeout_s: float) -> bool:
        """As the desk behind."""
        return self._behind.retire(served, timeout_s)

    def report(self) -> dict[str, Any]:
        """What the shadows saw, and what the desk behind tells."""
        told = self.shadows.report()
        return {**({"shadows": told} if told else {}), **self._behind.report()}

    def close(self) -> None:
        """Stop the shadows, then as the desk behind."""
        with self._offered:
            self._open = False
            self._offered.notify()
        if self._thread.ident is not None:
            self._thread.join()
        self._behind.close()

    def _asked(self, served: Served, timeout_s: float | None, came: float) -> None:
        timeout_s = served.deadline_s if timeout_s is None else timeout_s
        self.shadows.slack.asked(came, NEVER if timeout_s is None else timeout_s - served.times.usual())

    def _answered(self, served: Served, inputs: Arrays, outputs: Arrays) -> None:
        self.shadows.slack.answered(_now())
        if self.shadows.offer(served, inputs, outputs):
            with self._offered:
                self._news = True
                self._offered.notify()

    def _work(self) -> None:
        pause = NEVER
        while True:
            with self._offered:
                if self._open and pause > 0 and not self._news:
                    self._offered.wait(None if pause == NEVER else pause)
                self._news = False
                if not self._open:
                    return
            pause = self.shadows.step()
