"""The machine: record, then effect; recovery from any record. It knows no network, no disk and no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edgewright.agent.effects import Effects, Outcome, done
from edgewright.agent.effects import failed as given_up
from edgewright.agent.effects import later as postponed
from edgewright.agent.journal import Journal
from edgewright.agent.states import BEFORE, EXPOSED, Situation, Update, advanced, failed, offered, resumed
from edgewright.core.errors import EdgewrightError, EngineError, InputError, StorageError, TrustError

_AGAIN_S, _TRIES = 5.0, 8
"""When what failed because of the moment is tried again, and how often in one state before the update is abandoned."""
_EFFECTS: Mapping[str, Callable[[Effects], Callable[[Situation], Outcome]]] = {
    "metadata": lambda effects: effects.metadata,
    "preflight": lambda effects: effects.preflight,
    "fetching": lambda effects: effects.fetch,
    "reconstructing": lambda effects: effects.reconstruct,
    "verified": lambda effects: effects.stage,
    "staged": lambda effects: effects.probe,
    "probed": lambda effects: lambda now: done(),
    "shadowing": lambda effects: effects.shadow,
    "waiting": lambda effects: effects.wait,
    "switching": lambda effects: effects.switch,
    "trial": lambda effects: effects.judge,
    "committed": lambda effects: effects.settle,
    "abandoned": lambda effects: effects.clear,
    "rolling_back": lambda effects: effects.roll_back,
    "rolled_back": lambda effects: effects.clear,
}


class Machine:
    """``now``: the situation, as the journal's last record has it. Make one, ``recover``, then ``step`` while it is not
    idle. ``told`` is called with each situation once it is recorded: it must not raise, and may be told one twice."""

    def __init__(
        self, journal: Journal, effects: Effects, told: Callable[[Situation], None] = lambda now: None
    ) -> None:
        self._journal, self._effects, self._told = journal, effects, told
        self._tries = 0
        self.now = Situation() if journal.last is None else Situation.from_json(journal.last)

    def recover(self) -> str:
        """Make ``current`` name what the journal says, or the next best bundle that verifies; what it names, "" for
        nothing. To be called once, before anything is served. Raises StorageError where the disk does not let us: what
        ``current`` names is then as it was."""
        now = resumed(self.now)
        found = self._effects.find([bundle for bundle in (now.serving, now.good, now.before) if bundle], _never(now))
        if found != now.serving:
            now = _damaged(now, found)
        if now != self.now:
            self._record(now)
        self._effects.point(found)
        return found

    def offer(self, update: Update) -> None:
        """Begin an update. Raises InputError for one that failed here before or while another is on its way, and
        StorageError."""
        self._record(offered(self.now, update))

    def end(self, reason: str, bad: bool = False) -> None:
        """Abandon the update, or roll it back; in any other state nothing happens. Raises StorageError."""
        then = failed(self.now, reason, bad)
        if then != self.now:
            self._record(then)

    def amend(self, update: Update) -> None:
        """The update on its way has other details now (the offer was renewed). Raises StorageError."""
        if self.now.update is not None and self.now.update.bundle == update.bundle and self.now.update != update:
            self._record(replace(self.now, update=update))

    def empty(self, reason: str) -> None:
        """Serve nothing, as before the first bundle. Raises InputError while an update is on its way, StorageError."""
        now = self.now
        if now.state != "idle":
            raise InputError("an update is on its way; wait for it, or abandon it")
        if now.good:
            gone = Update(now.good)
            self._record(replace(now, state="rolling_back", update=gone, good="", before="", reason=reason, failure=""))

    def revert(self, reason: str, bad: bool = True) -> None:
        """Give the last commit back: ``before`` is to serve again, and what is served now is not tried again unless it
        is not ``bad``. Raises InputError where there is nothing to go back to, and StorageError."""
        now = self.now
        if now.state != "idle":
            raise InputError(f"an update is on its way ({now.state}); wait for its end, then go back")
        if not now.before:
            raise InputError("there is no bundle to go back to; bring one: edgewright agent update BUNDLE")
        gone = Update(now.good)
        known = {**now.bad, now.good: reason[:300]} if bad else now.bad
        back = replace(now, state="rolling_back", update=gone, good=now.before, before="", bad=known, reason=reason)
        self._record(replace(back, failure="bundle" if bad else ""))

    def history(self) -> list[tuple[int, dict[str, Any]]]:
        """The journal's records, oldest first."""
        return self._journal.history()

    def step(self) -> float:
        """Do the effect of the state and record what follows; after how many s to call again (0.0: at once). In
        ``idle`` nothing happens. Raises StorageError when it cannot be recorded: call again."""
        now = self.now
        if now.state == "idle":
            return 0.0
        outcome = self._outcome(now)
        if outcome.verdict == "later":
            return outcome.after_s
        if outcome.verdict == "done":
            then = advanced(now, outcome.facts)
        else:
            then = failed(now, outcome.reason, outcome.bad, outcome.failure)
        if now.state == "rolling_back" and then != now:
            then = replace(then, good=str(outcome.facts.get("good", now.good)))  # the good one may be damaged, too
        if then == now:  # the way back cannot fail: it is tried again
            return _AGAIN_S
        self._record(then)
        return 0.0

    def _outcome(self, now: Situation) -> Outcome:
        try:
            return _EFFECTS[now.state](self._effects)(now)
        except (TrustError, InputError, EngineError) as error:
            return given_up(str(error), bad=True)
        except EdgewrightError as error:
            self._tries += 1
            if now.state in BEFORE | EXPOSED and self._tries >= _TRIES:
                kind = "storage" if isinstance(error, StorageError) else str(getattr(error, "failure", "busy"))
                return given_up(str(error), failure=kind)
            return postponed(str(error), _AGAIN_S)

    def _record(self, then: Situation) -> None:
        self._journal.append(then.to_json())
        self.now, self._tries = then, 0
        self._told(then)


def _never(now: Situation) -> frozenset[str]:
    """Bundles that must not serve even where nothing else verifies: bad ones, and one that was not tried yet."""
    untried = (
        {now.update.bundle} if now.update is not None and now.state in BEFORE - {"shadowing", "waiting"} else set()
    )
    return frozenset({*now.bad, *untried} - {now.good})


def _damaged(now: Situation, found: str) -> Situation:
    """What should serve does not verify (any more); ``found`` does, or nothing ("")."""
    wanted = now.serving[:12]
    told = f"bundle {wanted} on the disk is damaged" if wanted else "the journal names no bundle"
    good = found or now.good
    if now.state in EXPOSED:
        return replace(failed(now, told, bad=False, failure="storage"), good=good)
    if now.state == "committed":
        return replace(now, state="rolling_back", good=good, before="", reason=told)
    return replace(now, good=good, before="" if now.before == found else now.before, reason=told)
