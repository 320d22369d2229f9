"""The Pass contract: one rewriting, Model -> applied / unchanged / refused(reason).

An author writes ``rewrite`` and names a tolerance; the base holds the rest: the input stays as it was, the signature
is kept, the output is a valid graph, no number became NaN, and the answers stay within the stated tolerance or the
pass is refused. A pass is a frozen dataclass; its fields are its options and nothing else is.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, ClassVar, Literal

import numpy as np
import onnx
from threadpoolctl import threadpool_info, threadpool_limits

from edgewright import __version__
from edgewright.core.errors import EngineError, Refused
from edgewright.core.model import Model
from edgewright.core.samples import Samples
from edgewright.core.session import Arrays, EngineOptions
from edgewright.core.store import Store
from edgewright.engines import open_session


def _never() -> None:
    return None


@dataclass(frozen=True)
class Context:
    """What a pass may look at: calibration samples (None: it must do without), a seed, the target's traits.

    ``isa`` holds the target's instruction sets (``avx512_vnni``, ``neon_dotprod``...); ``checkpoint`` is called
    between units of work and raises to stop a run whose time is up.
    """

    calibration: Samples | None = None
    seed: int = 0
    isa: frozenset[str] = frozenset()
    checkpoint: Callable[[], None] = field(default=_never, compare=False)
    store: Store | None = field(default=None, compare=False)
    """Where results are kept by what they were made of; None: nowhere."""

    def samples(self) -> Samples:
        """The calibration samples. Raises Refused when there are none."""
        if self.calibration is None or len(self.calibration) == 0:
            raise Refused("needs calibration samples; pass --data")
        return self.calibration


@dataclass(frozen=True)
class PassResult:
    """What became of the model. ``model`` is the input itself unless the status is ``applied``."""

    status: Literal["applied", "unchanged", "refused"]
    model: Model
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Figures worth telling: layers touched, channels kept, SQNR. JSON values."""


@dataclass(frozen=True)
class Pass(ABC):
    """Base of every pass. Subclasses are frozen dataclasses and write ``rewrite``."""

    name: ClassVar[str]
    tolerance_db: ClassVar[float] = 80.0
    """Signal-to-quantization-noise ratio (dB) below which the answers no longer count as the model's own."""
    needs_data: ClassVar[bool] = False
    """Whether the result depends on calibration samples: part of what names it in the cache."""

    @abstractmethod
    def rewrite(self, model: Model, context: Context) -> PassResult | Model | None:
        """The rewritten model, a PassResult with facts, or None for 'nothing to do'. Raise Refused to decline."""

    def options(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def __call__(self, model: Model, context: Context) -> PassResult:
        """Rewrite and enforce the contract. Never raises for a graph it cannot handle: that is a refusal."""
        if context.store is None:
            return self._run(model, context)
        key = self.key(model, context)
        kept = context.store.get(key)
        if kept is not None:
            found = model if kept["model"] is None else context.store.get_model(kept["model"])
            if found is not None and found is not model:
                # The same bytes may have come here another way: the way to them is the input's.
                found = dataclasses.replace(found, lineage=(*model.lineage, *found.lineage))
            if found is not None:
                return PassResult(kept["status"], found, kept["reason"], kept["facts"])
        result = self._run(model, context)
        stored = None
        if result.status == "applied":
            steps = result.model.lineage[len(model.lineage) :]
            stored = context.store.put_model(dataclasses.replace(result.model, lineage=steps))
        context.store.put(
            key, {"status": result.status, "model": stored, "reason": result.reason, "facts": dict(result.facts)}
        )
        return result

    def key(self, model: Model, context: Context) -> list[Any]:
        """What names this pass's result on ``model``: digests, options, seed and versions. A JSON value."""
        data = context.calibration.digest if context.calibration is not None else ""
        return [
            "pass", self.name, self.options(), model.format, model.digest, data, context.seed, sorted(context.isa),
            versions(),
        ]  # fmt: skip

    def _run(self, model: Model, context: Context) -> PassResult:
        try:
            # Sums split over threads round otherwise: the bytes must not depend on how many cores there are.
            with threadpool_limits(1, user_api="blas"):
                found = self.rewrite(model, context)
        except Refused as refusal:
            return PassResult("refused", model, str(refusal))
        if found is None:
            return PassResult("unchanged", model)
        result = found if isinstance(found, PassResult) else PassResult("applied", found)
        if result.status != "applied":
            return dataclasses.replace(result, model=model)
        if result.model == model:
            return PassResult("unchanged", model, facts=result.facts)
        return self._enforce(model, result, context)

    def _enforce(self, before: Model, result: PassResult, context: Context) -> PassResult:
        after = result.model
        if after.signature != before.signature:
            return PassResult("refused", before, "the rewriting would change the model's signature")
        try:
            if after.format == "onnx" and len(after.files) == 1:
                onnx.checker.check_model(after.data)
            sqnr = agreement_db(before, after, probe(before, context))
        except (onnx.checker.ValidationError, EngineError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return PassResult("refused", before, f"the result does not run: {reason[:200]}")
        if sqnr < self.tolerance_db:
            why = f"the answers moved too far: {sqnr:.1f} dB where {self.name} promises {self.tolerance_db:g} dB"
            return PassResult("refused", before, why)
        return dataclasses.replace(result, facts={**result.facts, "sqnr_db": round(float(min(sqnr, 200.0)), 2)})


@functools.cache
def versions() -> dict[str, str]:
    """The software that decides the bytes a pass writes: part of what names its result, and of every report."""
    libraries = ("numpy", "scipy", "onnx", "onnx-ir", "onnxruntime")
    blas = sorted({f"{p['internal_api']} {p.get('architecture', '')}" for p in _blas()})
    return {"edgewright": __version__, **{name: version(name) for name in libraries}, "blas": ", ".join(blas)}


def _blas() -> list[dict[str, Any]]:
    """Each BLAS library in this process; the architecture is that of the kernels it chose for this processor."""
    return [part for part in threadpool_info() if part["user_api"] == "blas"]


def probe(model: Model, context: Context, count: int = 16) -> list[Arrays]:
    """A few inputs to compare answers on: calibration samples, else seeded noise of the right shape."""
    if context.calibration is not None and len(context.calibration):
        # A model of a fixed batch takes no other; what is left over at the end is not used.
        fixed = [s.shape[0] for s in model.signature.inputs if s.shape and isinstance(s.shape[0], int)]
        size = fixed[0] if fixed else 1
        whole = (b for b in context.calibration.batches(size) if len(next(iter(b.values()))) == size)
        batches: list[Arrays] = list(itertools.islice(whole, count))
        if batches:
            return batches
    rng = np.random.default_rng(context.seed)
    return [{s.name: noise(s.dtype, s.shape, rng) for s in model.signature.inputs} for _ in range(min(count, 4))]


def noise(dtype: str, shape: tuple[Any, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Seeded values of a dtype; dynamic sizes become 1."""
    sizes = [d if isinstance(d, int) and d > 0 else 1 for d in shape]
    if dtype == "bool":
        return rng.random(sizes) < 0.5
    if dtype == "str":
        return np.full(sizes, "a", dtype=object)
    if dtype.startswith(("int", "uint")):
        return rng.integers(0, 2, sizes).astype(dtype)
    return rng.standard_normal(sizes).astype(dtype)


def agreement_db(before: Model, after: Model, batches: list[Arrays]) -> float:
    """The smallest SQNR in dB over the float outputs: 10 log10(sum before^2 / sum (before - after)^2).

    Integer, boolean and string outputs count as 0 dB where fewer than half their values agree. A value that became
    NaN or infinite where it was finite counts as -inf.
    """
    options = EngineOptions(graph_level="basic")
    signal: dict[str, float] = {}
    error: dict[str, float] = {}
    with open_session(before, options=options) as first, open_session(after, options=options) as second:
        for batch in batches:
            a, b = first.infer(batch), second.infer(batch)
            for name, x in a.items():
                y = b[name]
                if x.shape != y.shape:
                    return -np.inf
                if x.dtype.kind != "f":
                    same = float(np.mean(x == y)) if x.size else 1.0
                    signal[name] = signal.get(name, 0.0) + 1.0
                    error[name] = error.get(name, 0.0) + 2.0 * (1.0 - same)
                    continue
                finite = np.isfinite(x)
                if not np.isfinite(y[finite]).all():
                    return -np.inf
                x, y = x[finite].astype(np.float64), y[finite].astype(np.float64)
                signal[name] = signal.get(name, 0.0) + float(np.sum(x * x))
                error[name] = error.get(name, 0.0) + float(np.sum((x - y) ** 2))
    worst = np.inf
    for name, power in signal.items():
        if error[name] > 0:
            worst = min(worst, 10 * np.log10(max(power, 1e-30) / error[name]))
    return float(worst)


__all__ = ["Context", "Pass", "PassResult", "Refused", "agreement_db", "noise", "probe", "versions"]
