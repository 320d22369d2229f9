"""What a check is, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edgewright.testing.oip.case import Case

REQUIRED = ("protocol", "faults", "http")
"""Groups that every server is held to; the others are named as the extension is that a server announces."""
LAST = ("errors",)
"""Groups that every server is held to in the end: they judge what the other checks were told."""
PROBED = ("compression",)
"""Groups that no server announces: what it declines is skipped."""


class Failed(Exception):  # noqa: N818 - reads as what it says
    """The server does not do what the clause says; the message says what it did."""


class Skipped(Exception):  # noqa: N818 - reads as what it says
    """The check does not apply; the message says why."""


@dataclass(frozen=True)
class Check:
    """One named check. ``clause``: where it is written that a server does so; ``title``: what it does."""

    name: str
    group: str
    clause: str
    title: str
    run: Callable[[Case], None]


@dataclass(frozen=True)
class Result:
    """What became of a check; ``why`` is empty when it passed."""

    check: Check
    outcome: Literal["passed", "failed", "skipped"]
    why: str = ""


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order they run."""


def check(name: str, group: str, clause: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a function as a check; its docstring is the title. It raises Failed or Skipped, or passes."""

    def register(run: Callable[[Case], None]) -> Callable[[Case], None]:
        if name in CHECKS:
            raise ValueError(f"two checks are named {name!r}")
        CHECKS[name] = Check(name, group, clause, (run.__doc__ or "").strip().split("\n")[0], run)
        return run

    return register


def expect(condition: object, why: str) -> None:
    """Raise Failed unless the condition holds."""
    if not condition:
        raise Failed(why)
