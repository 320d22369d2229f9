"""Splits: which version of a model answers a request. Pure: a key and weights to an order of versions.

Weighted rendezvous hashing: each version draws an exponential variable from the hash of its name and the key, divided
by its weight, and the smallest wins (Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
IEEE/ACM Transactions on Networking 6, 1998; with weights Schindelhauer and Schomaker, SPAA 2005). A version that is
added, removed or reweighted takes keys or gives them up, and no other key moves. Where several weights change at once,
no rule moves fewer keys for one change without moving more for another (Moulton and Jiang, "Maximally consistent
sampling and the Jaccard index of probability distributions", ICDM 2018).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from edgewright.core.errors import InputError
from edgewright.runtime.faults import BadRequest

_MOST_VERSIONS = 64
_MOST_KEY = 1024
_STEP = 2.0**-53


@dataclass(frozen=True)
class Split:
    """The weights of a model's versions: any scale, 0 for a version that answers only when it is named."""

    model: str
    weights: Mapping[str, float]
    _salted: tuple[tuple[str, float, bytes], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.weights) <= _MOST_VERSIONS:
            raise InputError(f"the split of {self.model!r} needs 1 to {_MOST_VERSIONS} versions with their weights")
        for version, weight in self.weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e12:
                raise InputError(f"the weight of {self.model!r} version {version!r} is no number from 0 on: {weight!r}")
        if not any(self.weights.values()):
            raise InputError(f"the split of {self.model!r} gives every version the weight 0; raise one")
        # The model's name goes in, so that who is in which half of one split says nothing about another.
        salted = tuple(
            (version, float(weight), blake2b(f"{self.model}\0{version}".encode(), digest_size=16).digest())
            for version, weight in sorted(self.weights.items())
            if weight
        )
        object.__setattr__(self, "_salted", salted)

    @classmethod
    def from_toml(cls, model: str, told: Mapping[str, Any]) -> Split:
        """From ``{version: weight}``. Raises InputError."""
        if not isinstance(told, Mapping):
            raise InputError(f"the split of {model!r} is no table; write it as split = {{ '1' = 90, '2' = 10 }}")
        return cls(model, dict(told))

    def ranked(self, key: bytes) -> list[str]:
        """All versions of some weight: the one that answers this key, the one that would if that were gone, and so on.

        The same on every device and in every process.
        """
        drawn = sorted((_draw(key, salt) / weight, version) for version, weight, salt in self._salted)
        return [version for _, version in drawn]


def _draw(key: bytes, salt: bytes) -> float:
    """An exponential variable of mean 1."""
    bits = int.from_bytes(blake2b(key, digest_size=8, key=salt).digest(), "big") >> 11
    return -math.log((bits + 0.5) * _STEP)


class Keys:
    """Keys as bytes. Who gives none gets a random one: seeded apart for each process, unless ``seed`` is given."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a share of traffic, no secret

    def key(self, told: object = None) -> bytes:
        """The key of a request. Raises BadRequest when it is neither a string nor a whole number, or too long."""
        if told is None:
            return self._random.randbytes(8)
        if isinstance(told, bool) or not isinstance(told, str | int):
            raise BadRequest("the parameter 'key' is neither a string nor a whole number")
        if isinstance(told, int):  # spelled like the string, so that JSON's 7 and a header's are one key
            told = str(told) if told.bit_length() <= _MOST_KEY else "x" * (_MOST_KEY + 1)
        raw = told.encode("utf-8", "surrogatepass")
        if len(raw) > _MOST_KEY:
            raise BadRequest(f"the parameter 'key' may have {_MOST_KEY} bytes")
        return raw
