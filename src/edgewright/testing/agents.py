"""Bundles and state folders for tests of the agent: real, small, signed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgewright import bundles
from edgewright.agent import Device, FileSource, Machine, Situation, Slots, Trial, held, update_from
from edgewright.agent.agent import opened
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.session import EngineOptions
from edgewright.testing.build import Build
from edgewright.trust import SigningKey, load_public_key


def multiplier(
    path: Path, key: SigningKey, factor: float, *, version: str = "1", name: str = "m", promised_ms: float = 0.0
) -> str:
    """A signed bundle, as one file at ``path``, of a model that multiplies x (n, 4) by ``factor``; its digest."""
    from edgewright.core.candidate import Constraint
    from edgewright.core.measurement import Measurement

    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor))), ["n", 4])
    model = build.model()
    variant = Variant("onnxruntime", EngineOptions(), model)
    calls = [{"x": np.full((1, 4), value, np.float32)} for value in (1.0, -2.0)]
    limits = (Constraint("latency_p99_ms", "max", promised_ms, "ms"),) if promised_ms else ()
    seen = {"latency_p99_ms": Measurement(promised_ms, "ms", "measured", 100)} if promised_ms else {}
    content = BundleContent(
        name, version, model.digest, (variant,), bundles.record_golden([variant], calls, count=2),
        Contract("host", limits, seen),
    )  # fmt: skip
    folder = path.with_suffix(".folder")
    bundle = bundles.seal(content, folder, key)
    bundle.pack(path)
    return bundle.digest


def state_folder(path: Path, key: SigningKey) -> Path:
    """A state folder that trusts ``key``, made; and where it lies."""
    (path / "keys").mkdir(parents=True, exist_ok=True)
    (path / "keys" / "signer.pub").write_text(key.public.text())
    return path


class Witness:
    """Stands where ``agent.runtime.Runtime`` does when kills come by the hundred: what it is to serve it verifies, as
    the runtime would, with the keys of the state folder, and it remembers what it served."""

    def __init__(self, state: Path) -> None:
        self._state, self.served, self.alive, self.ends = state, list[str](), True, 0
        self.talk = self

    def serve(self, digest: str) -> None:
        """Raises TrustError, AssertionError when it must not be served."""
        assert Slots(self._state).current == digest, "it serves what the link names"
        assert digest == verified(self._state), "what serves verifies"
        self.served.append(digest)

    def serving(self) -> set[str]:
        """What answers."""
        return set(self.served[-1:])

    def answers(self) -> bool:
        """Always."""
        return True

    def metrics(self) -> str:
        """Nothing was asked."""
        return ""

    def stop(self) -> None:
        """Serve nothing."""
        self.served.clear()


def verified(state: Path) -> str:
    """The digest of the bundle that ``current`` names, verified; "" when it names none. Raises TrustError."""
    slots = Slots(state)
    if not (state / "current").is_symlink():
        return ""
    folder = slots.model(slots.current)
    assert folder is not None, "the link leads to a slot"
    keys = [load_public_key(path) for path in (state / "keys").glob("*.pub")]
    return bundles.verify(folder, keys).digest


def in_process(function: str, argument: Any, **bounds: Any) -> Any:
    """``core.child.run_child`` without a child: as quick as kills by the hundred need."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(argument)


def take(
    state: Path, update: Path, notes: list[str] | None = None, then: Callable[[], None] = lambda: None
) -> Situation:
    """One life of an agent without a network: recover, then bring the update to its end unless it already came to it.

    What it serves in between is verified each time. Raises AssertionError.
    """
    with held(state), opened(state / "journal", [] if notes is None else notes) as journal:
        slots, witness = Slots(state), Witness(state)
        device = Device(state, slots, witness, FileSource(), lambda: sorted((state / "keys").glob("*.pub")), Trial(0.0))  # type: ignore[arg-type]
        machine = Machine(journal, device)
        if journal.last is None and slots.current:
            machine.now = Situation(good=slots.current)
        digest = machine.recover()
        assert digest == verified(state), "what serves after recovery is what was found"
        if digest:
            witness.serve(digest)
        told = update_from(update)
        then()
        while machine.now.state != "idle":
            assert machine.step() == 0.0, machine.now
        if machine.now.good != told.bundle and told.bundle not in machine.now.bad:
            machine.offer(told)
        while machine.now.state != "idle":
            assert machine.step() == 0.0, machine.now
        assert machine.now.good == slots.current == verified(state), "in the end the good one serves"
        return machine.now


def digits(path: Path, key: SigningKey, *, version: str = "1", scale: float = 1.0) -> str:
    """A signed bundle, as one file at ``path``, of the example's classifier of digits, with named classes and held-out
    evidence; its logits are multiplied by ``scale``, which recalibrates it. Its digest."""
    import onnx

    from edgewright.bundles import HELD_OUT, held_out
    from edgewright.core.answers import Rule
    from edgewright.core.digests import canonical_json
    from edgewright.datasets.postprocessing import Postprocessing
    from edgewright.engines import open_session
    from edgewright.formats.onnx import from_proto

    example = Path(__file__).parents[3] / "examples" / "digits"
    proto, data = onnx.load(example / "digits.onnx"), np.load(example / "digits.npz")
    images, labels = data["image"][-300:], data["labels"][-300:]
    if scale != 1.0:
        last = next(node for node in proto.graph.node if "logits" in node.output)
        last.output[:] = ["unscaled"]
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(scale), "scale"))
        proto.graph.node.append(onnx.helper.make_node("Mul", ["unscaled", "scale"], ["logits"]))
    model = from_proto(proto)
    variant = Variant("onnxruntime", EngineOptions(), model)
    with open_session(model) as session:
        logits = session.infer({"image": images})["logits"]
    held = held_out(Rule(shares="softmax"), logits, labels, "0" * 64)
    content = BundleContent(
        "digits", version, model.digest, (variant,),
        bundles.record_golden([variant], [{"image": images[:1]}, {"image": images[1:2]}], count=2), Contract("host"),
        postprocessing=Postprocessing("logits", shares="softmax").to_json(),
        labels=tuple(f"digit {number}" for number in range(10)),
        evidence={} if held is None else {HELD_OUT: canonical_json(held.to_json())},
    )  # fmt: skip
    bundle = bundles.seal(content, path.with_suffix(".folder"), key)
    bundle.pack(path)
    return bundle.digest
