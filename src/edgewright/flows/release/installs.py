"""Installations: failures against the rollout's limit, in whatever order the answers come in.

Failing is often quicker than succeeding: of the first answers many are failures though few devices fail. So devices
count from when they were offered the release (or told to switch), and those that have not answered count as good when
it is asked whether to halt. What is looked at is then never more than the e-process over devices in the order in which
they were asked, which does not depend on the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgewright.core.sequential import combined, exceeds, rate_sequence
from edgewright.core.statistics import binomial_tail

_ODD = 0.1


@dataclass(frozen=True)
class Installs:
    """Of one wave: devices ``offered`` the release and those that failed before switching; devices ``switched`` (told
    to) and those that failed from then on. A lease that ran out is a failure. ``pending``: no answer yet."""

    offered: int
    failed_before: int
    switched: int
    failed_after: int
    pending: int
    limit: float

    def __post_init__(self) -> None:
        fits = self.failed_before + self.failed_after <= self.offered and self.switched <= self.offered
        if not fits or not 0 <= self.failed_after <= self.switched or min(self.failed_before, self.pending) < 0:
            raise ValueError("installations need counts that go together")
        if not 0 <= self.limit <= 1:
            raise ValueError("the limit of failures is a share from 0 to 1")

    @property
    def failed(self) -> int:
        """Failures of both kinds."""
        return self.failed_before + self.failed_after

    @property
    def answered(self) -> int:
        """Devices whose outcome is known."""
        return self.offered - self.pending


@dataclass(frozen=True)
class InstallFinding:
    """``holds``: all have answered and more failed than the limit lets expect, though it is no proof."""

    log_e: float
    holds: bool
    why: str
    installs: Installs

    def to_json(self) -> dict[str, Any]:
        """JSON values, with the 90% confidence sequence of the share of failures."""
        one = self.installs
        low, high = rate_sequence(one.failed, max(one.answered, one.failed), 0.1)
        return {
            "offered": one.offered, "failed_before_switch": one.failed_before, "switched": one.switched,
            "failed_after_switch": one.failed_after, "pending": one.pending, "limit": one.limit,
            "low": float(f"{low:.6g}"), "high": float(f"{high:.6g}"),
            "log_e": float(f"{min(self.log_e, 1e6):.6g}"),
        }  # fmt: skip


def judge_installs(installs: Installs) -> InstallFinding:
    """Evidence that more than the limit fail, and whether to wait for a person."""
    log_e = combined(
        [exceeds(installs.failed_before, installs.offered, installs.limit),
         exceeds(installs.failed_after, installs.switched, installs.limit)],
        [0.5, 0.5],
    )  # fmt: skip
    over = installs.failed > installs.limit * installs.offered
    odd = over and binomial_tail(installs.failed, installs.offered, installs.limit) < _ODD
    why = f"{installs.failed} of {installs.offered} devices failed ({100 * installs.limit:g}% allowed)"
    return InstallFinding(log_e, odd and installs.pending == 0, why, installs)
