"""Room: what of a limit on memory is left for a model on each engine, known before the search spends time on it.

What an engine's library touches once it runs a model is often far more than the model (OpenVINO: 40 MB for one
addition), and no rewriting gets it back. So each runner is seen twice in a fresh process, with the smallest model there
is and with the original; a line through both predicts the candidates. A prediction is not a measurement: where its
range leaves the limit open a fresh process answers, and finalists are measured in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgewright.compression.search import Runner
from edgewright.core.candidate import Candidate
from edgewright.core.errors import EdgewrightError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import Arrays
from edgewright.graphs.costs import workload
from edgewright.measurement.subject import Subject, open_sizes

COPIES = 6.0
"""How many bytes an engine takes at its peak for each byte of weights and activations, at most: the file, what was read
of it, packed copies. Seen: 2.8 (products) to 4.5 (convolutions in ONNX Runtime, 28 MB of weights)."""
RANGE = (0.75, 1.7)
"""Measured over predicted peak: 0.81 to 1.58 seen, over products and convolutions of 0.2 to 50 MB in float and INT8,
whole and pruned, on ONNX Runtime and OpenVINO. Kernels that only INT8 touches are why it is more so often."""

Peak = Callable[[Subject, Sequence[Arrays]], Measurement]
"""``ram_bytes`` of a subject in a fresh process; raises EdgewrightError."""


@dataclass(frozen=True)
class Need:
    """What a runner takes: ``base_bytes`` whatever the model, and ``per_byte`` of its weights and activations."""

    base_bytes: float
    per_byte: float = 0.0

    @classmethod
    def between(cls, smallest: float, whole: float, content: int) -> Need:
        """From the peaks with the smallest model and with one whose weights and activations are ``content`` bytes.

        What no number of copies explains, up to ``COPIES``, is the engine's own for models with these operators.
        """
        per_byte = min(max(whole - smallest, 0.0) / max(content, 1), COPIES)
        return cls(whole - per_byte * content, per_byte)

    def predicted(self, content: int, subject: str = "") -> Measurement:
        """``ram_bytes`` of a model with ``content`` bytes of weights and activations, kind ``predicted``."""
        value = self.base_bytes + self.per_byte * content
        low, high = max(RANGE[0] * value, self.base_bytes), RANGE[1] * value
        told = {
            "how": "line through the peaks with the smallest model and with the original",
            "range": "seen of others",
        }
        return Measurement(value, "B", "predicted", 1, low, high, told, subject=subject)


@dataclass
class Room:
    """``limit`` in bytes; ``peak`` measures; ``inputs`` are whole requests for the original and all made of it."""

    source: Model
    limit: float
    inputs: Sequence[Arrays]
    peak: Peak
    needs: dict[Runner, Need] = field(default_factory=dict)

    def survey(self, runners: Sequence[Runner]) -> tuple[tuple[Runner, ...], list[str]]:
        """The runners that a model made of the source may fit on, and why the others are left out.

        Where none is left, the one that takes least is, so that the search can show what comes nearest.
        """
        notes = []
        for runner in runners:
            try:
                self.needs[runner] = self._need(runner)
            except EdgewrightError as error:
                notes.append(f"what {_told(runner)} takes of memory is not known before the finals: {error}")
        over = [r for r in runners if r in self.needs and self.needs[r].base_bytes > self.limit]
        if not over:
            return tuple(runners), notes
        spared = min(over, key=lambda r: self.needs[r].base_bytes) if len(over) == len(runners) else None
        takes = ", ".join(f"{_told(r)} {self.needs[r].base_bytes / 1e6:.3g} MB" for r in over)
        so = f"{_told(spared)} is searched for what comes nearest" if spared else "so left out of the search"
        notes.append(f"memory without a model's own part: {takes}; {self.limit / 1e6:g} MB are allowed, {so}")
        return tuple(r for r in runners if r is spared or r not in over), notes

    def figures(self, candidate: Candidate) -> dict[str, Measurement]:
        """``ram_bytes`` of a candidate: predicted, or measured in one fresh process where the prediction leaves open
        whether the limit is kept; empty where neither is known."""
        need = self.needs.get(Runner(candidate.engine, candidate.options))
        if need is None:
            return {}
        found = need.predicted(self._content(candidate.model), candidate.model.digest)
        if found.low is not None and found.high is not None and found.low <= self.limit < found.high:
            try:
                found = self.peak(Subject(candidate.model, candidate.engine, candidate.options), self.inputs)
            except EdgewrightError:
                return {}
        return {"ram_bytes": found}

    def _need(self, runner: Runner) -> Need:
        model, request = smallest()
        floor = self.peak(Subject(model, runner.engine, runner.options), [request]).value
        if floor > self.limit:
            return Need(floor)
        whole = self.peak(Subject(self.source, runner.engine, runner.options), self.inputs).value
        return Need.between(floor, whole, self._content(self.source))

    def _content(self, model: Model) -> int:
        cost = workload(model, dims=open_sizes(model.signature, self.inputs[0]))
        return cost.weight_bytes + cost.peak_activation_bytes


def smallest() -> tuple[Model, Mapping[str, np.ndarray]]:
    """The smallest model that an engine runs, the sum of a number with itself, and a request for it."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "smallest", [x], [y])
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    signature = Signature((TensorSpec("x", "float32", (1,)),), (TensorSpec("y", "float32", (1,)),))
    return Model("onnx", "model.onnx", {"model.onnx": whole.SerializeToString()}, signature), {"x": np.ones(1, "f4")}


def _told(runner: Runner) -> str:
    """A runner by what sets it apart."""
    options = runner.options
    precision = "" if options.precision == "f32" else f" in {options.precision}"
    return f"{runner.engine}{precision}{f' on {options.provider}' if options.provider else ''}"
