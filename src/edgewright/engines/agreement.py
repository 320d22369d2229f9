"""Whether two models answer alike: the same seeded inputs through an engine each, compared number by number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError
from edgewright.core.model import Model, Signature
from edgewright.core.session import Arrays, EngineOptions
from edgewright.engines import open_session


@dataclass(frozen=True)
class Agreement:
    """How far two models' answers lie apart, over all outputs and samples.

    ``max_abs_error``: the largest difference of two float values, in the outputs' own unit. ``sqnr_db``: the worst
    float output's 10 log10(sum a^2 / sum (a - b)^2); infinite where nothing differs, minus infinite where a shape or
    a NaN does. ``mismatched``: the share of whole, boolean and string values that differ.
    """

    samples: int
    max_abs_error: float
    sqnr_db: float
    mismatched: float

    def to_json(self) -> dict[str, Any]:
        """A JSON value; an SQNR that is not finite becomes null, ``identical`` tells which of the two it was."""
        return {
            "samples": self.samples,
            "max_abs_error": self.max_abs_error if math.isfinite(self.max_abs_error) else None,
            "sqnr_db": round(self.sqnr_db, 2) if math.isfinite(self.sqnr_db) else None,
            "mismatched": self.mismatched,
            "identical": self.sqnr_db == math.inf and self.mismatched == 0,
        }


def engine_for(model: Model) -> str:
    """The engine whose answers count for a format: OpenVINO for its IR, ONNX Runtime for the others."""
    return "openvino" if model.format == "openvino" else "onnxruntime"


def sample_inputs(signature: Signature, count: int = 8, seed: int = 0) -> list[Arrays]:
    """Seeded inputs of a signature: normal noise, 0 and 1 for whole numbers; sizes that vary become 1."""
    rng = np.random.default_rng(seed)

    def array(dtype: str, shape: Sequence[Any]) -> NDArray[Any]:
        sizes = [size if isinstance(size, int) else 1 for size in shape]
        if dtype == "str":
            return np.full(sizes, "a", dtype=object)
        if dtype == "bool":
            return rng.random(sizes) < 0.5
        if dtype.startswith(("int", "uint")):
            return rng.integers(0, 2, sizes).astype(dtype)
        return np.asarray(rng.standard_normal(sizes)).astype(dtype)

    return [{spec.name: array(spec.dtype, spec.shape) for spec in signature.inputs} for _ in range(count)]


def agreement(before: Model, after: Model, inputs: Sequence[Arrays]) -> Agreement:
    """Answers of both models on ``inputs``, each in its format's engine, in single precision and one thread.

    Raises EngineError where a model cannot be opened or run, or where the two name their outputs differently.
    """
    options = EngineOptions(graph_level="basic")
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    largest, differing, whole = 0.0, 0, 0
    with (
        open_session(before, engine_for(before), options) as first,
        open_session(after, engine_for(after), options) as second,
    ):
        for batch in inputs:
            a, b = first.infer(batch), second.infer(batch)
            if a.keys() != b.keys():
                raise EngineError(f"the outputs were {sorted(a)} and are now {sorted(b)}; they cannot be compared")
            for name, want in a.items():
                have = b[name]
                if want.shape != have.shape:
                    return Agreement(len(inputs), math.inf, -math.inf, 1.0)
                if want.dtype.kind != "f":
                    differing += int(np.sum(want != have))
                    whole += want.size
                    continue
                x, y = want.astype(np.float64), have.astype(np.float64)
                finite = np.isfinite(x)
                if not np.array_equal(finite, np.isfinite(y)):
                    return Agreement(len(inputs), math.inf, -math.inf, 1.0)
                error = x[finite] - y[finite]
                largest = max(largest, float(np.abs(error).max(initial=0.0)))
                signal[name] = signal.get(name, 0.0) + float(np.sum(x[finite] ** 2))
                noise[name] = noise.get(name, 0.0) + float(np.sum(error**2))
    ratios = [10 * math.log10(max(signal[n], 1e-30) / noise[n]) for n in signal if noise[n] > 0]
    return Agreement(len(inputs), largest, min(ratios, default=math.inf), differing / whole if whole else 0.0)
