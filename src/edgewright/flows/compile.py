"""Compile: a trained model, data and a target in; measured candidates, a Pareto front and a verdict out.

The only place where compression meets measurement. The search decides, the bench measures, this file keeps the time:
it stops when the search has nothing left, the budget is spent or the user interrupts, and always hands back what is
known by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgewright.compression.contract import Context
from edgewright.compression.search import acceptable, explore, promising
from edgewright.compression.verdict import judge, nearest, pareto, refuse_false_wins
from edgewright.core.candidate import Candidate, Constraint
from edgewright.core.digests import digest_json
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model
from edgewright.core.store import Store
from edgewright.datasets import Bound, dataset
from edgewright.engines import unverified
from edgewright.flows.bench import Bench
from edgewright.flows.elsewhere import Elsewhere
from edgewright.flows.limits import Limits
from edgewright.flows.outcome import Result
from edgewright.flows.settings import Progress, Settings, settle
from edgewright.flows.space import space_for
from edgewright.targets import Target
from edgewright.targets import target as find_target

FINALISTS = 5
HASTY_FINALISTS = 2
INTERRUPTED = "interrupted"


class _BudgetSpentError(Exception):
    """The time is up; caught where the search is driven."""


def optimize(
    model: Model | str | Path,
    data: Any,
    target: str | Path | Target = "host",
    *,
    work: str | Path | None = None,
    settings: Settings | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    **options: Any,
) -> Result:
    """Search for the best way to run ``model`` on ``target`` within limits.

    ``data``: a Dataset, or what ``edgewright.dataset`` takes. ``work``: a folder that keeps every step's result, to go
    on from after a stop; None keeps nothing. ``options``: limits (``max_latency_ms``, ``max_size_mb``,
    ``max_memory_mb``, ``max_energy_mj``, ``max_accuracy_drop``) and fields of ``Settings``. Ctrl-C or the budget's end
    gives the best so far; the result says so. Raises InputError for unusable input, StorageError for a folder that
    cannot be written.
    """
    chosen, limits = settle(settings, options)
    with ExitStack() as stack:
        folder = Path(work if work is not None else stack.enter_context(TemporaryDirectory(prefix="edgewright-")))
        source = _load(model)
        machine = target if isinstance(target, Target) else find_target(target)
        bound = dataset(data).bind(source.signature)
        result = _Run(source, bound, machine, chosen, limits, Store(folder), progress).result()
        # A temporary store is gone when this returns; what is asked of the result later is computed anew.
        return result if work is not None else replace(result, context=replace(result.context, store=None))


def _load(model: Model | str | Path) -> Model:
    from edgewright.formats import load

    found = model if isinstance(model, Model) else load(model)
    if found.format != "onnx":
        raise InputError(
            f"a model in {found.format} format cannot be rewritten; pass the ONNX or trained model it was made of"
        )
    return found


class _Run:
    """One run of the flow."""

    def __init__(
        self, source: Model, bound: Bound, machine: Target, settings: Settings, limits: Limits, store: Store,
        progress: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self.source, self.machine, self.settings, self.limits = source, machine, settings, limits
        self.bound, splits = bound, bound.splits(settings.seed)
        self.splits = splits
        self._progress = progress
        self._begin = time.monotonic()
        self._deadline = self._begin + settings.budget_s * 0.8
        self._armed = True
        self._first: float | None = None
        self._stopped = ""
        self.tried: dict[str, Candidate] = {}
        self.notes: list[str] = []
        context = Context(splits.calibration, settings.seed, machine.isa, self._checkpoint, store)
        self.bench = Bench(source, splits, context, store, settings.threads)
        if machine.name != "host":
            self.bench.elsewhere = Elsewhere(machine, settings.threads)
            self.bench.place = digest_json(machine.to_json())

    def result(self) -> Result:
        """Search, then measure the finalists with care."""
        try:
            self._armed = False
            self._tell("measuring the original")
            self.bench.start(self.settings.metric, self._constraints)
            self._armed = True
            try:
                self._search()
            except _BudgetSpentError:
                self._stopped = "the budget was spent"
            except KeyboardInterrupt:
                self._stopped = INTERRUPTED
            self._armed = False
            try:
                return self._conclude()
            except KeyboardInterrupt:
                if self._stopped == INTERRUPTED:
                    raise
                self._stopped = INTERRUPTED
                return self._conclude()
        finally:
            self.bench.close()

    def _constraints(self, accuracy: Measurement, higher_is_better: bool) -> tuple[Constraint, ...]:
        return self.limits.constraints(accuracy.value, accuracy.unit, higher_is_better=higher_is_better)

    def _checkpoint(self) -> None:
        if self._armed and time.monotonic() > self._deadline:
            raise _BudgetSpentError

    def _search(self) -> None:
        space, notes = space_for(self.source, self.machine, self.settings)
        self.notes.extend(notes)
        paths = explore(space, self.score)
        spec = next(paths, None)
        while spec is not None:
            self._checkpoint()
            self._tell(f"{spec.stage} · {spec.runner.engine}")
            found = self.bench.quick(spec)
            self.tried[found.id] = found
            if self._first is None and promising(found) and found.recipe:
                self._first = time.monotonic() - self._begin
            try:
                spec = paths.send(found)
            except StopIteration:
                spec = None

    def score(self, candidate: Candidate) -> float:
        """The preference's score against the baseline; less is better."""
        base = self.bench.baseline
        return self.settings.preference.score(candidate, {} if base is None else base.metrics)

    def _conclude(self) -> Result:
        """Held-out accuracy in the order of the score, until enough candidates have passed; those side by side.

        A user who interrupted is waiting: fewer candidates, and only the time they need.
        """
        self._tell("finalists on held-out samples")
        tested = self._tested(one_of_each_engine(sorted(filter(promising, self.tried.values()), key=self.score)))
        finals = [c for c in tested if acceptable(c)] or tested[:2] or self._tested(nearest(self.tried.values(), 2))
        self._tell("finalists side by side")
        least = 2.0 * (1 + len(finals))
        waiting = self._stopped == INTERRUPTED
        base, *measured = self.bench.together(finals, least if waiting else max(self.settings.budget_s * 0.15, least))
        everyone = {**self.tried, **{c.id: c for c in tested}, **{c.id: c for c in measured}}
        judged = refuse_false_wins([self._rescaled(c, base) for c in everyone.values()], base.metrics["latency_ms"])
        done = {c.id for c in measured}
        finals = [c for c in judged if c.id in done]
        best = min((c for c in finals if c.feasible), key=self.score, default=None)
        return Result(
            source=self.source, bound=self.bound, splits=self.splits, target=self.machine,
            settings=self.settings, baseline=base, candidates=tuple(judged), finals=tuple(finals), best=best,
            pareto=tuple(pareto(c for c in finals if c.feasible)), constraints=self.bench.constraints,
            stopped=self._stopped, elapsed_s=time.monotonic() - self._begin, first_feasible_s=self._first,
            facts=self.bench.facts, accuracies=self.bench.accuracies, choice=self.bench.choice,
            context=self.bench.context, inputs=tuple(self.bench.inputs), notes=tuple(self._notes(finals)),
        )  # fmt: skip

    def _notes(self, finals: list[Candidate]) -> list[str]:
        """What a reader must know: stand-ins, and providers that nobody has verified."""
        told = (unverified(c.engine, c.options.provider) for c in finals)
        return list(dict.fromkeys([*self.notes, *(note for note in told if note)]))

    def _tested(self, ranked: list[Candidate]) -> list[Candidate]:
        """Candidates with their held-out accuracy, the best first, until enough have passed."""
        enough = HASTY_FINALISTS if self._stopped == INTERRUPTED else FINALISTS
        made: list[Candidate] = []
        seen: set[tuple[str, str, str]] = set()
        for c in ranked:
            same = (c.model.digest, c.engine, repr(c.options))
            if same in seen:
                continue  # two shares may leave the same channels
            seen.add(same)
            try:
                made.append(self.bench.test(c))
            except EdgewrightError as error:
                made.append(replace(c, refused=(str(error),)))
            if sum(acceptable(m) for m in made) == enough or self._late():
                break
        return made

    def _rescaled(self, candidate: Candidate, base: Candidate) -> Candidate:
        """A latency that was found as a ratio, told against the baseline's last and best figure."""
        found = candidate.metrics.get("latency_ms")
        ratio = None if found is None else found.conditions.get("over_baseline")
        if found is None or ratio is None:
            return candidate
        scale = ratio * base.metrics["latency_ms"].value / found.value
        moved = replace(
            found, value=found.value * scale, low=(found.low or 0.0) * scale, high=(found.high or 0.0) * scale
        )
        return judge(replace(candidate, metrics={**candidate.metrics, "latency_ms": moved}), self.bench.constraints)

    def _late(self) -> bool:
        return time.monotonic() - self._begin > self.settings.budget_s

    def _tell(self, stage: str) -> None:
        now = time.monotonic() - self._begin
        good = [c for c in self.tried.values() if promising(c) and c.recipe]
        best = min(good, key=self.score, default=None)
        left = max(self.settings.budget_s - now, 0.0)
        self._progress(Progress(stage, len(self.tried), now, left, best, self.bench.baseline, self._first))


def one_of_each_engine(ranked: list[Candidate]) -> list[Candidate]:
    """``ranked`` with the best of each engine first: what only finalists are measured for (memory, cold start) differs
    most between engines, and a choice needs something to choose from."""
    heads = list({c.engine: c for c in reversed(ranked)}.values())
    heads.sort(key=ranked.index)
    return [*heads, *(c for c in ranked if c not in heads)]
