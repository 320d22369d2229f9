"""What goes into a bundle, before it is sealed and after it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgewright.bundles.heldout import HeldOut, read_held_out
from edgewright.core.candidate import Candidate, Constraint, Steps
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature
from edgewright.core.session import Arrays, EngineOptions
from edgewright.core.sketches import Sketch


@dataclass(frozen=True)
class Variant:
    """The model in the form one engine opens, and how it is opened. A bundle holds one for each engine.

    ``engine_version``: the release it was measured with; "" asks the installed engine when the bundle is sealed.
    """

    engine: str
    options: EngineOptions
    model: Model
    engine_version: str = ""

    @classmethod
    def of(cls, candidate: Candidate) -> Variant:
        """What a candidate ran on."""
        return cls(candidate.engine, candidate.options, candidate.model)


@dataclass(frozen=True)
class Call:
    """One golden call: inputs by name as the engine takes them, and the outputs it must give back."""

    inputs: Arrays
    outputs: Arrays


@dataclass(frozen=True)
class Tolerance:
    """A float y answers for a golden g when |y - g| <= ``absolute`` + ``relative`` |g|."""

    absolute: float
    relative: float


@dataclass(frozen=True)
class Golden:
    """Calls with known answers, and a tolerance for each output of floats (``bundles.record_golden`` finds both).

    Integers, booleans and strings must be equal; NaN must meet NaN and an infinity its own kind.
    """

    calls: tuple[Call, ...]
    tolerances: Mapping[str, Tolerance]


@dataclass(frozen=True)
class Contract:
    """What the bundle promises on ``target``: limits on metrics (``latency_p99_ms``, ``ram_bytes``, ``accuracy``).

    ``measured`` is what was seen when it was sealed, ``inputs`` what the inputs looked like: a sketch for each input's
    name and, for tables of few columns, each ``name[column]``. See ``bundles.sketch_inputs`` and ``bundles.promises``.
    """

    target: str
    limits: tuple[Constraint, ...] = ()
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    inputs: Mapping[str, Sketch] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetFact:
    """A set of samples the model or its measurements stand on. ``role``: calibration, search, test, training.

    ``licence`` is an SPDX expression, or "" when nobody has said.
    """

    name: str
    role: str
    digest: str
    samples: int
    licence: str = ""


@dataclass(frozen=True)
class BundleContent:
    """All that is sealed. Equal content and key give equal bytes: put in no clock, host name or path.

    ``source``: digest of the model it all began with. ``preprocessing`` and ``postprocessing``: JSON values as declared
    by the dataset, never code. ``labels``: class names by index. ``evidence``: file name to bytes (``report.json``,
    ``readiness.json``, ``heldout.json``). ``licence``: the model's own, as an SPDX expression.
    """

    name: str
    version: str
    source: str
    variants: tuple[Variant, ...]
    golden: Golden
    contract: Contract
    recipe: Steps = ()
    preprocessing: Mapping[str, Any] | None = None
    postprocessing: Mapping[str, Any] | None = None
    labels: tuple[str, ...] = ()
    datasets: tuple[DatasetFact, ...] = ()
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    task: str = ""
    licence: str = ""

    @property
    def signature(self) -> Signature:
        """The tensors' names, dtypes and shapes, the same for every variant."""
        return self.variants[0].model.signature

    @property
    def held_out(self) -> HeldOut | None:
        """What the model answered on held-out samples, if that is among the evidence."""
        return read_held_out(self.evidence)
