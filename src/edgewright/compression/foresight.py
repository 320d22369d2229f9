"""Foresight: what a search will probably try next, so that others build and judge it before its turn comes.

The search itself is asked: it goes once more over what is known, and what it wants to know beyond that is answered with
a guess. One guess is that everything keeps its accuracy, the other that nothing does; what both ways ask for is told
alternately, the nearest first. A wrong guess costs others their time, never the search: it goes its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, zip_longest

from edgewright.compression.search import Found, Score, Space, Spec, explore
from edgewright.compression.verdict import judge
from edgewright.core.candidate import Candidate, Constraint
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature

_LOST = 1e9
"""Points: more than any limit forgives."""


def foresee(
    space: Space, score: Score, known: Mapping[str, Candidate], like: Candidate, limits: tuple[Constraint, ...],
    most: int,
) -> list[Spec]:  # fmt: skip
    """At most ``most`` specs whose keys are not ``known``, in the order in which their turn may come; the first is what
    ``explore`` asks for now. Guesses have the figures of ``like``, the original, and are held against ``limits``."""
    ways = [
        _follow(explore(space, score), known, lambda spec: _guess(spec, like, limits, 0.0), most),
        _follow(explore(space, score), known, lambda spec: _guess(spec, like, limits, _LOST), most),
    ]
    both = [spec for spec in chain(*zip_longest(*ways)) if spec is not None]
    return list({spec.key: spec for spec in reversed(both)}.values())[::-1][:most]


def _follow(
    paths: Found, known: Mapping[str, Candidate], guess: Callable[[Spec], Candidate], most: int
) -> list[Spec]:  # fmt: skip
    found: list[Spec] = []
    spec = next(paths, None)
    while spec is not None and len(found) < most:
        candidate = known.get(spec.key)
        if candidate is None:
            found.append(spec)
            candidate = guess(spec)
        try:
            spec = paths.send(candidate)
        except StopIteration:
            break
    return found


def _guess(spec: Spec, like: Candidate, limits: tuple[Constraint, ...], lost: float) -> Candidate:
    """A candidate that nobody built: each recipe makes a model of its own."""
    model = Model("onnx", "guess", {"guess": repr(spec.steps).encode()}, Signature((), ()))
    drop = {"accuracy_drop": Measurement(lost, "points", "predicted")}
    made = Candidate(spec.key, spec.steps, model, spec.runner.engine, spec.runner.options, {**like.metrics, **drop})
    return judge(made, limits)
