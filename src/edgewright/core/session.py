"""Session: an engine with a model open in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self, runtime_checkable

from numpy.typing import NDArray

from edgewright.core.model import Model, Signature

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by tensor name."""

GraphLevel = Literal["none", "basic", "extended", "all"]
Precision = Literal["f32", "bf16", "f16", "auto"]
Policy = Literal["fail", "degrade"]


@dataclass(frozen=True)
class EngineOptions:
    """How a model is run. Recorded with every measurement and in the bundle: what was measured is what is served.

    ``threads``: intra-operator threads, the caller's included. ``spinning``: workers burn a core while they wait.
    ``graph_level``: how far the engine may rewrite the graph. ``precision``: the accumulation type where the engine
    has a choice (OpenVINO would take bf16 by itself). ``provider``: "" for the engine's CPU; ``policy`` says whether a
    provider that is not there is an error or a reported step down.
    """

    threads: int = 1
    spinning: bool = False
    graph_level: GraphLevel = "all"
    precision: Precision = "f32"
    provider: str = ""
    policy: Policy = "fail"

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return asdict(self)


@runtime_checkable
class Session(Protocol):
    """A model open in an engine. ``close`` may be called twice; a closed session raises EngineError on ``infer``."""

    signature: Signature
    requested: str
    """The provider asked for."""
    provider: str
    """The provider that really runs the model."""

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs by name. Raises InputError on a wrong name, dtype or shape, EngineError on a failing run."""
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Engine(Protocol):
    """What an engine file offers. ``name`` is its key in the table; ``version`` names the library's release."""

    name: str

    def version(self) -> str:
        """The library's release, part of every cache key. Raises MissingExtra when it is not installed."""
        ...

    def providers(self) -> tuple[str, ...]:
        """Providers present on this machine, the CPU's first."""
        ...

    def open(self, model: Model, options: EngineOptions) -> Session:
        """A session. Raises EngineError when the model cannot be opened, InputError for a format it does not read."""
        ...
