"""Records of shadows: what is asked for, what waits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.runtime.experiments.comparison import Comparison
from edgewright.runtime.served import Served

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Shadow:
    """``version`` of ``model`` is asked what other versions answered, for at most ``share`` of one core's time."""

    model: str
    version: str
    share: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.version, str) or not self.version:
            raise InputError(f"the shadow of {self.model!r} names no version in quotes; write it as version = '2'")
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 < self.share <= 0.5:
            raise InputError(f"the share of {self.model!r}'s shadow lies between 0 and 0.5, not {self.share!r}")

    @classmethod
    def from_toml(cls, model: str, told: Mapping[str, Any]) -> Shadow:
        """From ``{version, share?}``. Raises InputError."""
        if not isinstance(told, Mapping) or "version" not in told or told.keys() - {"version", "share"}:
            raise InputError(f"the shadow of {model!r} is written as shadow = {{ version = '2', share = 0.05 }}")
        return cls(model, **told)


@dataclass(frozen=True)
class Asked:
    """A request that was answered by version ``number``, with copies of what was asked and told."""

    shadow: Shadow
    number: int
    names: dict[str, str]
    inputs: Arrays
    outputs: Arrays
    size: int


@dataclass
class Beside:
    """A version that is nobody's but its shadow's: ``served`` since ``began`` (the clock's s). ``asked``: requests that
    others answered meanwhile; ``rows`` that were compared, and ``disagreed`` of them; ``answering``: who answered last,
    and how long its usual run takes in s."""

    shadow: Shadow
    served: Served
    began: float
    asked: int = 0
    rows: int = 0
    disagreed: int = 0
    answering: tuple[str, float] = "", 0.0


@dataclass(frozen=True)
class Totals:
    """What the shadow ``version`` of ``model`` did: ``whole`` has all outputs as one, under no name; ``shed`` by
    reason; ``waiting`` is now."""

    model: str
    version: str
    whole: Comparison
    waiting: int
    shed: Mapping[str, int]
