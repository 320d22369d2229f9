"""The bench: one model's candidates built, run and judged against its baseline, quickly during a search and
thoroughly at its end. What it measures is kept by what it was measured on, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgewright.bundles import HeldOut
from edgewright.compression.contract import Context
from edgewright.compression.recipe import Recipe
from edgewright.compression.search import Runner, Spec, promising
from edgewright.compression.verdict import judge
from edgewright.core.candidate import Candidate, Constraint, candidate_id
from edgewright.core.errors import EngineError, InputError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model
from edgewright.core.session import Arrays, EngineOptions, Session
from edgewright.core.store import Store
from edgewright.datasets import Splits
from edgewright.engines import open_session
from edgewright.engines.session import answer_within
from edgewright.flows.elsewhere import Elsewhere
from edgewright.flows.evidence import part, weigh
from edgewright.flows.heldout import held_out_of
from edgewright.flows.room import Room
from edgewright.measurement.accuracy import AccuracyResult, Evaluation, compare, evaluate
from edgewright.measurement.conditions import environment_digest
from edgewright.measurement.decisions import quick_latency
from edgewright.measurement.latency import Plan, measure_latency
from edgewright.measurement.memory import measure_memory
from edgewright.measurement.sizes import measure_sizes
from edgewright.measurement.subject import Subject, requests
from edgewright.measurement.suite import Effort, measure_all

Metrics = dict[str, Measurement]
Limiter = Callable[[Measurement, bool], tuple[Constraint, ...]]
"""From the baseline's accuracy, and whether higher is better, to the constraints."""
BASELINE = Runner("onnxruntime", EngineOptions())
_FRESH_S = 10.0
"""What a fresh process may take on a busy machine, however little time there is."""


@dataclass
class Bench:
    """Everything a candidate is judged by. ``start`` must have run before the others are called."""

    source: Model
    splits: Splits
    context: Context
    store: Store
    threads: int = 1
    elsewhere: Elsewhere | None = None
    room: Room | None = None
    place: str = "host"
    """What the figures hold for: this machine, or the digest of another's description."""
    constraints: tuple[Constraint, ...] = ()
    choice: Any = None
    inputs: list[Arrays] = field(default_factory=list)
    baseline: Candidate | None = None
    accuracies: dict[str, AccuracyResult] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    held_out: dict[str, HeldOut] = field(default_factory=dict)
    """By candidate, what a fleet's gates need of its answers on the test split, where they are classes with labels."""
    patience_s: float = 60.0
    _limits: Limiter | None = None
    _session: Session | None = None
    _evaluations: dict[str, Evaluation] = field(default_factory=dict)

    def start(self, metric: str | None, limits: Limiter, patience_s: float = 60.0) -> Candidate:
        """Open the original, judge it on the search split, and time it. Raises InputError for what makes the model or
        data useless; a model that has not answered one request after ``patience_s`` is."""
        self.patience_s = patience_s
        runner = replace(BASELINE, options=replace(BASELINE.options, threads=self.threads))
        self._session = open_session(self.source, runner.engine, runner.options)
        self.inputs = requests(self.splits.search, self.source.signature, 8)
        try:
            answer_within(self._session, self.inputs[0], patience_s)
            found = evaluate(self._session, self.splits.search, metric, subject=self.source.digest,
                             checkpoint=self.context.checkpoint)  # fmt: skip
        except EngineError as error:
            raise InputError(f"the original does not run on these data: {error}") from error
        self.choice, self._evaluations["search"] = found.choice, found
        same = compare(found, found)
        self._limits = limits
        self.constraints = limits(same.baseline, found.choice.metric.higher_is_better)
        metrics = {**measure_sizes(self.source), **accuracy_metrics(same)}
        identity = candidate_id(
            self.source.digest, (), self.splits.search.digest, runner.engine, runner.options.to_json()
        )
        made = Candidate(identity, (), self.source, runner.engine, runner.options, metrics)
        kept = self._kept(made) if self.elsewhere is None else self.elsewhere.figures(made)
        if kept is None:
            result = measure_latency(
                {"baseline": self._session}, self.inputs, Plan(1.5, 0.0, self.context.seed, tail_calls=200)
            )
            kept = result["baseline"].measurements(self.source.digest)
            self._keep(made, kept)
        made = replace(made, metrics={**metrics, **kept})
        self.baseline = judge(made, self.constraints)
        return self.baseline

    def quick(self, spec: Spec) -> Candidate:
        """Build and judge one candidate on the search split, its latency as a ratio to the baseline beside it."""
        runner = spec.runner
        identity = candidate_id(
            self.source.digest, spec.steps, self.splits.calibration.digest, runner.engine, runner.options.to_json()
        )
        result = Recipe(spec.steps)(self.source, self.context)
        made = Candidate(identity, spec.steps, result.model, runner.engine, runner.options)
        self.facts[identity] = result.facts
        if result.status == "refused":
            return replace(made, refused=(result.reason,))
        metrics: Metrics | None = self._kept(made)
        if metrics is None:
            try:
                metrics = self._quick(made)
            except (EngineError, InputError) as error:
                return replace(made, refused=(str(error),))
            self._keep(made, metrics)
        misfits = () if self.elsewhere is None else self.elsewhere.misfits(made)
        judged = judge(replace(made, metrics=metrics, refused=misfits), self.constraints)
        if self.room is None or not promising(judged):
            return judged
        return judge(replace(judged, metrics={**metrics, **self.room.figures(judged)}), self.constraints)

    def survey(self, runners: Sequence[Runner]) -> tuple[tuple[Runner, ...], list[str]]:
        """The runners on which the limit on memory can be kept, if there is one, and why the others are left out."""
        limit = next((c.limit for c in self.constraints if c.metric == "ram_bytes"), None)
        if limit is None or self.elsewhere is not None:
            return tuple(runners), []
        self.room = Room(self.source, limit, self.inputs, self._peak)
        return self.room.survey(runners)

    def _peak(self, subject: Subject, inputs: Sequence[Arrays]) -> Measurement:
        """``ram_bytes`` in one fresh process."""
        self.context.checkpoint()
        key = ["memory", subject.model.digest, subject.engine, subject.options.to_json(), self.splits.search.digest,
               environment_digest()]  # fmt: skip
        kept = self.store.get(key)
        if kept is not None:
            return Measurement.from_json(kept)
        found = measure_memory({"": subject}, inputs, runs=1, timeout_s=max(self.patience_s, _FRESH_S))[""]
        self.store.put(key, found.to_json())
        return found

    def _quick(self, made: Candidate) -> Metrics:
        with open_session(made.model, made.engine, made.options) as session:
            found = evaluate(session, self.splits.search, self.choice, subject=made.model.digest,
                             checkpoint=self.context.checkpoint)  # fmt: skip
            metrics = {**measure_sizes(made.model), **accuracy_metrics(compare(self._evaluations["search"], found))}
            if self.elsewhere is not None:
                return {**metrics, **self.elsewhere.figures(made)}
            timed = quick_latency(self._opened(), session, self.inputs, budget_s=0.3, seed=self.context.seed)
        base = self._base().metrics["latency_ms"]
        ratio = timed.ratio
        metrics["latency_ms"] = Measurement(
            ratio.value * base.value, "ms", "measured", ratio.n, ratio.low * base.value, ratio.high * base.value,
            conditions={"how": "ratio to the baseline beside it", "over_baseline": round(ratio.value, 4)},
            subject=made.model.digest,
        )  # fmt: skip
        return metrics

    def test(self, candidate: Candidate) -> Candidate:
        """The candidate with its accuracy on the held-out test split, and its clauses anew."""
        if "test" not in self._evaluations:
            held = evaluate(self._opened(), self.splits.test, self.choice, subject=self.source.digest)
            self._evaluations["test"], base, same = held, self._base(), compare(held, held)
            if self._limits is not None:  # a limit that is a share of the baseline means the baseline on these samples
                self.constraints = self._limits(same.baseline, held.choice.metric.higher_is_better)
            self.baseline = judge(replace(base, metrics={**base.metrics, **accuracy_metrics(same)}), self.constraints)
            self.accuracies[base.id] = same
            self._hold(base.id, held)
        parts = []
        with open_session(candidate.model, candidate.engine, candidate.options) as session:
            for split in (self.splits.search, self.splits.test):
                found = evaluate(session, split, self.choice, subject=candidate.model.digest,
                                 checkpoint=self.context.checkpoint)  # fmt: skip
                result = compare(self._evaluations[split.name], found)
                parts.append(part(self._evaluations[split.name], found, result))
        self.accuracies[candidate.id] = result
        self._hold(candidate.id, found)
        tested = judge(replace(candidate, metrics={**candidate.metrics, **accuracy_metrics(result)}), self.constraints)
        limit = next((c for c in self.constraints if c.metric == "accuracy_drop"), None)
        refused, doubts = ((), ()) if limit is None else weigh(parts, limit.limit, limit.unit)
        return replace(tested, refused=(*tested.refused, *refused), doubts=doubts)

    def together(self, candidates: Sequence[Candidate], budget_s: float) -> list[Candidate]:
        """All candidates and the baseline measured in one interleaved run; the baseline comes first.

        On a target that is not here their figures are predictions already, and nothing is timed.
        """
        base = self._base()
        everyone = [base, *(c for c in candidates if c.id != base.id)]
        if self.elsewhere is not None:
            return everyone
        subjects = {c.id: Subject(c.model, c.engine, c.options) for c in everyone}
        found = measure_all(subjects, self.inputs, Effort.within(budget_s, len(everyone), self.context.seed))
        made = []
        for c in everyone:
            measured = found[c.id]
            latency = measured.latency.to_json() if measured.latency is not None else None
            self.facts[c.id] = {**self.facts.get(c.id, {}), "latency": latency, "missing": dict(measured.missing)}
            seen = {name: m for name, m in c.metrics.items() if m.kind != "predicted"}
            made.append(judge(replace(c, metrics={**seen, **measured.metrics}), self.constraints))
        self.baseline = made[0]
        return made

    def as_it_came(self) -> Candidate:
        """The original as a candidate of its own, with the baseline's figures, for where nothing made of it will do."""
        base = self._base()
        identity = candidate_id(
            self.source.digest, (), self.splits.calibration.digest, base.engine, base.options.to_json()
        )
        self.facts[identity] = self.facts.get(base.id, {})
        self.accuracies[identity] = self.accuracies[base.id]
        if base.id in self.held_out:
            self.held_out[identity] = self.held_out[base.id]
        return replace(base, id=identity)

    def close(self) -> None:
        """Let go of the baseline's session."""
        if self._session is not None:
            self._session.close()

    def _hold(self, identity: str, found: Evaluation) -> None:
        made = held_out_of(found)
        if made is not None:
            self.held_out[identity] = made

    def _base(self) -> Candidate:
        if self.baseline is None:
            raise EngineError("the bench has no baseline yet; call start first")
        return self.baseline

    def _opened(self) -> Session:
        if self._session is None:
            raise EngineError("the bench has no baseline yet; call start first")
        return self._session

    def _key(self, made: Candidate) -> list[Any]:
        """Everything a candidate's figures depend on."""
        return ["measured", made.id, made.model.digest, self.splits.search.digest, self.choice.to_json(),
                self.choice.metric.code(), self.place, self.context.seed, environment_digest()]  # fmt: skip

    def _kept(self, made: Candidate) -> Metrics | None:
        kept = self.store.get(self._key(made))
        return None if kept is None else {name: Measurement.from_json(value) for name, value in kept.items()}

    def _keep(self, made: Candidate, metrics: Mapping[str, Measurement]) -> None:
        self.store.put(self._key(made), {name: m.to_json() for name, m in metrics.items()})


def accuracy_metrics(result: AccuracyResult) -> Metrics:
    """The metrics of a comparison: ``accuracy``, ``accuracy_drop`` and, where they apply, agreement and SQNR."""
    found = {"accuracy": result.candidate, "accuracy_drop": result.drop, "agreement": result.agreement,
             "sqnr_db": result.sqnr_db, "worst_class_drop": result.worst_class}  # fmt: skip
    return {name: m for name, m in found.items() if m is not None}
