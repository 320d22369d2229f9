"""Others: whoever builds and judges candidates of a search before their turn comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edgewright.compression.search import Spec

AHEAD = 12
"""So many candidates are foreseen: more would be guesses on guesses."""


class Others(Protocol):
    """They call ``Answers.ahead``, and what they find comes into the run's store. What a search finds does not depend
    on them, only how soon."""

    def offer(self, specs: Sequence[Spec]) -> None:
        """What will probably be tried next, the nearest first. It takes the place of what was offered before."""

    def wait(self, spec: Spec, ahead: Callable[[Spec], None], checkpoint: Callable[[], None]) -> None:
        """Come back when none of them has ``spec`` in work. Meanwhile the search does its part of what was offered, by
        ``ahead``; ``checkpoint`` is called again and again and raises to stop."""
