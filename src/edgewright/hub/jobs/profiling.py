"""Profiling: what a job's child process does to tell how long each layer takes, and how sensitive it is."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.child import plain
from edgewright.core.digests import canonical_json
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.files import write_file
from edgewright.core.model import Model
from edgewright.core.session import Arrays, EngineOptions
from edgewright.hub.jobs.measuring import RESULT
from edgewright.hub.jobs.profiled import MOST_TOGETHER, NAME, NOTE, NOTES, WORD, fitted

if TYPE_CHECKING:
    from edgewright.core.samples import Samples
    from edgewright.measurement.profile import OperatorTime

_ENGINE = "onnxruntime"
_SAY_S, _MOST_TIMING_S = 0.3, 10.0
_REQUESTS, _ROUNDS, _RUNS = 16, 25, 5
_CALIBRATION, _FEWEST, _PROBES = 64, 4, 16
"""Samples that calibrate (as ``sensitivities`` has it), and no fewer than these; answers that are compared."""
_KERNELS = ("Conv", "Gemm", "MatMul")


class _LateError(Exception):
    """The time is up."""


def profile_layers(asked: dict[str, Any], say: Any) -> dict[str, Any]:
    """Times, then sensitivities until the time is up; ``out/result.json``. Raises as the engine does when the model
    runs on nothing that there is."""
    from edgewright.formats import load
    from edgewright.measurement.benchmarks import machine

    wish, began = asked["wish"], time.monotonic()
    say({"ready": True})
    model, notes = named(load(Path(asked["model"])))
    folded = _constants(model)
    samples, why = _samples(asked, model)
    teller = _Teller(say, began, wish["budget_s"])
    teller.tell("times", 0)
    rows, timed_on, timing = _times(model, samples, wish)
    found = list[dict[str, Any]]()
    if samples is not None:
        samples = enough(samples, model, sum(row.ms for row in rows) / 1000, teller.left())
        found, why = _sensitivities(model, samples, wish["seed"], teller)
    operators = [made for row in rows if (made := _operator(row, folded)) is not None]
    if len(operators) < len(rows):
        notes.append(f"{len(rows) - len(operators)} operators have names that cannot be shown, and were left out")
    result = {
        "operators": operators, "sensitivity": [one for one in found if _shown(one["layer"])],
        "why": plain(why)[:NOTE], "timed_on": timed_on,
        "samples": 0 if samples is None else min(len(samples), _CALIBRATION),
        "engine": _ENGINE, "threads": 1, "machine": machine(),
        "notes": [plain(one)[:NOTE] for one in [*notes, *timing]][: NOTES - 1],
    }  # fmt: skip
    Path(asked["out"]).mkdir(exist_ok=True)
    write_file(Path(asked["out"]) / RESULT, canonical_json(fitted(result)))
    return {"measured": len(operators), "sensitive": len(found)}


def named(model: Model) -> tuple[Model, list[str]]:
    """The model, its nodes without a name called as ``GET /versions/ID/graph`` calls them (``graphs.view``); notes on
    what cannot be told apart. Raises InputError."""
    from edgewright.formats.onnx import parse

    proto = parse(model.data)
    names = [node.name for node in proto.graph.node if node.name]
    notes = [] if len(set(names)) == len(names) else ["some layers have the same name; they are told together"]
    if proto.functions or len(names) == len(proto.graph.node):
        return model, notes
    for index, node in enumerate(proto.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return replace(model, files={**model.files, model.main: proto.SerializeToString()}), notes


def _constants(model: Model) -> set[str]:
    """Nodes that are no layers to people: constants written as operators."""
    from edgewright.formats.onnx import parse

    return {node.name for node in parse(model.data).graph.node if node.op_type == "Constant"}


def _samples(asked: dict[str, Any], model: Model) -> tuple[Samples | None, str]:
    """What an optimization would calibrate with; None and the reason where there is nothing that fits."""
    from edgewright.datasets import dataset

    if asked["data"] is None:
        return None, "no dataset was given; measure again with one"
    try:
        bound = dataset(asked["data"], **asked["reading"]).bind(model.signature)
        return bound.splits(asked["wish"]["seed"]).calibration, ""
    except EdgewrightError as error:
        return None, f"the dataset does not fit: {error}"


def enough(samples: Samples, model: Model, run_s: float, left_s: float) -> Samples:
    """As many of the samples as the time left is enough for, when one run takes ``run_s``: of a large network all
    layers on few samples tell more than the first layers on many."""
    from edgewright.formats.onnx import parse

    layers = sum(node.op_type in _KERNELS for node in parse(model.data).graph.node)
    sizes = [spec.shape[0] for spec in model.signature.inputs if spec.shape]
    batch = max((size for size in sizes if isinstance(size, int)), default=1)
    runs = _CALIBRATION
    # A run to calibrate; then for each layer one of the original and one of the quantized, which takes about twice it.
    while runs > _FEWEST and run_s * (runs + 3 * layers * min(runs, _PROBES)) > left_s:
        runs //= 2
    head = getattr(samples, "head", None)
    return samples if runs == _CALIBRATION or head is None else head(runs * max(batch, 1))


def _times(model: Model, samples: Samples | None, wish: dict[str, Any]) -> tuple[list[OperatorTime], str, list[str]]:
    """Operators, what they were timed on, notes."""
    from edgewright.measurement import drawn_requests
    from edgewright.measurement.subject import requests

    budget, notes = min(wish["budget_s"] / 4, _MOST_TIMING_S), list[str]()
    if samples is not None:
        try:
            return _rounds(model, requests(samples, model.signature, _REQUESTS), budget), "dataset", notes
        except InputError as error:
            notes.append(f"timed on noise: {error}")
    try:
        return _rounds(model, drawn_requests(model.signature, seed=wish["seed"]), budget), "noise", notes
    except EdgewrightError as error:
        raise InputError(f"it does not run on noise ({error}); measure it on a dataset that fits it") from error


def _rounds(model: Model, inputs: list[Arrays], budget_s: float) -> list[OperatorTime]:
    """Each operator's median over short rounds: a mean keeps every moment in which the machine did other things."""
    from edgewright.measurement.profile import profile

    rounds, end = list[list["OperatorTime"]](), time.monotonic() + budget_s
    while len(rounds) < _ROUNDS and (not rounds or time.monotonic() < end):
        rounds.append(profile(model, _ENGINE, EngineOptions(), inputs, runs=_RUNS, budget_s=budget_s / _ROUNDS))
    return medians(rounds)


def medians(rounds: Sequence[Sequence[OperatorTime]]) -> list[OperatorTime]:
    """The operators of the first round with their median times, the slowest first."""
    seen: dict[tuple[int, str], list[float]] = {}
    for row in itertools.chain(*rounds):
        seen.setdefault((row.order, row.name), []).append(row.ms)
    rows = [replace(row, ms=statistics.median(seen[row.order, row.name])) for row in rounds[0]]
    total = sum(row.ms for row in rows) or 1.0
    return sorted((replace(row, share=row.ms / total) for row in rows), key=lambda row: (-row.ms, row.order))


def _sensitivities(model: Model, samples: Samples, seed: int, teller: _Teller) -> tuple[list[dict[str, Any]], str]:
    """Each layer's SQNR in dB, most sensitive first; why there are none, or not all."""
    from edgewright.compression.contract import Context
    from edgewright.compression.passes.int8_static import Int8Static
    from edgewright.compression.quantization.sensitivity import Sensitivity, sensitivities

    known, why = list[Sensitivity](), ""

    def checkpoint() -> None:
        if teller.left() <= 0:
            raise _LateError
        teller.tell("sensitivity", len(known))

    teller.tell("sensitivity", 0)
    try:
        sensitivities(model, Int8Static(), Context(samples, seed, checkpoint=checkpoint), known.append)
        if not known:
            why = "it holds no convolution or matrix product with constant float32 weights: nothing to quantize alone"
    except _LateError:
        why = f"the time was up after {len(known)} of them; give it longer for the others"
    except EdgewrightError as error:
        why = str(error)
    ranked = sorted(known, key=lambda one: one.sqnr_db)
    return [{"layer": one.layer, "sqnr_db": round(one.sqnr_db, 2)} for one in ranked], why


def _operator(row: OperatorTime, folded: Collection[str]) -> dict[str, Any] | None:
    """As the result has it; None for one whose names are not fit for it."""
    layers = [name for name in row.sources if name not in folded]
    if not all(map(_shown, (row.name, *layers))):
        return None
    told = row.to_json()
    return {
        "name": row.name, "op": row.op_type[:WORD], "kernel": row.kernel[:WORD], "ms": told["ms"],
        "share": min(told["share"], 1.0), "layers": layers[:MOST_TOGETHER],
    }  # fmt: skip


def _shown(name: str) -> bool:
    return len(name) <= NAME and "\0" not in name


class _Teller:
    """Says how far it is, some times a second."""

    def __init__(self, say: Any, began: float, budget_s: float) -> None:
        self._say, self._began, self._budget, self._told, self._stage = say, began, budget_s, 0.0, ""

    def left(self) -> float:
        """Seconds."""
        return self._budget - (time.monotonic() - self._began)

    def tell(self, stage: str, tried: int) -> None:
        """``stage``: times or sensitivity; ``tried``: layers that are done in it."""
        elapsed = time.monotonic() - self._began
        if stage == self._stage and elapsed - self._told < _SAY_S:
            return
        self._told, self._stage = elapsed, stage
        told = {"stage": stage, "tried": tried, "elapsed_s": round(elapsed, 2), "left_s": round(max(self.left(), 0), 2)}
        self._say({"progress": told | {"best": None, "baseline": None}})
