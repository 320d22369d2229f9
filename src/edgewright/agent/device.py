"""Device: the effects for real. What is about the network is asked of a ``Source``; the rest happens here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewright.agent.children import UNPACKED, Probed, check, probe
from edgewright.agent.effects import Outcome, done, failed, later
from edgewright.agent.guardrails import Counts, breach, judge
from edgewright.agent.preflight import Needs, Room, lacks, misfit
from edgewright.agent.runtime import Runtime
from edgewright.agent.shadowing import Shadowing
from edgewright.agent.slots import Slots
from edgewright.agent.sources import BUNDLE, Source
from edgewright.agent.states import Situation, Update
from edgewright.agent.talk import Silent
from edgewright.core.child import ChildError
from edgewright.core.errors import InputError, StorageError, TrustError
from edgewright.trust import load_public_key

_LOOK_S, _ROOM_S = 1.0, 60.0
_FALLS, _ENDS = 2, 2
"""Children that may die of a bundle before it is taken for the cause; ends of the runtime while it is on trial."""


@dataclass(frozen=True)
class Trial:
    """``seconds``: how long a bundle is watched after the switch, at least."""

    seconds: float = 60.0


class Device:
    """``Effects`` on ``state``. ``keys``: files of the keys that bundles must be signed with; ``source``: where updates
    come from; ``clock``: s, for durations only: nothing here asks what day it is."""

    def __init__(
        self, state: Path, slots: Slots, runtime: Runtime, source: Source, keys: Callable[[], Sequence[Path]],
        trial: Trial | None = None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._state, self._slots, self._runtime, self.source = state, slots, runtime, source
        self._key_files, self._trial, self._clock = keys, trial or Trial(), clock
        self._shadowing = Shadowing(slots, runtime, clock)
        self._shadowed: tuple[str, Outcome] | None = None
        self._falls: Counter[str] = Counter()
        self._began: tuple[str, float, int] = "", 0.0, 0

    def metadata(self, now: Situation) -> Outcome:
        """As the source tells."""
        return self.source.metadata(now)

    def preflight(self, now: Situation) -> Outcome:
        """Disk, memory, engine, architecture; the clock is the business of who reads dates."""
        needs, room = Needs.of({**_update(now).details, **now.facts}), Room.here(self._state)
        if never := misfit(needs, room):
            return failed(never, bad=True)
        if short := lacks(needs, room):
            self._slots.collect(now.kept)
            return later(short, _ROOM_S) if lacks(needs, Room.here(self._state)) else done()
        return done()

    def fetch(self, now: Situation) -> Outcome:
        """As the source does."""
        return self.source.fetch(now, self._slots.work(_update(now).bundle))

    def reconstruct(self, now: Situation) -> Outcome:
        """As the source does; then verified and unpacked by a child."""
        digest = _update(now).bundle
        work = self._slots.work(digest)
        outcome = self.source.reconstruct(now, work)
        if outcome.verdict != "done":
            return outcome
        unpacked = self._unpacked(digest, work)
        return replace(unpacked, facts={**outcome.facts, **unpacked.facts})

    def stage(self, now: Situation) -> Outcome:
        """The unpacked bundle becomes a slot."""
        digest = _update(now).bundle
        work = self._slots.work(digest)
        if self.sound(digest):
            return done()
        if not (work / UNPACKED).is_dir():
            if not (work / BUNDLE).is_file():
                return failed("what was fetched is gone from the disk; update again")
            outcome = self._unpacked(digest, work)
            if outcome.verdict != "done":
                return outcome
        self._slots.put(digest, work / UNPACKED)
        return done()

    def probe(self, now: Situation) -> Outcome:
        """In a child: golden calls, latency, memory."""
        digest = _update(now).bundle
        folder = self._slots.model(digest)
        if folder is None:
            return failed("its slot is gone from the disk; update again")
        try:
            seen = probe(folder, self._keys())
        except ChildError as error:
            return self._fell(digest, error)
        wrong = verdict(seen, float(now.facts.get("promised_ms", 0.0)), float(now.facts.get("promised_bytes", 0.0)))
        return failed(wrong, bad=True) if wrong else done(probed_p95_ms=round(seen.p95_ms, 4))

    def shadow(self, now: Situation) -> Outcome:
        """Beside what serves for as long as the release says; then as the source does."""
        update, seconds = _update(now), _shadow_s(now)
        if not seconds:
            return self.source.shadow(now)
        if self._shadowed is None or self._shadowed[0] != update.bundle:
            outcome = self._shadowing.look(update, seconds, float(now.facts.get("promised_ms", 0.0)))
            if outcome.verdict != "done":
                return outcome
            self._shadowed = update.bundle, outcome
        outcome = self.source.shadow(now)
        return done(**outcome.facts, **self._shadowed[1].facts) if outcome.verdict == "done" else outcome

    def wait(self, now: Situation) -> Outcome:
        """As the source says; then what the runtime counted so far, which the trial is compared with."""
        outcome = self.source.wait(now)
        if outcome.verdict != "done":
            return outcome
        serving = self._slots.model(self._slots.current)
        name = serving.name if serving is not None else ""
        return done(**outcome.facts, base=self._counts(name).to_json(), base_model=name)

    def switch(self, now: Situation) -> Outcome:
        """The link, and a hot reload."""
        digest, self._shadowed = _update(now).bundle, None
        if not self.sound(digest):  # it may have waited for days
            return failed("its files on the disk were damaged or removed; update again")
        self._slots.switch(digest)
        self._runtime.serve(digest)
        return done()

    def judge(self, now: Situation) -> Outcome:
        """Local guardrails for as long as the trial takes, then one successful sync."""
        digest = _update(now).bundle
        if self._began[0] != digest:
            self._began = digest, self._clock(), self._runtime.ends
            self._runtime.serve(digest)  # after a restart of the agent
        _, since, ends = self._began
        if self._runtime.ends - ends >= _ENDS:
            return failed(f"the runtime ended {self._runtime.ends - ends} times while it served it", bad=True)
        if not self._runtime.alive or not self._runtime.answers():
            return later("the runtime does not answer", _LOOK_S)
        if digest not in self._runtime.serving():
            return failed("the runtime went back to the version before", bad=True)
        model = self._slots.model(digest)
        name = model.name if model is not None else ""
        base = Counts.from_json(now.facts["base"]) if "base" in now.facts else Counts()
        same = now.facts.get("base_model") == name
        counts = self._counts(name).since(base if same else Counts())
        wrong = judge(counts, base, float(now.facts.get("promised_ms", 0.0)))
        wrong = wrong or breach(counts, _update(now).details.get("guardrails", {}))
        if wrong:
            return failed(wrong, bad=True)
        left = since + float(_update(now).details.get("trial_s", self._trial.seconds)) - self._clock()
        return later("the trial goes on", min(left, _LOOK_S)) if left > 0 else self.source.sync(now)

    def settle(self, now: Situation) -> Outcome:
        """Remove what is kept no more."""
        self._slots.collect(now.kept)
        return done()

    def roll_back(self, now: Situation) -> Outcome:
        """The last good bundle again; where that is damaged, the next best that verifies."""
        good = self.find([one for one in (now.good, now.before) if one], now.bad)
        self._slots.switch(good)
        if good:
            self._runtime.serve(good)
        else:
            self._runtime.stop()
        return done(good=good)

    def clear(self, now: Situation) -> Outcome:
        """Remove what is kept no more."""
        if now.update is not None and _shadow_s(now):
            self._shadowing.end(now.update)
            self._shadowed = None
        self._slots.collect(now.kept)
        return done()

    def find(self, wanted: Sequence[str], never: Collection[str]) -> str:
        """As ``Effects`` has it."""
        others = [digest for digest in self._slots.held() if digest not in {*wanted, *never}] if wanted else []
        return next((digest for digest in (*wanted, *others) if self.sound(digest)), "")

    def point(self, bundle: str) -> None:
        """As ``Effects`` has it."""
        self._slots.switch(bundle)

    def sound(self, digest: str) -> bool:
        """Whether the bundle's slot holds what was signed."""
        folder = self._slots.model(digest)
        if folder is None:
            return False
        try:
            seen = check(folder, self._keys())
        except (TrustError, InputError):
            return False
        except (ChildError, StorageError):
            return True  # it could not be looked at; the runtime looks again before it serves it
        return seen.bundle == digest and seen.name == folder.name

    def _unpacked(self, digest: str, work: Path) -> Outcome:
        try:
            seen = check(work / BUNDLE, self._keys(), unpack=True)
        except ChildError as error:
            return self._fell(digest, error)
        if seen.bundle != digest:
            return failed(f"what came is bundle {seen.bundle[:12]}, not {digest[:12]}")
        return done(model=seen.name, promised_ms=seen.promised_ms, promised_bytes=seen.promised_bytes)

    def _fell(self, digest: str, error: ChildError) -> Outcome:
        """Once may be the machine's fault (no memory left), twice is the bundle's."""
        self._falls[digest] += 1
        return failed(str(error), bad=True) if self._falls[digest] >= _FALLS else later(str(error), _LOOK_S)

    def _counts(self, model: str) -> Counts:
        try:
            return Counts.read(self._runtime.talk.metrics(), model) if model else Counts()
        except Silent:
            return Counts()

    def _keys(self) -> list:  # type: ignore[type-arg]
        return [load_public_key(path) for path in self._key_files()]


def verdict(seen: Probed, promised_ms: float, promised_bytes: float) -> str:
    """Why the bundle must not serve here, as a sentence; "" when it may. Pure.

    The fastest run counts against the promise, for slower ones may be the machine's fault. Memory may be twice what was
    promised and 64 MiB: engines differ.
    """
    if seen.wrong:
        return f"it does not answer its golden calls here: {seen.wrong}"
    if promised_ms and seen.fastest_ms > promised_ms:
        return f"its fastest run took {seen.fastest_ms:.3g} ms here, its contract promises {promised_ms:.3g} ms"
    if promised_bytes and seen.grown_bytes > 2 * promised_bytes + 64 * 2**20:
        return f"it takes {seen.grown_bytes:,.0f} bytes of memory, its contract promises {promised_bytes:,.0f}"
    return ""


def _shadow_s(now: Situation) -> float:
    return float(_update(now).details.get("shadow_s", 0.0))


def _update(now: Situation) -> Update:
    if now.update is None:
        raise StorageError(f"the journal says {now.state} and names no update")
    return now.update
