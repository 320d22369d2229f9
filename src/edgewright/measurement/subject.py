"""What is measured: a model with the engine and the options it would be served with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from edgewright.core.errors import InputError
from edgewright.core.model import Model, Signature
from edgewright.core.samples import Samples
from edgewright.core.session import Arrays, EngineOptions, Session
from edgewright.engines import open_session


@dataclass(frozen=True)
class Subject:
    """A model, and how it is run."""

    model: Model
    engine: str = "onnxruntime"
    options: EngineOptions = field(default_factory=EngineOptions)

    def open(self) -> Session:
        """A session. Raises as the engine's ``open`` does."""
        return open_session(self.model, self.engine, self.options)


def requests(samples: Samples, signature: Signature, count: int = 16) -> list[Arrays]:
    """At most ``count`` different requests for a model of this signature, one sample each.

    A model with a fixed batch size takes that many samples a request; what is left over is not used. Raises InputError
    when there are too few samples for one request.
    """
    sizes = {spec.shape[0] for spec in signature.inputs if spec.shape and isinstance(spec.shape[0], int)}
    batch = max((size for size in sizes if isinstance(size, int)), default=1)
    found = [rows for rows in islice(samples.batches(max(batch, 1)), count) if _rows(rows) == max(batch, 1)]
    if not found:
        raise InputError(f"the data has too few samples for one request of {batch}; give at least {batch}")
    return found


def _rows(arrays: Arrays) -> int:
    return max((array.shape[0] for array in arrays.values() if array.ndim), default=1)


def open_sizes(signature: Signature, request: Arrays) -> dict[str, int]:
    """The sizes that the signature leaves open by name, the batch apart, as this request has them."""
    return {
        name: size
        for spec in signature.inputs
        for name, size in zip(spec.shape[1:], request[spec.name].shape[1:], strict=False)
        if isinstance(name, str)
    }


def batch_of(inputs: Sequence[Arrays]) -> int:
    """How many samples one request holds."""
    return _rows(inputs[0])
