"""Compile: a trained model, data and a target in; measured candidates, a Pareto front and a verdict out.

The only place where compression meets measurement. The search decides, the bench measures, this file keeps the time:
it stops when the search has nothing left, the budget is spent or the user interrupts, and always hands back what is
known by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgewright.compression.foresight import foresee
from edgewright.compression.search import Space, Spec, acceptable, explore, promising
from edgewright.compression.verdict import nearest, pareto, refuse_false_wins
from edgewright.core.candidate import Candidate, Constraint
from edgewright.core.cpus import check_threads
from edgewright.core.digests import digest_json
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model
from edgewright.core.store import Store
from edgewright.datasets import Bound, dataset
from edgewright.engines import unverified
from edgewright.flows.answers import Answers
from edgewright.flows.bench import Bench
from edgewright.flows.budget import HASTY, Budget
from edgewright.flows.elsewhere import Elsewhere
from edgewright.flows.finals import again, choose, finalists, gains, one_of_each_engine, rescaled, slower, tested
from edgewright.flows.hints import doubted, guesses
from edgewright.flows.limits import Limits
from edgewright.flows.others import AHEAD, Others
from edgewright.flows.outcome import INTERRUPTED, NOTHING_WON, Result
from edgewright.flows.settings import Progress, Settings, settle
from edgewright.flows.space import space_for
from edgewright.measurement.subject import open_sizes
from edgewright.targets import HOST, Target
from edgewright.targets import target as find_target

_MOST_FINALS_S = 20.0
"""Seconds beyond which a quicker end is worth more than narrower intervals."""


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
    others: Others | None = None,
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
        if machine.name == HOST:
            check_threads(chosen.threads)
        bound = dataset(data).bind(source.signature)
        result = _Run(source, bound, machine, chosen, limits, Store(folder), progress, others).result()
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
        progress: Callable[[Progress], None], others: Others | None,
    ) -> None:  # fmt: skip
        self.source, self.machine, self.settings, self.limits = source, machine, settings, limits
        self.bound = bound
        self._progress, self._others = progress, others
        self._begin = time.monotonic()
        self._budget = Budget(settings.budget_s)
        self._deadline = self._begin + self._budget.search_s
        self._armed = True
        self._first: float | None = None
        self._stopped = ""
        self.tried: dict[str, Candidate] = {}
        self.notes: list[str] = []
        self.answers = Answers(source, bound, machine, settings, store, self._checkpoint)
        self.splits = self.answers.splits
        self.bench = Bench(self.answers)
        if machine.name != HOST:
            sizes = open_sizes(source.signature, self.answers.inputs[0])
            self.bench.elsewhere = Elsewhere(machine, settings.threads, sizes)
            self.bench.place = digest_json(machine.to_json())

    def result(self) -> Result:
        """Search, then measure the finalists with care."""
        try:
            self._tell("measuring the original")
            try:
                self.bench.start(self.settings.metric, self._constraints, self._budget.seconds / 5)
            except _BudgetSpentError:
                raise InputError(
                    f"the original alone took the time there is to answer its {len(self.splits.search):,} samples; "
                    f"give a budget longer than {self.settings.budget_s:g} s, or less data"
                ) from None
            self._tell("measuring the original", self.bench.baseline)
            try:
                self._search()
            except _BudgetSpentError:
                self._stopped = "the budget was spent"
            except KeyboardInterrupt:
                self._stopped = INTERRUPTED
            self._armed = False
            if self._others is not None:
                self._others.offer(())
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
        if self.limits.memory_mb is not None:
            self._tell("memory of each engine")
        runners, notes = self.bench.survey(space.runners)
        self.notes.extend(notes)
        space = replace(space, runners=runners)
        known: dict[str, Candidate] = {}
        paths = explore(space, self.score) if self.settings.only is None else _alone(self.settings.only)
        spec = next(paths, None)
        while spec is not None:
            self._checkpoint()
            self._tell(f"{spec.stage} · {spec.runner.engine}")
            self._ahead(space, known, spec)
            found = self.bench.quick(spec)
            self.tried[found.id] = known[spec.key] = found
            if self._first is None and promising(found) and found.recipe and not slower(found, self.bench.baseline):
                self._first = time.monotonic() - self._begin
            self._tell(f"{spec.stage} · {spec.runner.engine}", found)
            try:
                spec = paths.send(found)
            except StopIteration:
                spec = None
        if self.settings.only is not None:
            self._check_made()

    def _check_made(self) -> None:
        """Of one candidate alone: raises InputError where it could not be made or run."""
        for found in self.tried.values():
            if found.refused and not found.metrics:
                raise InputError(f"candidate {found.id} cannot be made: {found.refused[0]}")

    def _ahead(self, space: Space, known: dict[str, Candidate], now: Spec) -> None:
        """Have others do what comes after this, and wait for this if one of them has it."""
        if self._others is not None and self.bench.baseline is not None and self.settings.only is None:
            limits = self.bench.constraints
            self._others.offer(foresee(space, self.score, known, self.bench.baseline, limits, AHEAD)[1:])
            self._others.wait(now, self.answers.ahead, self._checkpoint)

    def score(self, candidate: Candidate) -> float:
        """The preference's score against the baseline; less is better."""
        base = self.bench.baseline
        return self.settings.preference.score(candidate, {} if base is None else base.metrics)

    def _conclude(self) -> Result:
        """Held-out accuracy in the order of the score, until enough candidates have passed; those side by side.

        A user who interrupted is waiting: fewer candidates, and only the time they need.
        """
        time_left = HASTY if self._stopped == INTERRUPTED else self._budget
        known = self.bench.baseline
        if known is not None:  # what is known to be a false win by now must not keep others from the finals
            kept = refuse_false_wins(self.tried.values(), known.metrics["latency_ms"])
            self.tried = {c.id: c for c in kept}
        compared = any("latency_ms" in c.metrics for c in self.tried.values() if c.recipe)
        only = self.settings.only
        original = compared if only is None else not only.steps  # whether it may be the answer
        if compared or original:  # where all are false wins already it is, and it is tested like one
            self.bench.test_original()
        ranked = one_of_each_engine(sorted(filter(promising, self.tried.values()), key=self.score))
        seen: list[Candidate] = []
        measured: list[Candidate] = []
        rest = ranked
        for last in (False, True):
            self._tell("finalists on held-out samples")
            new = tested(self.bench, rest, time_left.finalists, self._late)
            seen += new
            chosen = finalists(new, time_left.finalists)
            if not chosen and not last:
                chosen = new[:2] or tested(self.bench, nearest(self.tried.values(), 2), 2, self._late)
            self._tell("finalists side by side")
            base, *more = self.bench.together(chosen, self._finals_s(time_left))
            measured += more
            for one in (base, *more):
                self._tell("finalists side by side", one)
            everyone = {**self.tried, **{c.id: c for c in seen}, **{c.id: c for c in measured}}
            told = [rescaled(c, base, self.bench) for c in everyone.values()]
            judged = refuse_false_wins(told, base.metrics["latency_ms"])
            timed = {c.id for c in measured}
            finals = [c for c in judged if c.id in timed]
            best = choose(finals, base, self.score)
            rest = again(ranked, seen, finals, best, self.score)
            if not rest or self._late() or self._stopped == INTERRUPTED:
                break
        if best is None and base.feasible and original:
            best = self.bench.as_it_came()
            judged, finals = [*judged, best], [*finals, best]
        return Result(
            source=self.source, bound=self.bound, splits=self.splits, target=self.machine,
            settings=self.settings, baseline=base, candidates=tuple(judged), finals=tuple(finals), best=best,
            pareto=tuple(pareto(c for c in finals if c.feasible)), constraints=self.bench.constraints,
            stopped=self._stopped, elapsed_s=time.monotonic() - self._begin, first_feasible_s=self._first,
            facts=self.answers.facts, accuracies=self.bench.accuracies, choice=self.answers.choice,
            context=self.answers.context, inputs=tuple(self.answers.inputs), notes=tuple(self._notes(finals, best)),
            held_out=self.bench.held_out,
        )  # fmt: skip

    def _notes(self, finals: list[Candidate], best: Candidate | None) -> list[str]:
        """What a reader must know: stand-ins, providers that nobody has verified, and that nothing was won."""
        base = self.bench.baseline
        told = [unverified(c.engine, c.options.provider) for c in finals]
        told.append("" if base is None else guesses(base, self.bench.accuracies.get(base.id)))
        told.append("" if best is None else doubted(best, finals, self.score))
        if best is not None and not gains(best, self.bench.baseline or best):
            what = "nothing found is faster or smaller beyond doubt" if best.recipe else "it goes as it came"
            told.append(f"{NOTHING_WON}: {what}")
        return list(dict.fromkeys([*self.notes, *(note for note in told if note)]))

    def _finals_s(self, time_left: Budget) -> float:
        """The finals' share, and something of what an early end of the search has left."""
        if self.settings.only is not None:  # nothing is chosen among several
            return min(time_left.finals_s, _MOST_FINALS_S)
        unspent = self._begin + self._budget.seconds - time.monotonic()
        return max(time_left.finals_s, 0.0 if time_left is HASTY else min(0.4 * unspent, _MOST_FINALS_S))

    def _late(self) -> bool:
        return time.monotonic() - self._begin > self.settings.budget_s

    def _tell(self, stage: str, found: Candidate | None = None) -> None:
        now = time.monotonic() - self._begin
        base = self.bench.baseline
        good = [c for c in self.tried.values() if acceptable(c) and c.recipe and not slower(c, base)]
        best = min(good, key=self.score, default=None)
        left = max(self.settings.budget_s - now, 0.0)
        self._progress(Progress(stage, len(self.tried), now, left, best, base, self._first, found))


def _alone(spec: Spec) -> Generator[Spec, Candidate, None]:
    """As ``explore``, for one candidate; the original is measured in any case."""
    if spec.steps:
        yield replace(spec, stage="the one that was chosen")
