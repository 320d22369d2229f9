"""Effects: what an update's states do to the machine and the network. The machine is given them and knows no more.

Each is idempotent: it may be cut off anywhere and is then done again, in another process, after a power cut as well. It
says what became of it with an ``Outcome``, or raises: TrustError, InputError and EngineError speak against the bundle,
StorageError and all other EdgewrightErrors against the moment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from edgewright.agent.states import Situation


@dataclass(frozen=True)
class Outcome:
    """``done``: on to the next state, with ``facts`` for later ones. ``later``: not now, ask again in ``after_s``.
    ``failed``: the update ends because of ``reason``; ``bad``: and its bundle is never tried again;
    ``failure``: else, the class of what went wrong (network, storage, busy)."""

    verdict: Literal["done", "later", "failed"]
    reason: str = ""
    after_s: float = 0.0
    bad: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: str = "busy"


def done(**facts: Any) -> Outcome:
    """The effect is there; ``facts``: JSON values that later effects find in ``Situation.facts``."""
    return Outcome("done", facts=facts)


def later(reason: str, after_s: float) -> Outcome:
    """Nothing is wrong, but it cannot be done, or told, yet."""
    return Outcome("later", reason, after_s)


def failed(reason: str, bad: bool = False, failure: str = "busy") -> Outcome:
    """It cannot be done."""
    return Outcome("failed", reason, bad=bad, failure=failure)


class Effects(Protocol):
    """One method for each state but ``idle`` and ``probed``, and two for recovery."""

    def metadata(self, now: Situation) -> Outcome:
        """Learn what the update is made of, and that it may run here."""
        ...

    def preflight(self, now: Situation) -> Outcome:
        """Whether disk, memory, engine and clock allow it."""
        ...

    def fetch(self, now: Situation) -> Outcome:
        """Bring its bytes here; what is here already is not fetched again."""
        ...

    def reconstruct(self, now: Situation) -> Outcome:
        """Put the bundle together, and verify it."""
        ...

    def stage(self, now: Situation) -> Outcome:
        """Put the verified bundle into its slot."""
        ...

    def probe(self, now: Situation) -> Outcome:
        """Try it in a process of its own: golden calls, latency, memory."""
        ...

    def shadow(self, now: Situation) -> Outcome:
        """Let it run beside what serves, if that is asked for."""
        ...

    def wait(self, now: Situation) -> Outcome:
        """Wait until it may be switched on."""
        ...

    def switch(self, now: Situation) -> Outcome:
        """``current`` names it, and the runtime serves it."""
        ...

    def judge(self, now: Situation) -> Outcome:
        """Whether it does well: local guardrails, and one successful sync."""
        ...

    def settle(self, now: Situation) -> Outcome:
        """After the commit: remove what is needed no more."""
        ...

    def roll_back(self, now: Situation) -> Outcome:
        """``current`` names the last good bundle again, and the runtime serves it."""
        ...

    def clear(self, now: Situation) -> Outcome:
        """After an update that was abandoned or rolled back: remove what it left."""
        ...

    def find(self, wanted: Sequence[str], never: Collection[str]) -> str:
        """The first of the wanted bundles that verifies now, or else any other on the disk that is not among ``never``;
        "" when none does or none is wanted."""
        ...

    def point(self, bundle: str) -> None:
        """Have ``current`` name it ("": nothing), durably. Raises StorageError."""
        ...
