"""Advice: engine, number types and recipe for a model on a target, each with its reason and source.

The decisions are rows of data (``advice/data``); this module asks them in order and adds what can be predicted. Nothing
is measured: every figure here is of kind ``predicted`` and is to be replaced by a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgewright.advice.coverage import ENGINES, Coverage
from edgewright.advice.facts import facts_of, platform, shares
from edgewright.advice.foresight import in_type, remedies
from edgewright.advice.inspection import Inspection, inspect
from edgewright.advice.rules import Fact, Row, rows, speaking
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model
from edgewright.core.workload import Workload
from edgewright.targets import NumberType, Target, predict_latency
from edgewright.targets import fits as problems_of


@dataclass(frozen=True)
class Choice:
    """A decision with the row that made it. ``source`` is where the reason comes from."""

    value: str
    reason: str
    source: str
    row: str

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {"value": self.value, "reason": self.reason, "source": self.source, "row": self.row}


@dataclass(frozen=True)
class NumberAdvice:
    """One number type: to try or to avoid, the share of MACs the engine covers, and the latency predicted with it."""

    choice: Choice
    verdict: Literal["try", "avoid"]
    coverage: Coverage | None
    latency: Measurement | None

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            **self.choice.to_json(),
            "verdict": self.verdict,
            "macs_share": self.coverage.macs_share if self.coverage else None,
            "latency": self.latency.to_json() if self.latency else None,
        }


@dataclass(frozen=True)
class Step:
    """One pass of the recipe, ``{"pass": name, **options}``, and why."""

    step: Mapping[str, Any]
    reason: str
    source: str
    row: str

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {"step": dict(self.step), "reason": self.reason, "source": self.source, "row": self.row}


@dataclass(frozen=True)
class Advice:
    """What to try first. ``framework`` is the field's choice, ``engine`` the one Edgewright runs (``also``: others
    worth a measurement). ``problems`` say why the model does not fit the target as it is, ``remedies`` what would make
    it fit. ``latency`` is predicted for the model as it is.
    """

    inspection: Inspection
    target: Target
    platform: str
    framework: Choice
    engine: Choice
    also: tuple[str, ...]
    number_types: tuple[NumberAdvice, ...]
    recipe: tuple[Step, ...]
    fallbacks: tuple[Step, ...]
    problems: tuple[str, ...]
    remedies: tuple[str, ...]
    latency: Measurement
    accelerated: tuple[Measurement, ...] = ()
    """Predicted latency on each accelerator whose arithmetic rate is stated, in its best type."""

    def steps(self) -> tuple[Mapping[str, Any], ...]:
        """The recipe as pass calls."""
        return tuple(step.step for step in self.recipe)

    def to_json(self) -> dict[str, Any]:
        """A JSON value; the inspection's figures that it rests on included."""
        kin = self.inspection.kinship
        return {
            "digest": self.inspection.model.digest,
            "target": self.target.name,
            "platform": self.platform,
            "family": kin.family if kin else None,
            "domain": kin.domain if kin else None,
            "framework": self.framework.to_json(),
            "engine": self.engine.to_json(),
            "also": list(self.also),
            "number_types": [number.to_json() for number in self.number_types],
            "recipe": [step.to_json() for step in self.recipe],
            "fallbacks": [step.to_json() for step in self.fallbacks],
            "fits": not self.problems,
            "problems": list(self.problems),
            "remedies": list(self.remedies),
            "latency": self.latency.to_json(),
            "accelerated": [one.to_json() for one in self.accelerated],
        }


def advise(model: Model, target: Target, batch: int = 1, dims: Mapping[str, int] | None = None) -> Advice:
    """What to do with ``model`` on ``target``. Raises InputError for a model without an ONNX graph or a damaged one."""
    return advise_on(inspect(model, batch, dims, target.isa), target)


def advise_on(found: Inspection, target: Target) -> Advice:
    """``advise`` on a model that was inspected for the target's instruction sets."""
    costs = found.workload
    if costs is None:
        raise InputError(f"advice needs an ONNX graph, not {found.model.format}; give the model this one was made of")
    problems = tuple(problems_of(costs, found.model.size_bytes, target))
    facts = facts_of(found, target, fits=not problems)
    framework = _first(speaking(rows("frameworks"), facts))
    row = _engine(facts, target)
    engine = Choice(row.rest["choice"], row.reason, row.source, row.id)
    facts |= shares(found, engine.value)
    numbers = tuple(_numbers(facts, found, target, engine.value))
    facts["number_type"] = next((n.choice.value for n in numbers if n.verdict == "try"), "fp32")
    told = list(speaking(rows("recipe"), facts))
    convertible = facts["openvino_share"] == 1
    return Advice(
        inspection=found,
        target=target,
        platform=platform(target),
        framework=framework,
        engine=engine,
        also=tuple(e for e in row.rest.get("also", ()) if e in target.engines and (e != "openvino" or convertible)),
        number_types=numbers,
        recipe=tuple(_step(one) for one in _once(r for r in told if not r.rest.get("fallback"))),
        fallbacks=tuple(_step(one) for one in told if one.rest.get("fallback")),
        problems=problems,
        remedies=tuple(remedies(found, target)) if problems else (),
        latency=predict_latency(costs, target),
        accelerated=tuple(_accelerated(costs, target)),
    )


def _first(told: Iterator[Row]) -> Choice:
    row = next(told)  # the last row holds always; a test sees to it
    return Choice(row.rest["choice"], row.reason, row.source, row.id)


def _engine(facts: Mapping[str, Fact], target: Target) -> Row:
    """The first row that speaks and whose engine the target has."""
    for row in speaking(rows("engines"), facts):
        if row.rest["choice"] in target.engines:
            return row
    there = ", ".join(target.engines)
    raise InputError(
        f"no engine of {target.name} ({there}) is one that advice/data/engines.toml speaks of for this model"
    )


def _numbers(facts: Mapping[str, Fact], found: Inspection, target: Target, engine: str) -> Iterator[NumberAdvice]:
    """Number types in the table's order, the first row that speaks of each."""
    seen: set[str] = set()
    for row in speaking(rows("numbers"), facts):
        name = row.rest["choice"]
        if name in seen:
            continue
        seen.add(name)
        # A type that is an option of the other engine is covered there; for engines that read the graph elsewhere,
        # ONNX Runtime's rules stand in.
        runner = "openvino" if name in ("bf16", "fp16") and "openvino" in target.engines else engine
        runner = runner if runner in ENGINES else "onnxruntime"
        covered = next((c for c in found.coverage if (c.engine, c.number_type) == (runner, name)), None)
        verdict = row.rest["verdict"]
        latency = None
        if verdict == "try" and covered is not None and found.workload is not None:
            latency = predict_latency(in_type(found.workload, covered), target)
        yield NumberAdvice(Choice(name, row.reason, row.source, row.id), verdict, covered, latency)


def _accelerated(costs: Workload, target: Target) -> Iterator[Measurement]:
    """In the smallest type the accelerator states a rate for: what a converted model could reach there."""
    order: tuple[NumberType, ...] = ("int8", "fp16", "bf16", "fp32")
    for accelerator in target.accelerators:
        chosen = next((kind for kind in order if kind in accelerator.compute), None)
        if chosen is not None and costs.macs:
            yield predict_latency(costs, target, chosen, accelerator=accelerator.name)


def _once(told: Iterator[Row]) -> Iterator[Row]:
    """The first row of each pass: two reasons for one repair are one step."""
    seen: set[str] = set()
    for row in told:
        name = row.rest["step"]["pass"]
        if name not in seen:
            seen.add(name)
            yield row


def _step(row: Row) -> Step:
    return Step(row.rest["step"], row.reason, row.source, row.id)
