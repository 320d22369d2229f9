"""Runs of ONNX Runtime that may take so much memory and no more."""

import gc

import numpy as np
import pytest

from edgewright.core.errors import EngineError, NeedsMemory
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.engines.onnxruntime import OnnxRuntime
from edgewright.runtime.memory import anonymous_bytes
from edgewright.testing.build import Build

MIB = 2**20
RUN = 64 * MIB


def layers(count=3, wide=256):
    """Small weights, and ``wide`` floats for each row of four between the layers."""
    build, noise = Build(), np.random.default_rng(0)
    value = build.input("x", ["n", 4])
    for size in [4] + [wide] * (count - 1):
        weights = build.constant(noise.standard_normal((size, wide)).astype(np.float32))
        value = build.node("Relu", build.node("MatMul", value, weights))
    build.output(build.node("ReduceMax", value, axes=[1], keepdims=1), ["n", 1])
    return build.model()


def asked(session, rows):
    (found,) = session.infer({"x": np.ones((rows, 4), np.float32)}).values()
    return found


def test_a_run_that_needs_more_is_refused_and_takes_no_more():
    with open_session(layers(), run_bytes=RUN) as session:
        before = anonymous_bytes()
        for _ in range(2):
            with pytest.raises(NeedsMemory, match="more memory than the 67 MB it may take"):
                asked(session, 1_000_000)  # 1 GB for each layer
            assert asked(session, 1000).shape == (1000, 1)
        assert anonymous_bytes() - before < 2 * RUN


def test_what_a_refused_run_left_behind_is_in_nobodys_way():
    with open_session(layers(), run_bytes=RUN) as session:
        for rows in (1, 3_000, 6_000, 12_000):
            asked(session, rows)
        with pytest.raises(NeedsMemory):
            asked(session, 40_000)
        assert asked(session, 20_000).shape == (20_000, 1), "41 MB for two layers"


def test_every_session_has_a_bound_of_its_own_and_gives_all_back():
    model = layers()
    with open_session(model, run_bytes=4 * RUN) as large, open_session(model, run_bytes=RUN) as small:
        for _ in range(2):
            asked(large, 80_000)
            with pytest.raises(NeedsMemory):
                asked(small, 80_000)
        held = anonymous_bytes()
    del large, small
    gc.collect()
    assert held - anonymous_bytes() > RUN
    with open_session(model) as free:
        assert len(asked(free, 80_000)) == 80_000, "no bound is none"


def test_weights_are_not_counted():
    with open_session(layers(wide=2048), run_bytes=4 * MIB) as session:  # 33 MB of them
        assert len(asked(session, 10)) == 10


def test_what_else_goes_wrong_is_told_as_before():
    build = Build()
    build.output(build.node("Gather", build.constant(np.ones(3, np.float32)), build.input("i", ["n"], "int64")), ["n"])
    session = OnnxRuntime().open_bounded(build.model(), EngineOptions(), RUN)
    with session, pytest.raises(EngineError, match="bounds") as caught:
        session.infer({"i": np.array([7])})
    assert not isinstance(caught.value, NeedsMemory)
