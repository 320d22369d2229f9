"""Answers: one model's candidates built, and their answers on the search split held against the model's own.

What is found is kept by what it was found of, so that whoever judged a candidate first, in this process, an earlier one
or on another machine that computes alike, did it for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

from edgewright.compression.contract import Context, versions
from edgewright.compression.recipe import Recipe
from edgewright.compression.search import Runner, Spec
from edgewright.core.candidate import Candidate, candidate_id
from edgewright.core.closing import Closing
from edgewright.core.digests import digest_json
from edgewright.core.errors import EngineError, InputError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions, Session
from edgewright.core.store import Store
from edgewright.datasets import Bound
from edgewright.engines import open_session
from edgewright.engines.session import answer_within
from edgewright.flows.settings import Settings
from edgewright.measurement.accuracy import AccuracyResult, Evaluation, compare, evaluate
from edgewright.measurement.conditions import environment
from edgewright.measurement.sizes import measure_sizes
from edgewright.measurement.subject import requests
from edgewright.targets import Target

Metrics = dict[str, Measurement]


class Answers(Closing):
    """Of ``source`` on ``bound``: the same run has the same wherever it is judged. ``checkpoint`` is called between
    units of work and raises to stop."""

    def __init__(
        self, source: Model, bound: Bound, machine: Target, settings: Settings, store: Store,
        checkpoint: Callable[[], None],
    ) -> None:  # fmt: skip
        self.source, self.splits, self.store = source, bound.splits(settings.seed), store
        self.context = Context(self.splits.calibration, settings.seed, machine.isa, checkpoint, store)
        self.runner = Runner("onnxruntime", EngineOptions(threads=settings.threads))
        self.inputs = requests(self.splits.search, source.signature, 8)
        self.facts: dict[str, Any] = {}
        """By candidate, what its passes told."""
        self.evaluations: dict[str, Evaluation] = {}
        """By split, the original's."""
        self._session: Session | None = None

    def open(self, metric: str | None, patience_s: float = 60.0) -> Evaluation:
        """Open the original and judge it on the search split. Raises InputError for what makes the model or data
        useless; a model that has not answered one request after ``patience_s`` is."""
        self._session = open_session(self.source, self.runner.engine, self.runner.options)
        try:
            answer_within(self._session, self.inputs[0], patience_s)
            found = evaluate(self._session, self.splits.search, metric, subject=self.source.digest,
                             checkpoint=self.context.checkpoint)  # fmt: skip
        except EngineError as error:
            raise InputError(f"the original does not run on these data: {error}") from error
        self.evaluations["search"] = found
        return found

    @property
    def opened(self) -> Session:
        """The original's. Raises EngineError before ``open``."""
        if self._session is None:
            raise EngineError("the original is not open yet; call open first")
        return self._session

    @property
    def choice(self) -> Any:
        """By which answers are judged."""
        return self.evaluations["search"].choice

    def identity(self, spec: Spec, data: str = "") -> str:
        """The candidate's; ``data``: the digest of what decides it ("": the calibration samples')."""
        data, runner = data or self.splits.calibration.digest, spec.runner
        return candidate_id(self.source.digest, spec.steps, data, runner.engine, runner.options.to_json())

    def build(self, spec: Spec) -> Candidate:
        """The candidate, without figures; refused where a pass refuses."""
        result = Recipe(spec.steps)(self.source, self.context)
        made = Candidate(self.identity(spec), spec.steps, result.model, spec.runner.engine, spec.runner.options)
        self.facts[made.id] = result.facts
        return replace(made, refused=(result.reason,)) if result.status == "refused" else made

    def judge(self, made: Candidate, session: Session) -> Metrics:
        """Its sizes, and what its answers in ``session`` are worth. Raises EngineError, InputError."""
        key, sizes = self._key(made), measure_sizes(made.model)
        if (kept := self.store.get(key)) is not None:
            return sizes | {name: Measurement.from_json(value) for name, value in kept.items()}
        found = evaluate(session, self.splits.search, self.choice, subject=made.model.digest,
                         checkpoint=self.context.checkpoint)  # fmt: skip
        metrics = accuracy_metrics(compare(self.evaluations["search"], found))
        self.store.put(key, {name: m.to_json() for name, m in metrics.items()})
        return sizes | metrics

    def ahead(self, spec: Spec) -> None:
        """Build and judge it for whoever asks later. What refuses here refuses there."""
        made = self.build(spec)
        if not made.refused and self.store.get(self._key(made)) is None:
            with suppress(EngineError, InputError), open_session(made.model, made.engine, made.options) as session:
                self.judge(made, session)

    def close(self) -> None:
        """Let go of the original."""
        if self._session is not None:
            self._session.close()

    def _key(self, made: Candidate) -> list[Any]:
        """Everything its answers depend on, and what they are held against: not which machine, but how it computes."""
        return ["answered", self.source.digest, made.model.digest, made.engine, made.options.to_json(),
                self.splits.search.digest, self.choice.to_json(), self.choice.metric.code(), arithmetic()]  # fmt: skip


@cache
def arithmetic() -> str:
    """Twelve digits naming what decides the numbers of a computation here: the processor's kind and the software."""
    facts = environment()
    same = ("cpu", "architecture", "isa", "libraries", "edgewright")
    return digest_json([{name: facts.get(name) for name in same}, versions()])[:12]


def accuracy_metrics(result: AccuracyResult) -> Metrics:
    """The metrics of a comparison: ``accuracy``, ``accuracy_drop`` and, where they apply, agreement and SQNR."""
    found: Mapping[str, Measurement | None] = {
        "accuracy": result.candidate, "accuracy_drop": result.drop, "agreement": result.agreement,
        "sqnr_db": result.sqnr_db, "worst_class_drop": result.worst_class,
    }  # fmt: skip
    return {name: m for name, m in found.items() if m is not None}
