"""The search, driven by judges that answer from a formula: it ends, repeats nothing and finds what there is to find."""

import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.compression.search import Runner, Space, Spec, acceptable, accurate, explore, nearly, promising
from edgewright.compression.verdict import Preference, judge
from edgewright.core.candidate import Candidate, Constraint, candidate_id
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import EngineOptions

MOST = 150
"""More proposals than any search may make."""
SPEC = TensorSpec("x", "float32", (1,))
SIGNATURE = Signature((SPEC,), (SPEC,))
ORT, VINO = (Runner(name, EngineOptions()) for name in ("onnxruntime", "openvino"))
DROP = Constraint("accuracy_drop", "max", 0.5, "points")
NARROW = ("int8_static", "int8_dynamic", "int4_weights", "mixed_precision", "low_rank")


def measured(value, unit, spread=0.0):
    return Measurement(value, unit, "measured", 100, value - spread, value + spread)


@dataclass
class Judge:
    """Accuracy falls below ``least`` of the multiplies; latency and size follow the multiplies and the numbers.

    ``refuses`` names passes that decline; ``loses`` gives points lost to a pass; ``block``: structures come in steps
    of this share, so that near ones make the same model. Remembers what it was asked.
    """

    least: float = 0.3
    refuses: tuple[str, ...] = ()
    loses: dict[str, float] = field(default_factory=dict)
    block: float = 1e-6
    constraints: tuple[Constraint, ...] = (DROP,)
    asked: list[Spec] = field(default_factory=list)

    def share(self, spec: Spec) -> float:
        keep = next((s["keep"] for s in spec.steps if s["pass"] == "prune_channels"), 1.0)
        return max(math.ceil(keep / self.block) * self.block, self.block)

    def __call__(self, spec: Spec) -> Candidate:
        self.asked.append(spec)
        names = [s["pass"] for s in spec.steps]
        identity = candidate_id("source", spec.steps, "data", spec.runner.engine, spec.runner.options.to_json())
        kept = [s for s in spec.steps if s["pass"] != "prune_channels"]
        model = Model("onnx", "m", {"m": repr([self.share(spec), kept]).encode()}, SIGNATURE)
        made = Candidate(identity, spec.steps, model, spec.runner.engine, spec.runner.options)
        declined = [n for n in names if n in self.refuses]
        if declined:
            source = Model("onnx", "m", {"m": b"source"}, SIGNATURE)
            return Candidate(identity, spec.steps, source, made.engine, made.options, refused=(f"{declined[0]}: no",))
        share = self.share(spec)
        numbers = 0.4 if set(names) & set(NARROW) else 1.0
        drop = sum(self.loses.get(n, 0.0) for n in names) + (0.0 if share >= self.least else 40.0)
        metrics = {
            "latency_ms": measured(share * numbers * (0.9 if spec.runner is VINO else 1.0), "ms"),
            "size_bytes": measured(1000 * share * numbers, "B"),
            "accuracy_drop": measured(drop, "points", 0.1),
        }
        return judge(Candidate(**{**vars(made), "metrics": metrics}), self.constraints)


def score(candidate: Candidate) -> float:
    one = {"latency_ms": measured(1.0, "ms"), "size_bytes": measured(1000.0, "B")}
    return Preference().score(candidate, one)


def drive(judge_, space: Space) -> list[Candidate]:
    """All candidates of a whole search."""
    found: list[Candidate] = []
    paths = explore(space, score)
    spec = next(paths, None)
    while spec is not None:
        assert len(found) < MOST, "the search does not end"
        found.append(judge_(spec))
        try:
            spec = paths.send(found[-1])
        except StopIteration:
            spec = None
    return found


def spaces():
    return st.builds(
        Space,
        runners=st.sampled_from([(), (ORT,), (VINO,), (ORT, VINO), (VINO, ORT)]),
        structure=st.booleans(), products=st.booleans(), attention=st.booleans(), vnni=st.booleans(),
        alignments=st.sampled_from([(16,), (16, 8), (32, 16, 8)]),
    )  # fmt: skip


def shares_tried(judge_) -> list[float]:
    return [s["keep"] for spec in judge_.asked for s in spec.steps if s["pass"] == "prune_channels"]


@settings(max_examples=150)
@given(
    space=spaces(),
    least=st.floats(0.0, 1.5),
    block=st.sampled_from([1e-6, 0.05, 0.25]),
    refuses=st.lists(st.sampled_from(["prune_channels", "fuse", *NARROW]), max_size=4).map(tuple),
    loses=st.dictionaries(st.sampled_from(["prune_channels", *NARROW]), st.floats(-1, 3), max_size=4),
)
def test_it_always_ends_and_never_asks_the_same_twice(space, least, block, refuses, loses):
    asked = Judge(least, refuses, loses, block)
    drive(asked, space)
    seen = [(repr(spec.steps), spec.runner) for spec in asked.asked]
    assert len(seen) == len(set(seen))
    assert {spec.runner for spec in asked.asked} <= set(space.runners)
    assert space.structure or not shares_tried(asked)
    assert all(0 < keep < 1 for keep in shares_tried(asked))
    assert all(spec.steps[0]["pass"] == "simplify" and spec.steps[-1]["pass"] == "strip" for spec in asked.asked)


@settings(max_examples=60)
@given(data=st.data(), space=spaces())
def test_it_ends_whatever_it_is_told(data, space):
    """Answers without any rule: refused, infeasible, feasible, the same model again, in any order."""
    kinds = st.sampled_from(["refused", "worse", "better", "same", "unknown"])

    def anything(spec):
        kind = data.draw(kinds)
        if kind == "refused":
            return Judge(refuses=("simplify",))(spec)
        limit = DROP if kind != "unknown" else Constraint("ram_bytes", "max", 1.0, "B")
        found = Judge(least=2.0 if kind == "worse" else 0.0, constraints=(limit,))(spec)
        return (
            Candidate(**{**vars(found), "model": Model("onnx", "m", {"m": b"same"}, SIGNATURE)})
            if (kind == "same")
            else found
        )

    drive(anything, space)


@pytest.mark.parametrize("least", [0.04, 0.1, 0.2, 0.31, 0.5, 0.52, 0.7, 0.83])
def test_it_finds_the_smallest_structure_that_keeps_its_accuracy(least):
    """To within a fifth, by bisection: nine looks instead of a sweep, and three steps back towards the whole."""
    asked = Judge(least)
    found = drive(asked, Space((ORT,), alignments=(16,)))
    good = [asked.share(s) for s, c in zip(asked.asked, found, strict=True) if promising(c)]
    assert least <= min(good) <= 1.2 * least
    shares = set(shares_tried(asked))
    assert len(shares) <= 12
    assert sum(share > 1.02 * min(good) for share in shares) >= 3


@pytest.mark.parametrize("most", [450, 300, 200, 140, 121])
def test_a_limit_that_only_a_small_structure_in_small_numbers_keeps_is_met(most):
    """The float networks on the way break it: that says nothing of their accuracy, by which shares are bracketed."""
    asked = Judge(0.25, constraints=(DROP, Constraint("size_bytes", "max", most, "B")))
    found = drive(asked, Space((ORT,), alignments=(16,)))
    good = [asked.share(s) for s, c in zip(asked.asked, found, strict=True) if promising(c)]
    assert 0.25 <= min(good) <= 1.2 * 0.25
    assert "float_layers" not in repr(asked.asked), "INT8 holds its accuracy: there is nothing to rescue"


def test_what_does_not_fit_the_target_whole_is_pruned_until_it_does():
    asked = Judge(0.25)

    def misfits(spec):
        found = asked(spec)
        large = found.metrics and found.metrics["size_bytes"].value > 150
        return replace(found, refused=("too large",)) if large else found

    found = drive(misfits, Space((ORT,), alignments=(16,)))
    assert any(promising(c) for c in found)


def test_it_does_not_go_on_when_finer_shares_make_the_same_model():
    asked = Judge(0.0, block=0.25)
    drive(asked, Space((ORT,), alignments=(16,)))
    assert len(set(shares_tried(asked))) <= 7


def test_what_is_refused_is_not_built_upon():
    asked = Judge(refuses=("int8_static", "int4_weights"))
    drive(asked, Space((ORT, VINO)))
    pruned = [spec for spec in asked.asked if any(s["pass"] == "prune_channels" for s in spec.steps)]
    assert pruned
    assert not any(s["pass"] in ("int8_static", "int4_weights") for spec in pruned for s in spec.steps)


def test_when_everything_is_refused_it_ends_soon():
    asked = Judge(refuses=("simplify",))
    found = drive(asked, Space((ORT, VINO)))
    assert not any(promising(c) for c in found) and len(found) < 15


def test_when_channels_cannot_go_it_asks_once_for_each_block():
    asked = Judge(refuses=("prune_channels",))
    drive(asked, Space((ORT,)))
    assert 1 <= len(shares_tried(asked)) <= 2 * len(Space((ORT,)).alignments)


def test_when_nothing_is_feasible_it_still_looks_for_what_comes_nearest():
    impossible = (DROP, Constraint("latency_ms", "max", 1e-9, "ms"))
    asked = Judge(constraints=impossible)
    found = drive(asked, Space((ORT, VINO)))
    assert not any(promising(c) for c in found)
    assert any("int8_static" in repr(c.recipe) for c in found)


def test_a_feasible_answer_comes_within_the_first_few():
    for runners in ((ORT,), (ORT, VINO)):
        found = drive(Judge(), Space(runners))
        first = next(i for i, c in enumerate(found) if promising(c) and score(c) < score(found[0]))
        assert first <= len(runners)


def test_where_plain_int8_loses_too_much_it_tries_other_ranges_and_layers_in_float():
    """The float network is feasible all along: that is no reason to leave INT8 at its first try."""
    asked = Judge(loses={"int8_static": 0.8, "int8_dynamic": 5.0, "int4_weights": 5.0, "mixed_precision": 0.8})
    drive(asked, Space((ORT,), structure=False))
    tried = repr([spec.steps for spec in asked.asked])
    assert "percentile" in tried and "float_layers" in tried


@pytest.mark.parametrize(("vnni", "bits"), [(True, False), (False, True)])
def test_without_vnni_weights_get_seven_bits(vnni, bits):
    asked = Judge()
    drive(asked, Space((ORT,), vnni=vnni))
    static = [s for spec in asked.asked for s in spec.steps if s["pass"] == "int8_static"]
    assert static and all((s.get("weight_bits") == 7) == bits for s in static)


def test_the_same_answers_lead_to_the_same_questions():
    first, second = Judge(0.2), Judge(0.2)
    drive(first, Space((ORT, VINO)))
    drive(second, Space((ORT, VINO)))
    assert first.asked == second.asked


def test_it_can_be_left_at_any_time():
    for after in range(12):
        paths, asked = explore(Space((ORT, VINO)), score), Judge()
        spec = next(paths)
        for _ in range(after):
            spec = paths.send(asked(spec))
        paths.close()


@pytest.mark.parametrize(
    ("drop", "spread", "is_acceptable", "is_promising", "is_near"),
    [
        (0.4, 0.0, True, True, True),
        (0.5, 0.0, True, True, True),
        (0.6, 0.0, False, False, False),
        (0.6, 0.196, False, True, True),  # one standard error is 0.1
        (0.69, 0.196, False, False, True),
        (0.71, 0.196, False, False, False),
    ],
)
def test_doubt_about_accuracy_is_forgiven_in_standard_errors(drop, spread, is_acceptable, is_promising, is_near):
    made = Judge()(Spec(({"pass": "simplify"},), ORT))
    candidate = judge(
        Candidate(**{**vars(made), "metrics": {"accuracy_drop": measured(drop, "points", spread)}}), (DROP,)
    )
    assert (acceptable(candidate), promising(candidate), nearly(candidate)) == (is_acceptable, is_promising, is_near)


@given(st.floats(0, 2), st.floats(0, 1), st.booleans())
def test_acceptable_is_promising_and_promising_is_near_and_nothing_refused_is_promising(drop, spread, refused):
    made = Judge()(Spec(({"pass": "simplify"},), ORT))
    metrics = {"accuracy_drop": measured(drop, "points", spread)}
    refusals = ("no",) if refused else ()
    candidate = judge(Candidate(**{**vars(made), "metrics": metrics, "refused": refusals}), (DROP,))
    ranks = [acceptable(candidate), promising(candidate), nearly(candidate)]
    assert ranks == sorted(ranks)
    assert not (refused and any(ranks[:2]))
    assert accurate(candidate) == promising(replace(candidate, refused=()))


def test_other_limits_are_not_forgiven():
    made = Judge()(Spec(({"pass": "simplify"},), ORT))
    slow = judge(made, (DROP, Constraint("latency_ms", "max", 0.99, "ms")))
    assert not promising(slow)
    assert accurate(slow) and nearly(slow), "which says nothing of its accuracy"
    assert not accurate(replace(made, metrics={})) and not nearly(replace(made, metrics={})), "it did not run"
    unknown = judge(made, (DROP, Constraint("ram_bytes", "max", 1.0, "B")))
    assert acceptable(unknown) and not unknown.feasible, "not measured yet: no reason to give it up, nor to choose it"


@pytest.mark.parametrize("spelled", [0.8, 1.2])
def test_attention_is_spelled_as_each_engine_runs_it_faster(spelled):
    plain = Judge()

    def ask(spec):
        found = plain(spec)
        if spec.runner is VINO and {"pass": "fuse", "attention": False} in spec.steps and found.metrics:
            slower = measured(found.metrics["latency_ms"].value * spelled, "ms")
            found = Candidate(**{**vars(found), "metrics": {**found.metrics, "latency_ms": slower}})
        return found

    made = drive(ask, Space((ORT, VINO), attention=True))
    assert all({"pass": "fuse"} in c.recipe for c in made if c.engine == "onnxruntime")
    after = [c for c in made if c.engine == "openvino" and len(c.recipe) > 3]
    wanted = {"pass": "fuse", "attention": False} if spelled < 1 else {"pass": "fuse"}
    assert after and all(wanted in c.recipe for c in after)
    float_only = [c for c in made if c.engine == "openvino" and len(c.recipe) == 3]
    assert len(float_only) == 2


def test_an_engine_whose_products_pay_for_a_zero_point_is_given_none_early():
    made = drive(Judge(), Space((ORT, VINO), structure=False))
    tried = [(c.engine, s.get("activations")) for c in made for s in c.recipe if s["pass"] == "int8_static"]
    assert tried[:3] == [("onnxruntime", None), ("openvino", None), ("openvino", "s8_symmetric")]
    assert ("onnxruntime", "s8_symmetric") not in tried
