"""Splits at work: a request that names a model but no version is given the version that its key draws."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from edgewright.core.errors import InputError
from edgewright.runtime.experiments.split import Keys, Split
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

NONE = "none"


class Splits:
    """One split for each model at most. ``seed`` makes the draws of requests without a key repeatable."""

    def __init__(self, repository: Repository, splits: Sequence[Split], seed: int | None = None) -> None:
        self._repository, self._keys = repository, Keys(seed)
        self._splits = {split.model: split for split in splits}
        self._lock = threading.Lock()
        self._drawn = {split.model: dict.fromkeys([*split.weights, NONE], 0) for split in splits}
        if len(self._splits) != len(splits):
            raise InputError("a model has two splits; keep one")

    def find(self, name: str = "", version: str = "", key: object = None) -> Served:
        """As the repository's ``find``, by key where the version is left open and the model is split.

        A version that is not there is passed over, and only its keys go elsewhere; when none is there, the latest
        answers. Raises NotFound, NotReady, and BadRequest for a key that is none.
        """
        if version:
            return self._repository.find(name, version)
        # A split answers even while the latest version cannot.
        split = self._splits.get(name or self._repository.find().source.name)
        if split is not None:
            for chosen in split.ranked(self._keys.key(key)):
                found = self._repository.find_version(split.model, chosen)
                if found is not None:
                    self._count(split.model, chosen)
                    return found
                self._repository.wanted(split.model)
            self._count(split.model, NONE)
        return self._repository.find(name)

    def shares(self, name: str) -> dict[str, float]:
        """The shares of the versions that are there now in the requests that name none, the largest first; {} where the
        model is not split, or none of its split's versions is there: then the latest answers."""
        split = self._splits.get(name or self._repository.find().source.name)
        if split is None:
            return {}
        found = {v: self._repository.find_version(split.model, v) for v in split.weights}
        there = {v: weight for v, weight in split.weights.items() if weight and found[v] is not None}
        total = sum(there.values())
        return {v: there[v] / total for v in sorted(there, key=lambda v: (-there[v], v))}

    def report(self) -> list[dict[str, Any]]:
        """For every split the shares that versions have while all are there, and how many requests each has drawn
        since the start (``none``: no version that has a share was there), as a JSON value."""
        with self._lock:
            drawn = {model: dict(counts) for model, counts in self._drawn.items()}
        made = []
        for model, split in sorted(self._splits.items()):
            total = sum(split.weights.values())
            shares = {version: weight / total for version, weight in split.weights.items()}
            made.append({"model": model, "shares": shares, "drawn": drawn[model]})
        return made

    def _count(self, model: str, version: str) -> None:
        with self._lock:  # requests come on several threads
            self._drawn[model][version] += 1

    def version(self, name: str = "", key: object = None) -> str:
        """The version that ``find`` finds, "" where the model is not split: for lanes that find by name and version."""
        if name and name not in self._splits:
            return ""
        found = self.find(name, "", key).source
        return found.version if found.name in self._splits else ""
