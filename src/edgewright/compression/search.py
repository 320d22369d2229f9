"""The search: which candidates to try next, decided from what the others showed. Pure; it measures nothing itself.

Joint over structure (how many channels stay), number scheme (float, INT8 static or dynamic, mixed) and engine. Broad
first, so that a feasible answer comes early; then deep where it pays: the smallest structure that keeps its accuracy is
bracketed by bisection, and only the schemes that won at full structure are tried on it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from edgewright.core.candidate import Candidate, Clause, Steps
from edgewright.core.digests import digest_json
from edgewright.core.session import EngineOptions

Step = Mapping[str, Any]
INT8_STATIC = "int8_static"
SYMMETRIC = "s8_symmetric"
_INTERVAL = 2 * 1.96  # a 95% interval in standard errors
_LADDER = 4


@dataclass(frozen=True)
class Runner:
    """An engine with its options."""

    engine: str
    options: EngineOptions


@dataclass(frozen=True)
class Spec:
    """What to try: a recipe on a runner. ``stage`` says why, for people."""

    steps: Steps
    runner: Runner
    stage: str = ""

    @property
    def key(self) -> str:
        """Names it, whatever it is tried for."""
        return digest_json(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """A JSON value, without the stage; ``from_json`` reads it back."""
        options = self.runner.options.to_json()
        return {"steps": list(map(dict, self.steps)), "engine": self.runner.engine, "options": options}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Spec:
        """The spec that ``to_json`` told. Raises KeyError, TypeError for what it did not."""
        return cls(tuple(map(dict, value["steps"])), Runner(value["engine"], EngineOptions(**value["options"])))


@dataclass(frozen=True)
class Space:
    """What may be tried. ``products``: the model multiplies matrices outside convolutions; ``attention``: also with
    weights that a softmax computes.

    ``vnni``: the target multiplies 8-bit numbers without saturating; else weights get 7 bits. ``structure``: channels
    may go.
    """

    runners: tuple[Runner, ...]
    structure: bool = True
    products: bool = True
    attention: bool = False
    vnni: bool = True
    alignments: tuple[int, ...] = (16, 8)


Score = Callable[[Candidate], float]
Found = Generator[Spec, Candidate, None]


EXACT: Steps = ({"pass": "simplify"}, {"pass": "fuse"})
"""What every candidate begins with: rewritings that keep the numbers."""
SPELLED: Steps = ({"pass": "simplify"}, {"pass": "fuse", "attention": False})
"""The same with attention left spelled out, which OpenVINO may run faster."""


def explore(space: Space, score: Score) -> Found:
    """Yields what to try and is sent the judged candidate; ends when nothing promising is left."""
    trail = _Trail(space, score)
    yield from trail.exact_rewritings()
    yield from trail.number_types()
    if not trail.quantized(()):
        yield from trail.rescue(())
    if space.structure:
        yield from trail.structure()
    yield from trail.polish()


@dataclass
class _Trail:
    """What has been tried so far. A *structure* is the pruning steps; a *scheme* the number steps."""

    space: Space
    score: Score
    tried: dict[str, Candidate] = field(default_factory=dict)
    parts: dict[str, tuple[Steps, Steps, Runner]] = field(default_factory=dict)
    exact: dict[Runner, Steps] = field(default_factory=dict)

    def attempt(
        self, scheme: Steps, runner: Runner, stage: str, structure: Steps = ()
    ) -> Generator[Spec, Candidate, Candidate]:
        """Try one combination, unless it was tried; the candidate."""
        steps = (*self.exact.get(runner, EXACT), *structure, *scheme, {"pass": "strip"})
        spec = Spec(steps, runner, stage)
        if spec.key not in self.tried:
            found = yield spec
            self.tried[spec.key] = found
            self.parts[found.id] = (structure, scheme, runner)
        return self.tried[spec.key]

    def good(self, structure: Steps | None = None) -> list[Candidate]:
        """Feasible candidates, best first; of one structure if given."""
        found = [c for c in self.tried.values() if promising(c)]
        if structure is not None:
            found = [c for c in found if self.parts[c.id][0] == structure]
        return sorted(found, key=self.score)

    def quantized(self, structure: Steps) -> bool:
        """Whether some smaller number type holds its accuracy on a structure."""
        found = [c for c in self.tried.values() if self.parts[c.id][0] == structure and self.parts[c.id][1]]
        return any(map(accurate, found))

    def exact_rewritings(self) -> Found:
        """The float network on every runner; the spelling that runs faster is where everything else starts from."""
        for runner in self.space.runners:
            fused = yield from self.attempt((), runner, "exact rewritings")
            if self.space.attention and runner.engine == "openvino":
                self.exact[runner] = SPELLED
                spelled = yield from self.attempt((), runner, "exact rewritings")
                if spelled.refused or (not fused.refused and self.score(fused) <= self.score(spelled)):
                    del self.exact[runner]

    def number_types(self) -> Found:
        """Smaller numbers in the ways that may pay on this target, at full structure."""
        for runner in self.space.runners:
            yield from self.attempt((self.static(),), runner, "INT8 static")
            if self.space.products and runner.engine == "openvino":  # a zero point costs its products a correction
                yield from self.attempt((self.static(activations=SYMMETRIC),), runner, "INT8 static")
        for runner in self.space.runners:
            if self.space.products and runner.engine == "onnxruntime":
                yield from self.attempt(({"pass": "int8_dynamic"},), runner, "INT8 dynamic")
                yield from self.attempt(({"pass": "int4_weights", "block": 128},), runner, "INT4 weights")

    def static(self, **options: Any) -> Step:
        """The INT8 step for this target."""
        bits = {} if self.space.vnni else {"weight_bits": 7}
        return {"pass": INT8_STATIC, **bits, **options}

    def schemes(self, most: int = 2) -> list[tuple[Steps, Runner]]:
        """The number schemes that won at full structure, integer ones; near misses in accuracy count."""
        full = [c for c in self.tried.values() if c.metrics and self.parts[c.id][0] == () and self.parts[c.id][1]]
        ranked = sorted(full, key=lambda c: (not promising(c), self.score(c)))
        return [(self.parts[c.id][1], self.parts[c.id][2]) for c in ranked[:most]]

    def floats(self) -> list[Runner]:
        """Runners by how well they run the float model, those on which it keeps its limits first."""
        full = [c for c in self.tried.values() if c.metrics and self.parts[c.id][:2] == ((), ())]
        return [self.parts[c.id][2] for c in sorted(full, key=lambda c: (not promising(c), self.score(c)))]

    def rescue(self, structure: Steps) -> Found:
        """Other calibrations, then the most sensitive layers left in float, on the fastest schemes."""
        for scheme, runner in self.schemes(2):
            if scheme[0]["pass"] != INT8_STATIC:
                continue
            for method in ("mse", "percentile", "entropy"):
                step = {**scheme[0], "calibration": method}
                found = yield from self.attempt((step,), runner, f"{method} calibration", structure)
                if accurate(found):
                    return
            for count in (1, 2, 4, 8):
                step = {"pass": "mixed_precision", "float_layers": count}
                stage = "1 layer in float" if count == 1 else f"{count} layers in float"
                found = yield from self.attempt((step,), runner, stage, structure)
                if accurate(found):
                    return

    def structure(self) -> Found:
        """Bracket the smallest share of multiplies whose accuracy holds; finer blocks from there on."""
        runners = self.floats()
        if not runners:
            return
        coarse, *finer = self.space.alignments
        best = yield from self._bracket(runners[0], coarse)
        for align in finer:
            keep = 0.85 * (best or 0.6)
            for _ in range(3):
                before = {c.model.digest for c in self.tried.values()}
                held = yield from self._holds(keep, align, runners[0])
                plain = yield from self.attempt((), runners[0], "", self.prune(keep, align))
                if not held or plain.model.digest in before:
                    break
                best, keep = keep, 0.8 * keep
        # What just holds on the search samples may not on others: steps towards the whole, for the held-out test.
        made = any(c.metrics and self.parts[c.id][0] for c in self.tried.values())
        for step in range(1, _LADDER if made else 0):
            yield from self._holds((best or 0.5) ** (1 - step / _LADDER), coarse, runners[0])
        for align in self.space.alignments:
            structure = self.prune(best or 1.0, align)
            tried = [c for c in self.tried.values() if self.parts[c.id][0] == structure]
            if tried and not self.quantized(structure):
                yield from self.rescue(structure)

    def prune(self, keep: float, align: int) -> Steps:
        """The structure that keeps a share of the multiplies."""
        return ({"pass": "prune_channels", "keep": round(keep, 4), "align": align},)

    def _holds(self, keep: float, align: int, runner: Runner) -> Generator[Spec, Candidate, bool]:
        """Whether a structure keeps its accuracy: in float and, where that is not hopeless, on the best schemes.

        Other limits say nothing of the structure: what is too large in float may not be in INT8, or with less of it.
        """
        structure = self.prune(keep, align)
        stage = f"{keep:.0%} of the multiplies"
        plain = yield from self.attempt((), runner, stage, structure)
        held = accurate(plain)
        if nearly(plain):
            for scheme, where in self.schemes():
                found = yield from self.attempt(scheme, where, stage, structure)
                held = held or accurate(found)
        return held

    def _bracket(self, runner: Runner, align: int) -> Generator[Spec, Candidate, float | None]:
        """The smallest share that holds, within a fifth; None when none does or none can be made."""
        bad, good, keep = 0.0, 1.0, 0.5
        made: set[str] = set()
        for _ in range(9):
            held = yield from self._holds(keep, align, runner)
            plain = yield from self.attempt((), runner, "", self.prune(keep, align))
            if plain.model.digest in made or not plain.metrics:
                break  # nothing more can go
            made.add(plain.model.digest)
            if held:
                good = keep
            else:
                bad = keep
            if bad and good / bad < 1.2:
                break
            keep = good / 2 if not bad else sqrt(good * bad)
        return good if good < 1 else None

    def polish(self) -> Found:
        """Around the best: low-rank factors, other calibrations, and ranges that keep symmetric engines exact."""
        ranked = self.good()
        if ranked and self.space.products and self.space.structure:
            structure, _, runner = self.parts[ranked[0].id]
            factors = (*structure, {"pass": "low_rank", "energy": 0.99})
            yield from self.attempt((), runner, "low-rank factors", factors)
            for scheme, where in self.schemes():
                yield from self.attempt(scheme, where, "low-rank factors", factors)
        # A network this small may run fastest in float elsewhere than where the whole one did.
        for structure in {repr(self.parts[c.id][0]): self.parts[c.id][0] for c in ranked[:2]}.values():
            for runner in dict.fromkeys(self.floats()):
                yield from self.attempt((), runner, "float elsewhere", structure)
        for best in {c.id: c for c in (*self.good()[:2], *self.good(())[:1])}.values():
            structure, scheme, runner = self.parts[best.id]
            if not scheme or scheme[0]["pass"] != INT8_STATIC:
                continue
            others = [{"calibration": "mse"}, {"activations": SYMMETRIC}]
            for options in others[: 1 if runner.engine == "onnxruntime" else 2]:
                yield from self.attempt(({**scheme[0], **options},), runner, "calibration", structure)


def acceptable(candidate: Candidate) -> bool:
    """No known constraint is broken and nothing refused; metrics not measured yet do not count."""
    return _within(candidate, 0.0)


def promising(candidate: Candidate) -> bool:
    """Acceptable, or off in accuracy by no more than the doubt about it: the held-out test decides."""
    return _within(candidate, 1.0)


def accurate(candidate: Candidate) -> bool:
    """It ran, and loses no more than promising candidates do; its other figures do not count."""
    return _answers(candidate, 1.0)


def nearly(candidate: Candidate) -> bool:
    """It ran, and is off in accuracy by no more than twice the doubt: a different scheme may still make it."""
    return _answers(candidate, 2.0)


def _answers(candidate: Candidate, errors: float) -> bool:
    drops = (clause for clause in candidate.clauses if clause.constraint.metric == "accuracy_drop")
    return bool(candidate.metrics) and all(_forgiven(candidate, clause, errors) for clause in drops)


def _within(candidate: Candidate, errors: float) -> bool:
    return not candidate.refused and all(_forgiven(candidate, clause, errors) for clause in candidate.clauses)


def _forgiven(candidate: Candidate, clause: Clause, errors: float) -> bool:
    """Whether a clause is not known to be broken, or broken by no more than ``errors`` standard errors of the paired
    drop."""
    if clause.value is None or clause.kept:
        return True
    drop = candidate.metrics.get("accuracy_drop")
    if clause.constraint.metric != "accuracy_drop" or drop is None or drop.low is None or drop.high is None:
        return False
    return clause.value - errors * (drop.high - drop.low) / _INTERVAL <= clause.constraint.limit
