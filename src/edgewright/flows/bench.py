"""The bench: one model's candidates built, run and judged against its baseline, quickly during a search and
thoroughly at its end. What it measures is kept by what it was measured on, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgewright.bundles import HeldOut
from edgewright.compression.search import Runner, Spec, promising
from edgewright.compression.verdict import judge
from edgewright.core.candidate import Candidate, Constraint
from edgewright.core.closing import Closing
from edgewright.core.errors import EngineError, InputError
from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays
from edgewright.engines import open_session
from edgewright.flows.answers import Answers, Metrics, accuracy_metrics
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
from edgewright.measurement.subject import Subject
from edgewright.measurement.suite import Effort, measure_all

Limiter = Callable[[Measurement, bool], tuple[Constraint, ...]]
"""From the baseline's accuracy, and whether higher is better, to the constraints."""
_FRESH_S = 10.0
"""What a fresh process may take on a busy machine, however little time there is."""


@dataclass
class Bench(Closing):
    """Everything a candidate is judged by. ``start`` must have run before the others are called."""

    answers: Answers
    elsewhere: Elsewhere | None = None
    place: str = "host"
    """What the figures hold for: this machine, or the digest of another's description."""
    room: Room | None = None
    constraints: tuple[Constraint, ...] = ()
    baseline: Candidate | None = None
    accuracies: dict[str, AccuracyResult] = field(default_factory=dict)
    held_out: dict[str, HeldOut] = field(default_factory=dict)
    """By candidate, what a fleet's gates need of its answers on the test split, where they are classes with labels."""
    patience_s: float = 60.0
    _limits: Limiter | None = None

    def start(self, metric: str | None, limits: Limiter, patience_s: float = 60.0) -> Candidate:
        """Open the original, judge it on the search split, and time it. Raises InputError as ``Answers.open`` does."""
        self.patience_s = patience_s
        found, source = self.answers.open(metric, patience_s), self.answers.source
        same = compare(found, found)
        self._limits = limits
        self.constraints = limits(same.baseline, found.choice.metric.higher_is_better)
        spec = Spec((), self.answers.runner)
        identity = self.answers.identity(spec, self.answers.splits.search.digest)
        metrics = {**measure_sizes(source), **accuracy_metrics(same)}
        made = Candidate(identity, (), source, spec.runner.engine, spec.runner.options, metrics)
        kept = self._kept(made) if self.elsewhere is None else self.elsewhere.figures(made)
        if kept is None:
            plan = Plan(1.5, 0.0, self.answers.context.seed, tail_calls=200)
            result = measure_latency({"baseline": self.answers.opened}, self.answers.inputs, plan)
            kept = result["baseline"].measurements(source.digest)
            self._keep(made, kept)
        made = replace(made, metrics={**metrics, **kept})
        self.baseline = judge(made, self.constraints)
        return self.baseline

    def quick(self, spec: Spec) -> Candidate:
        """Build and judge one candidate on the search split, its latency as a ratio to the baseline beside it."""
        made = self.answers.build(spec)
        if made.refused:
            return made
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
        self.room = Room(self.answers.source, limit, self.answers.inputs, self._peak)
        return self.room.survey(runners)

    def _peak(self, subject: Subject, inputs: Sequence[Arrays]) -> Measurement:
        """``ram_bytes`` in one fresh process."""
        self.answers.context.checkpoint()
        search = self.answers.splits.search.digest
        key = ["memory", subject.model.digest, subject.engine, subject.options.to_json(), search, environment_digest()]
        kept = self.answers.store.get(key)
        if kept is not None:
            return Measurement.from_json(kept)
        found = measure_memory({"": subject}, inputs, runs=1, timeout_s=max(self.patience_s, _FRESH_S))[""]
        self.answers.store.put(key, found.to_json())
        return found

    def _quick(self, made: Candidate) -> Metrics:
        with open_session(made.model, made.engine, made.options) as session:
            metrics = self.answers.judge(made, session)
            if self.elsewhere is not None:
                return {**metrics, **self.elsewhere.figures(made)}
            timed = quick_latency(self.answers.opened, session, self.answers.inputs, budget_s=0.3,
                                  seed=self.answers.context.seed)  # fmt: skip
        base = self._base().metrics["latency_ms"]
        ratio = timed.ratio
        metrics["latency_ms"] = Measurement(
            ratio.value * base.value, "ms", "measured", ratio.n, ratio.low * base.value, ratio.high * base.value,
            conditions={"how": "ratio to the baseline beside it", "over_baseline": round(ratio.value, 4)},
            subject=made.model.digest,
        )  # fmt: skip
        return metrics

    def test_original(self) -> None:
        """The baseline's accuracy on the held-out test split, and its clauses anew; once."""
        answers, known = self.answers, self.answers.evaluations
        if "test" in known:
            return
        held = evaluate(answers.opened, answers.splits.test, answers.choice, subject=answers.source.digest)
        known["test"], base, same = held, self._base(), compare(held, held)
        if self._limits is not None:  # a limit that is a share of the baseline means the baseline on these samples
            self.constraints = self._limits(same.baseline, held.choice.metric.higher_is_better)
        self.baseline = judge(replace(base, metrics={**base.metrics, **accuracy_metrics(same)}), self.constraints)
        self.accuracies[base.id] = same
        self._hold(base.id, held)

    def test(self, candidate: Candidate) -> Candidate:
        """The candidate with its accuracy on the held-out test split, and its clauses anew."""
        self.test_original()
        answers, known, parts = self.answers, self.answers.evaluations, []
        with open_session(candidate.model, candidate.engine, candidate.options) as session:
            for split in (answers.splits.search, answers.splits.test):
                found = evaluate(session, split, answers.choice, subject=candidate.model.digest,
                                 checkpoint=answers.context.checkpoint)  # fmt: skip
                result = compare(known[split.name], found)
                parts.append(part(known[split.name], found, result))
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
        effort = Effort.within(budget_s, len(everyone), self.answers.context.seed)
        found = measure_all(subjects, self.answers.inputs, effort)
        made, facts = [], self.answers.facts
        for c in everyone:
            measured = found[c.id]
            latency = measured.latency.to_json() if measured.latency is not None else None
            facts[c.id] = {**facts.get(c.id, {}), "latency": latency, "missing": dict(measured.missing)}
            seen = {name: m for name, m in c.metrics.items() if m.kind != "predicted"}
            made.append(judge(replace(c, metrics={**seen, **measured.metrics}), self.constraints))
        self.baseline = made[0]
        return made

    def as_it_came(self) -> Candidate:
        """The original as a candidate of its own, with the baseline's figures, for where nothing made of it will do."""
        base = self._base()
        identity = self.answers.identity(Spec((), self.answers.runner))
        self.answers.facts[identity] = self.answers.facts.get(base.id, {})
        self.accuracies[identity] = self.accuracies[base.id]
        if base.id in self.held_out:
            self.held_out[identity] = self.held_out[base.id]
        return replace(base, id=identity)

    def close(self) -> None:
        """Let go of the baseline's session."""
        self.answers.close()

    def _hold(self, identity: str, found: Evaluation) -> None:
        made = held_out_of(found)
        if made is not None:
            self.held_out[identity] = made

    def _base(self) -> Candidate:
        if self.baseline is None:
            raise EngineError("the bench has no baseline yet; call start first")
        return self.baseline

    def _key(self, made: Candidate) -> list[Any]:
        """Everything a candidate's figures depend on; of the original itself the times alone are kept."""
        answers, what = self.answers, "measured" if made.recipe else "timed"
        return [what, answers.source.digest, made.model.digest, made.engine, made.options.to_json(),
                answers.splits.search.digest, answers.choice.to_json(), answers.choice.metric.code(), self.place,
                answers.context.seed, environment_digest()]  # fmt: skip

    def _kept(self, made: Candidate) -> Metrics | None:
        kept = self.answers.store.get(self._key(made))
        return None if kept is None else {name: Measurement.from_json(value) for name, value in kept.items()}

    def _keep(self, made: Candidate, metrics: Mapping[str, Measurement]) -> None:
        self.answers.store.put(self._key(made), {name: m.to_json() for name, m in metrics.items()})
