"""States: what an update goes through (ADR 0007), and what the agent knows. Pure.

    idle > metadata > preflight > fetching > reconstructing > verified > staged > probed > shadowing > waiting
         > switching > trial > committed > idle
    any before switching > abandoned > idle
    switching, trial > rolling_back > rolled_back > idle

A state's record is written before its effect: ``verified`` means that the bundle is verified, and its effect is to
stage it. Every record is a whole ``Situation``, so that recovery reads one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edgewright.core.errors import InputError

FORWARD = {
    "metadata": "preflight",
    "preflight": "fetching",
    "fetching": "reconstructing",
    "reconstructing": "verified",
    "verified": "staged",
    "staged": "probed",
    "probed": "shadowing",
    "shadowing": "waiting",
    "waiting": "switching",
    "switching": "trial",
    "trial": "committed",
    "committed": "idle",
    "abandoned": "idle",
    "rolling_back": "rolled_back",
    "rolled_back": "idle",
}
"""The next state when a state's effect is done."""
BEFORE = frozenset({"metadata", "preflight", "fetching", "reconstructing", "verified", "staged", "probed", "shadowing",
                    "waiting"})  # fmt: skip
"""States in which the device still runs what it ran."""
EXPOSED = frozenset({"switching", "trial"})
STATES = frozenset({"idle", *FORWARD})
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_BAD, _MOST_TOLD, _MOST_FACTS = 32, 300, 8192


@dataclass(frozen=True)
class Update:
    """``bundle``: digest of the bundle's manifest (``Bundle.digest``); ``release``: what it is called; ``details``:
    JSON that effects need (sizes, sources, windows), 8 KiB at most. Raises InputError."""

    bundle: str
    release: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.bundle):
            raise InputError(f"{self.bundle[:80]!r} is no bundle's digest (64 hexadecimal digits)")
        if len(str(self.details)) > _MOST_FACTS or len(self.release) > _MOST_TOLD:
            raise InputError(f"the update tells more than {_MOST_FACTS:,} characters; tell less")


@dataclass(frozen=True)
class Situation:
    """All that a record holds.

    ``update``: on its way, or the last one in ``idle``; ``good``: the bundle that was committed last, ``before``: the
    one before it, both kept on the disk ("": none); ``bad``: digests that failed, with the reason, the newest last;
    ``attempt``: how often the agent has ended in this state; ``reason``: why it is in this state; ``facts``: what
    effects left for later ones; ``result``: how the last update ended; ``failure``: the class of what went wrong with
    it: bundle, network, storage, busy.
    """

    state: str = "idle"
    update: Update | None = None
    good: str = ""
    before: str = ""
    bad: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 0
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""
    failure: str = ""

    @property
    def serving(self) -> str:
        """The bundle that ``current`` must name in this state; "": none."""
        new = self.state in {*EXPOSED, "committed"} and self.update is not None
        return self.update.bundle if new and self.update is not None else self.good

    @property
    def kept(self) -> frozenset[str]:
        """The bundles that must stay on the disk."""
        going = self.update is not None and self.state in {*BEFORE, *EXPOSED, "committed"}
        mine = {self.update.bundle} if going and self.update is not None else set()
        return frozenset({self.good, self.before, *mine} - {""})

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Situation:
        """What ``to_json`` gave. Raises InputError for what no agent of this release wrote."""
        try:
            told = dict(record)
            update = told.pop("update")
            found = cls(**told, update=None if update is None else Update(**update))
        except (KeyError, TypeError) as error:
            raise InputError("the journal's last record is of another release of the agent") from error
        if found.state not in STATES:
            raise InputError(f"the journal's last record has the unknown state {found.state[:40]!r}")
        return found


def offered(now: Situation, update: Update) -> Situation:
    """From ``idle`` to an update. Raises InputError for one that failed before, or while another is on its way."""
    if update.bundle in now.bad:
        raise InputError(f"bundle {update.bundle[:12]} failed here before ({now.bad[update.bundle]}); seal another one")
    if now.state != "idle":
        raise InputError(f"an update is on its way ({now.state}); wait for it, or abandon it")
    return replace(now, state="metadata", update=update, attempt=0, reason="", facts={}, result="", failure="")


def advanced(now: Situation, facts: Mapping[str, Any] | None = None) -> Situation:
    """To the next state, its effect being done."""
    state = FORWARD[now.state]
    reason = now.reason if now.state in {"abandoned", "rolling_back", "rolled_back"} else ""
    then = replace(now, state=state, attempt=0, reason=reason, facts={**now.facts, **(facts or {})})
    if state == "committed" and now.update is not None and now.update.bundle != now.good:
        # ``good`` follows only now: until the trial is over, the way back leads to what ran before.
        then = replace(then, good=now.update.bundle, before=now.good)
    if state == "idle":
        then = replace(then, result=now.state, facts={})
    return then


def failed(now: Situation, reason: str, bad: bool, failure: str = "busy") -> Situation:
    """The update ends: abandoned before the switch, rolled back after it. ``bad``: the bundle is at fault, and never
    tried again; ``failure``: else, the class of what is. From any other state the situation as it is."""
    reason = reason[:_MOST_TOLD]
    if now.state not in BEFORE | EXPOSED or now.update is None:
        return now
    state = "abandoned" if now.state in BEFORE else "rolling_back"
    known = dict(now.bad)
    if bad and now.update.bundle != now.good:
        known.pop(now.update.bundle, None)
        known[now.update.bundle] = reason
        known = dict(list(known.items())[-_MOST_BAD:])
    return replace(now, state=state, bad=known, attempt=0, reason=reason, failure="bundle" if bad else failure)


_PATIENCE = {"metadata": 20, "preflight": 20, "shadowing": 10, "switching": 3, "trial": 3}
_USUAL = 5
_ENDLESS = frozenset({"idle", "fetching", "waiting", "committed", "abandoned", "rolling_back", "rolled_back"})


def resumed(now: Situation) -> Situation:
    """After the agent, or the machine, ended in this state: once more, or no more.

    What takes days (fetching, waiting) and what must be done in the end (the way back) is resumed for ever. A bundle
    during whose trial the machine ends again and again is taken for the cause.
    """
    if now.state in _ENDLESS:
        return now
    if now.attempt + 1 > _PATIENCE.get(now.state, _USUAL):
        return failed(now, f"the agent ended {now.attempt + 1} times while {now.state}", bad=now.state in EXPOSED)
    return replace(now, attempt=now.attempt + 1)
