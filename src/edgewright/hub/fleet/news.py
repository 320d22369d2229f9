"""News: a bell that everybody in this process rings who changed what devices should hear of at once. Other processes
hear of it by looking at the database some times a second."""

from __future__ import annotations

import threading

from edgewright.hub.state import State


class News:
    """``ring`` wakes all who ``listen``."""

    def __init__(self) -> None:
        self._bells: set[threading.Event] = set()

    def listen(self) -> threading.Event:
        """An event that is set at each ring."""
        bell = threading.Event()
        self._bells = {*self._bells, bell}
        return bell

    def leave(self, bell: threading.Event) -> None:
        """Listen no more."""
        self._bells = self._bells - {bell}

    def ring(self) -> None:
        """There is something new."""
        for bell in self._bells:
            bell.set()


def news(state: State) -> News:
    """The bell of this process."""
    return state.part("news", News)
