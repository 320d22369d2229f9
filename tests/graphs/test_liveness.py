"""Liveness: against a simulation that keeps whole tensors and frees what nobody reads any more."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.model import Model
from edgewright.graphs.liveness import VIEWS, Life, arena_bytes, liveness
from edgewright.graphs.shapes import concrete_shapes
from edgewright.testing.build import Build
from edgewright.testing.graphs import models
from edgewright.testing.zoo import conv, zoo


def needed_after(graph: onnx.GraphProto) -> set[str]:
    return {output.name for output in graph.output}


def simulated(model: Model, batch: int = 1) -> list[int]:
    """Bytes alive at each node: allocate what it writes, look at the heap, free what nobody reads any more.

    Without quantization and subgraphs; constants and what is made of them alone are not activations, and a batch
    normalisation that alone reads a convolution of stored weights is part of it.
    """
    graph = onnx.load_model_from_string(model.data).graph
    facts = concrete_shapes(model, batch)
    fixed = {t.name for t in graph.initializer}
    wanted, needed = [], {o.name for o in graph.output}
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            wanted.insert(0, node)
    steps = []
    for node in wanted:
        if node.op_type == "Constant" or (node.input and all(n in fixed for n in node.input if n)):
            fixed |= set(node.output)
        else:
            steps.append(node)
    renamed = {}
    for norm in [node for node in steps if node.op_type == "BatchNormalization"]:
        made = [n for n in steps if norm.input[0] in n.output and n.op_type in ("Conv", "ConvTranspose")]
        readers = [n for n in steps if norm.input[0] in n.input]
        if made and len(readers) == 1 and norm.input[0] not in needed_after(graph) and set(made[0].input[1:]) <= fixed:
            renamed[norm.input[0]] = norm.output[0]
            steps.remove(norm)
    buffer = {i.name: i.name for i in graph.input if i.name not in fixed}
    heap = {name: facts[name].bytes for name in buffer}
    after = {o.name for o in graph.output}
    seen = []
    for position, node in enumerate(steps):
        for slot, written in enumerate(node.output):
            name = renamed.get(written, written)
            if not name:
                continue
            if node.op_type in VIEWS and slot == 0:
                buffer[name] = buffer[node.input[0]]
            else:
                buffer[name] = name
                heap[name] = facts[name].bytes
        seen.append(sum(heap.values()))
        later = {n for rest in steps[position + 1 :] for n in rest.input} | after
        kept = {buffer[n] for n in later if n in buffer}
        heap = {name: size for name, size in heap.items() if name in kept}
    return seen


@pytest.mark.parametrize("name", sorted(set(zoo()) - {"conditional"}))
def test_the_zoo_takes_what_a_simulation_holds(name: str) -> None:
    model = zoo()[name]()
    assert [m.bytes for m in liveness(model, 2).timeline] == simulated(model, 2)


@given(models())
@settings(max_examples=40, deadline=None)
def test_a_random_graph_takes_what_a_simulation_holds(drawn: tuple[Model, dict]) -> None:
    model, _ = drawn
    if any(node.op_type == "If" for node in onnx.load_model_from_string(model.data).graph.node):
        return
    found = liveness(model, 2)
    expected = simulated(model, 2)
    assert [m.bytes for m in found.timeline] == expected
    assert found.peak_bytes == max(expected, default=found.peak_bytes)
    assert found.peak_in_place_bytes <= found.peak_bytes
    assert arena_bytes(found.lives) >= found.peak_bytes


def test_by_hand() -> None:
    b = Build()
    x = b.input("x", [1, 2, 4, 4])  # 128 bytes
    y = b.node("Relu", conv(b, x, 2, 4, kernel=1))  # 256 each
    s = b.node("Flatten", b.node("GlobalAveragePool", y))  # 16, and a view of it
    b.output(b.node("Add", y, b.unsqueeze(s, [2, 3])), [1, 4, 4, 4])
    found = liveness(b.model())
    assert [m.bytes for m in found.timeline] == [128 + 256, 512, 256 + 16, 256 + 16, 256 + 16, 256 + 16 + 256]
    assert (found.peak_bytes, found.peak.op_type) == (528, "Add")
    # In place: Relu over the convolution's output, Add over Relu's.
    assert found.peak_in_place_bytes == 384
    assert [life.name for life in found.alive(found.peak_index)][:1] == [found.lives[-1].name]


def test_inputs_and_outputs_count() -> None:
    b = Build()
    x = b.input("x", [256])
    b.output(b.node("Relu", x), [256])
    found = liveness(b.model())
    assert (found.peak_bytes, found.peak_in_place_bytes) == (2048, 2048)  # nobody writes over the caller's input


def test_weights_and_what_is_folded_take_no_activation_memory() -> None:
    b = Build()
    w = b.node("Transpose", b.weight(64, 64))
    b.output(b.node("MatMul", b.input("x", [1, 64]), w), [1, 64])
    assert liveness(b.model()).peak_bytes == 512


def test_integers_between_pairs_are_what_stands_in_memory() -> None:
    b = Build(17)
    x = b.input("x", [1, 4, 8, 8])
    for inside, lowest in ((4, 128), (8, 0)):  # behind the Relu, zero is the lowest integer
        scale, zero = b.constant(0.05, dtype=np.float32), b.constant(lowest, dtype=np.uint8)
        x = b.node("DequantizeLinear", b.node("QuantizeLinear", x, scale, zero), scale, zero)
        w = b.node("DequantizeLinear", b.constant(np.ones((8, inside, 1, 1)), dtype=np.int8), scale,
                   b.constant(0, dtype=np.int8))  # fmt: skip
        x = b.node("Relu", b.node("Conv", x, w))
    x = b.node("DequantizeLinear", b.node("QuantizeLinear", x, scale, zero), scale, zero)
    b.output(x, [1, 8, 8, 8])
    found = liveness(b.model())
    assert [(m.op_type, m.bytes) for m in found.timeline] == [
        ("QuantizeLinear", 1024 + 256), ("Conv", 256 + 512), ("Conv", 512 + 512), ("DequantizeLinear", 512 + 2048),
    ]  # fmt: skip


def test_a_subgraph_adds_what_its_dearer_branch_needs() -> None:
    model = zoo()["conditional"]()
    chosen = next(m for m in liveness(model).timeline if m.op_type == "If")
    # The vector of 8 that the branches read, the If's own output, and the branch's Gemm output.
    assert chosen.bytes == 32 + 32 + 32 + 1


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 8), st.integers(0, 8)), max_size=9))
def test_an_arena_never_overlaps_and_is_never_smaller_than_the_peak(drawn: list[tuple[int, int, int]]) -> None:
    lives = [Life(str(i), size, min(a, b), max(a, b)) for i, (size, a, b) in enumerate(drawn)]
    peak = max((sum(x.bytes for x in lives if x.born <= t <= x.dies) for t in range(9)), default=0)
    assert peak <= arena_bytes(lives) <= sum(x.bytes for x in lives)


def test_an_arena_places_as_well_as_trying_every_order() -> None:
    lives = [Life("a", 4, 0, 1), Life("b", 2, 1, 2), Life("c", 4, 2, 3), Life("d", 3, 0, 0), Life("e", 1, 3, 3)]

    def first_fit(order: tuple[Life, ...]) -> int:
        placed: list[tuple[int, Life]] = []
        for life in order:
            at = 0
            for start, other in sorted(placed, key=lambda p: p[0]):
                apart = other.dies < life.born or other.born > life.dies
                if not apart and at + life.bytes > start:
                    at = max(at, start + other.bytes)
            placed.append((at, life))
        return max(at + life.bytes for at, life in placed)

    assert arena_bytes(lives) == min(map(first_fit, itertools.permutations(lives)))


def test_a_graph_in_which_nothing_runs_holds_its_inputs() -> None:
    b = Build()
    x = b.input("x", [4])
    b.output(b.node("Identity", x), [4])
    assert liveness(b.model()).peak_bytes == 16
