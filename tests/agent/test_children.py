"""Bundles that are forged, damaged, or validly signed poison: they never get further than a process of their own."""

import dataclasses

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright import bundles
from edgewright.agent import Agent, Slots, Trial, children
from edgewright.agent.children import Probed, check, probe
from edgewright.agent.device import verdict
from edgewright.bundles import BundleContent, Call, Contract, Golden, Tolerance, Variant
from edgewright.core.child import ChildError
from edgewright.core.errors import TrustError
from edgewright.core.session import EngineOptions
from edgewright.formats.onnx import from_proto
from edgewright.testing.agents import in_process, multiplier, take
from edgewright.testing.build import Build
from edgewright.trust import SigningKey

X = np.ones((1, 4), np.float32)


def sealed(path, key, model, answer):
    """A bundle whose golden call is claimed to be answered by ``answer``."""
    (output,) = model.signature.outputs
    golden = Golden((Call({"x": X}, {output.name: answer}),), {output.name: Tolerance(1e-6, 1e-6)})
    content = BundleContent(
        "m", "9", model.digest, (Variant("onnxruntime", EngineOptions(), model),), golden, Contract("host")
    )
    bundle = bundles.seal(content, path.with_suffix(".folder"), key)
    bundle.pack(path)
    return bundle.digest


def wrong(path, key):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    return sealed(path, key, build.model(), 3 * X)


def nan(path, key):
    build = Build()
    zero = build.node("Sub", build.input("x", ["n", 4]), "x")
    build.output(build.node("Div", zero, zero), ["n", 4])
    return sealed(path, key, build.model(), X)


def greedy(path, key):
    """It wants 2^38 bytes."""
    build = Build()
    shape = build.constant([2**18, 2**18], dtype=np.int64)
    huge = build.node("ReduceSum", build.node("ConstantOfShape", shape), keepdims=0)
    build.output(build.node("Add", build.input("x", ["n", 4]), huge), ["n", 4])
    return sealed(path, key, build.model(), X)


def endless(path, key):
    """One run of it takes until the sun is gone."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Add", ["v", "v"], ["more"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
        helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n", 4])],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "yes", "x"], ["y"], body=body)], "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.array(True), "yes"), numpy_helper.from_array(np.int64(2**62), "turns")],
    )  # fmt: skip
    model = from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))
    return sealed(path, key, model, X)


@pytest.mark.parametrize("poison", [wrong, nan, greedy, endless])
def test_signed_poison_ends_in_its_process(state, made, key, tmp_path, monkeypatch, poison):
    take(state, made.a.path)
    digest = poison(tmp_path / "p.ewb", key)
    with Agent(state, trial=Trial(0.0), options=("--http", "127.0.0.1:0")) as agent:
        agent.start()
        if poison is endless:
            monkeypatch.setattr(children, "_PROBE_S", 1.0)
        try:
            now = agent.update(tmp_path / "p.ewb")
            assert now.result == "abandoned" and digest in now.bad and now.reason, now
            assert agent.slots.current == made.a.digest and agent.slots.held() == [made.a.digest]
            assert agent.runtime.serving() == {made.a.digest}
        finally:
            agent.runtime.stop()


def test_one_that_hangs_is_ended(made, key, tmp_path, monkeypatch):
    monkeypatch.setattr(children, "_PROBE_S", 0.01)
    with pytest.raises(ChildError, match="was stopped after"):
        probe(made.a.path.with_suffix(".folder"), [key.public])


@pytest.mark.parametrize("path", ["a.ewb", "a.folder"])
def test_what_a_sound_bundle_says(made, key, path):
    seen = check(made.folder / path, [key.public])
    assert (seen.bundle, seen.name, seen.version) == (made.a.digest, "m", "a")


def test_a_key_that_nobody_trusts(made):
    with pytest.raises(TrustError):
        check(made.a.path, [SigningKey.generate().public])


def test_a_flipped_bit_anywhere(made, key, tmp_path):
    raw = made.a.path.read_bytes()
    for place in range(700, len(raw), len(raw) // 5):
        (tmp_path / "x.ewb").write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(TrustError):
            check(tmp_path / "x.ewb", [key.public], unpack=True)
        assert not (tmp_path / "unpacked").exists()


def test_unpacked_is_what_was_signed(made, key, tmp_path):
    (tmp_path / "x.ewb").write_bytes(made.a.path.read_bytes())
    check(tmp_path / "x.ewb", [key.public], unpack=True)
    assert bundles.verify(tmp_path / "unpacked" / "m", [key.public]).digest == made.a.digest


def test_a_slot_that_was_changed_on_the_disk_is_found_at_the_start(state, made):
    for one in (made.a, made.b):
        take(state, one.path)
    slots = Slots(state)
    (slots.model(made.b.digest) / "manifest.json").write_text("{}")
    with Agent(state, options=("--http", "127.0.0.1:0")) as agent:
        assert agent.start() == made.a.digest == agent.slots.current
        assert agent.machine.now.good == made.a.digest and "damaged" in agent.machine.now.reason
        assert agent.runtime.serving() == {made.a.digest}
        agent.runtime.stop()


def test_a_journal_that_is_gone_or_none_costs_history_only(state, made, key, monkeypatch):
    monkeypatch.setattr(children, "run_child", in_process)
    take(state, made.a.path)
    for spoil in (lambda p: p.unlink(), lambda p: p.write_bytes(b"no journal"), lambda p: p.write_bytes(bytes(10**6))):
        spoil(state / "journal")
        now = take(state, made.b.path)
        assert now.good == made.b.digest and now.before in {made.a.digest, ""}
        assert take(state, made.a.path).good == made.a.digest


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ({"wrong": "", "fastest_ms": 1, "p95_ms": 2.0, "grown_bytes": 0}, True),
        ({"wrong": "", "fastest_ms": 1, "p95_ms": 2.0}, False),
        ({"wrong": "", "fastest_ms": "1", "p95_ms": 2.0, "grown_bytes": 0}, False),
        ([], False),
        (None, False),
    ],
)
def test_answers_of_a_child_are_looked_at(answer, right):
    if right:
        assert children._plain(answer, Probed)["fastest_ms"] == 1.0
    else:
        with pytest.raises(TrustError, match="nonsense"):
            children._plain(answer, Probed)


GOOD = Probed("", 1.0, 2.0, 1e6)


@pytest.mark.parametrize(
    ("seen", "promised_ms", "promised_bytes", "why"),
    [
        (GOOD, 0, 0, ""),
        (GOOD, 1.5, 1e6, ""),
        (GOOD, 0.5, 0, "fastest"),
        (dataclasses.replace(GOOD, wrong="'y' is off"), 0, 0, "golden"),
        (dataclasses.replace(GOOD, grown_bytes=2e8), 0, 1e6, "memory"),
    ],
)
def test_the_probes_verdict(seen, promised_ms, promised_bytes, why):
    told = verdict(seen, promised_ms, promised_bytes)
    assert why in told and bool(why) == bool(told)


def test_a_promise_that_is_not_kept(state, made, key, tmp_path):
    digest = multiplier(tmp_path / "slow.ewb", key, 2.0, version="slow", promised_ms=1e-6)
    take(state, made.a.path)
    now = take(state, tmp_path / "slow.ewb")
    assert now.result == "abandoned" and "fastest run" in now.bad[digest]
