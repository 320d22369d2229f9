"""Dependency groups, shrinking, selection and refit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.compression.contract import Context, agreement_db, probe
from edgewright.compression.passes.prune_channels import PruneChannels, sample_batches, survey
from edgewright.compression.pruning.plan import plan
from edgewright.compression.pruning.selection import order
from edgewright.compression.pruning.shrink import shrink, store
from edgewright.core.errors import Refused
from edgewright.core.store import Store
from edgewright.graphs.costs import workload
from edgewright.graphs.graph import close_graph, constant, open_graph
from edgewright.testing.build import Build
from edgewright.testing.graphs import Drawn, models, zoo

PRUNABLE = ["residual", "depthwise", "inception", "squeeze_excite", "mlp", "attention", "volume"]


def surveyed(model, samples=24):
    context = Context(Drawn(model, samples))
    graph = open_graph(model)
    batches = sample_batches(model, context)
    return context, graph, survey(model, graph, batches, context)


def silenced(model, found, removed):
    """The dense graph with every weight that reads a removed channel set to zero: what shrinking must equal."""
    graph = open_graph(model)
    by_name = {node.outputs[0].name: node for node in graph.graph}
    for layer in found.layers:
        if layer.kind == "depthwise":
            continue
        node = by_name[layer.node.outputs[0].name]
        gone = np.isin(found.roots(found.lanes[layer.data].ids), list(removed))
        weight = constant(node.inputs[1]).copy()
        rows = weight.T if layer.transposed else weight
        rows[:, gone] = 0
        store(graph.graph, node, 1, weight)
    return close_graph(graph, model, "silenced")


@pytest.mark.parametrize("name", PRUNABLE)
def test_shrinking_equals_silencing_what_reads_the_removed_channels(name):
    model = zoo()[name]()
    context, graph, ready = surveyed(model)
    removed = frozenset(
        int(a) for g, o in zip(ready.groups, ready.orders, strict=True) for a in o.atoms[: g.atoms.size // 2]
    )
    expected = silenced(model, ready.found, removed)
    shrink(graph.graph, ready.found, removed)
    smaller = close_graph(graph, model, "shrunk")
    assert workload(smaller).parameters < workload(model).parameters
    assert agreement_db(expected, smaller, probe(model, context)) > 80


@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(models(), st.integers(0, 2**16))
def test_shrinking_equals_silencing_on_drawn_graphs(drawn, seed):
    model, _ = drawn
    context = Context(Drawn(model, 6))
    graph = open_graph(model)
    try:
        ready = survey(model, graph, sample_batches(model, context), context)
    except Refused:
        return
    rng = np.random.default_rng(seed)
    removed = frozenset(
        int(a)
        for group in ready.groups
        for a in rng.choice(group.atoms, rng.integers(0, group.atoms.size), replace=False)
    )
    expected = silenced(model, ready.found, removed)
    shrink(graph.graph, ready.found, removed)
    smaller = close_graph(graph, model, "shrunk")
    batches = probe(model, context)
    if np.isfinite(agreement_db(model, expected, batches)):
        assert agreement_db(expected, smaller, batches) > 60


def test_channels_of_a_residual_sum_go_together():
    model = zoo()["residual"]()
    _, _, ready = surveyed(model)
    assert any(len(group.made_by) > 1 for group in ready.groups)


def test_redundant_channels_go_without_loss():
    """Half the channels are copies of the other half: least squares can repair their loss exactly."""
    b = Build(17, 0, "initializer")
    rng = np.random.default_rng(0)
    x = b.input("x", ["batch", 3, 8, 8])
    first = rng.standard_normal((8, 3, 3, 3)).astype(np.float32)
    y = b.node("Conv", x, b.constant(np.concatenate([first, first])), pads=[1, 1, 1, 1])
    y = b.node("Relu", y)
    y = b.node("Conv", y, b.constant(rng.standard_normal((4, 16, 3, 3)).astype(np.float32)))
    b.output(y)
    model = b.model()
    result = PruneChannels(keep=0.51, align=8)(model, Context(Drawn(model, 64)))
    assert result.status == "applied", result.reason
    assert result.facts["channels"] == [[8, 16]]
    assert result.facts["sqnr_db"] > 50


@pytest.mark.parametrize("keep", [0.7, 0.4])
def test_multiplies_fall_to_the_share_asked_for_and_the_figure_is_true(keep):
    model = zoo()["residual"]()
    result = PruneChannels(keep=keep, align=2)(model, Context(Drawn(model, 32)))
    assert result.facts["macs_kept"] <= keep + 1e-9
    real = workload(result.model).macs / workload(model).macs
    assert real == pytest.approx(result.facts["macs_kept"], abs=0.02)


def test_refitting_beats_shrinking_alone():
    model = zoo()["residual"]()
    context, graph, ready = surveyed(model, 64)
    chosen = plan(ready.found, ready.groups, ready.orders, ready.places, 0.5, 2)
    shrink(graph.graph, ready.found, chosen.removed)
    bare = close_graph(graph, model, "shrunk")
    refitted = PruneChannels(keep=0.5, align=2)(model, context).model
    batches = probe(model, context)
    assert agreement_db(model, refitted, batches) > agreement_db(model, bare, batches) + 3


def test_errors_grow_with_every_channel_removed():
    model = zoo()["residual"]()
    _, _, ready = surveyed(model)
    for chosen in ready.orders:
        assert (np.diff(chosen.errors) >= -1e-12).all()


def test_kept_counts_are_multiples_of_the_alignment():
    model = zoo()["inception"]()
    result = PruneChannels(keep=0.5, align=4)(model, Context(Drawn(model, 16)))
    assert all(kept % 4 == 0 or kept == size for kept, size in result.facts["channels"])


@pytest.mark.parametrize("keep", [0.0, 1.0, -1.0, 2.0])
def test_an_impossible_share_is_refused(keep):
    model = zoo()["residual"]()
    assert PruneChannels(keep=keep)(model, Context(Drawn(model, 8))).status == "refused"


def test_a_kept_survey_gives_the_same_bytes(tmp_path):
    model = zoo()["residual"]()
    plain = PruneChannels(0.5, 2)(model, Context(Drawn(model, 16))).model
    context = Context(Drawn(model, 16), store=Store(tmp_path))
    PruneChannels(0.7, 2)(model, context)
    assert PruneChannels(0.5, 2)(model, context).model.digest == plain.digest


def test_order_prefers_channels_that_nobody_misses():
    """A channel whose readers' weights are zero goes first."""
    b = Build(17, 0, "initializer")
    rng = np.random.default_rng(1)
    x = b.input("x", ["batch", 4])
    y = b.node("Relu", b.node("Gemm", x, b.constant(rng.standard_normal((8, 4)).astype(np.float32)), transB=1))
    weight = rng.standard_normal((3, 8)).astype(np.float32)
    weight[:, 5] = 0
    b.output(b.node("Gemm", y, b.constant(weight), transB=1))
    model = b.model()
    _, _, ready = surveyed(model, 64)
    lane = ready.found.lanes[ready.found.layers[0].output]
    assert ready.orders[0].atoms[0] == ready.found.roots(lane.ids)[5]
    assert order.__doc__


def test_a_classifier_whose_classes_have_names_is_pruned():
    """As scikit-learn's are: names are looked up by the index of the largest score."""
    build = Build()
    hidden = build.node("Relu", build.node("MatMul", build.input("x", ["n", 16]), build.weight(16, 64)))
    scores = build.node("MatMul", hidden, build.weight(64, 3))
    names = build.constant(np.array(["blowhole", "crack", "fray"], object))
    build.output(scores, ["n", 3])
    build.output(build.node("Gather", names, build.node("ArgMax", scores, axis=1, keepdims=0)), ["n"], "string")
    model = build.model()
    made = PruneChannels(keep=0.5)(model, Context(Drawn(model, 24)))
    assert made.status == "applied", made.reason
    assert workload(made.model).parameters < workload(model).parameters
