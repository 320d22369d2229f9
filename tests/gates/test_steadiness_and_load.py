"""The same input asked in several ways, and asked thousands of times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgewright.compression.contract import Context
from edgewright.compression.passes import make_pass
from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.engines.session import BaseSession
from edgewright.measurement.answers import Choice
from edgewright.measurement.load import resident_bytes, sustain
from edgewright.measurement.metrics import metric
from edgewright.measurement.steadiness import decided, ways
from edgewright.testing.zoo import zoo

TOP1 = Choice(metric("top1"), "y", "scores", "asked for")
R2 = Choice(metric("r2"), "y", "numbers", "asked for")
RNG = np.random.default_rng(0)
INPUTS = [{"x": RNG.normal(size=(1, 3)).astype(np.float32)} for _ in range(6)]
Function = Callable[[NDArray[Any]], NDArray[Any]]


class Computed(BaseSession):
    """A session that is a numpy function of ``x``."""

    def __init__(self, function: Function, batch: int | None = None) -> None:
        specs = (TensorSpec("x", "float32", (batch, 3)),)
        super().__init__(Signature(specs, (TensorSpec("y", "float32", (batch, 3)),)), "fake", "fake")
        self.function = function

    def _run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {"y": self.function(inputs["x"])}

    def _release(self) -> None:
        pass


def asked(make: Callable[[int], Computed], choice: Choice = TOP1) -> dict[str, tuple[bool, int | None]]:
    return {way.name: (way.identical, way.changed) for way in ways(make, INPUTS, choice)}


def test_a_steady_model_is_the_same_whichever_way_it_is_asked() -> None:
    found = asked(lambda threads: Computed(lambda x: 2 * x))
    assert list(found) == ["again", "in another session", "on other threads", "among others in a batch"]
    assert set(found.values()) == {(True, 0)}


def test_a_model_that_draws_lots_is_found_out() -> None:
    rng = np.random.default_rng(1)
    found = asked(lambda threads: Computed(lambda x: x + rng.normal(size=x.shape).astype(np.float32) * 5))
    assert not found["again"][0] and found["again"][1]


def test_a_model_that_depends_on_threads_is_found_out() -> None:
    found = asked(lambda threads: Computed(lambda x: x[:, ::-1] if threads == 2 else x))
    assert found["in another session"] == (True, 0) and found["on other threads"][1] == 6 - sum(
        int(np.argmax(r["x"])) == 1 for r in INPUTS
    )


def test_a_model_that_depends_on_its_neighbours_is_found_out() -> None:
    found = asked(lambda threads: Computed(lambda x: x - x.mean(axis=0)), R2)
    assert found["again"] == (True, None) and found["among others in a batch"] == (False, None)


@pytest.mark.parametrize("batch", [1, None])
def test_a_fixed_batch_or_a_model_that_takes_one_only_is_not_batched(batch: int | None) -> None:
    def one_only(x: NDArray[Any]) -> NDArray[Any]:
        if len(x) > 1:
            raise EngineError("one at a time")
        return x

    assert "among others in a batch" not in asked(lambda threads: Computed(one_only, batch))


def test_dynamic_quantization_shares_a_scale_with_its_neighbours() -> None:
    model = zoo()["mlp"]()
    result = make_pass({"pass": "int8_dynamic", "smallest": 1})(model, Context())
    name = model.signature.outputs[0].name
    requests = [{"features": RNG.normal(size=(1, 20)).astype(np.float32) * scale} for scale in (1, 1, 40, 1)]
    choice = Choice(metric("top1"), name, "scores", "asked for")
    made = {w.name: w for w in ways(lambda n: open_session(result.model, options=EngineOptions(n)), requests, choice)}
    assert made["again"].identical and not made["among others in a batch"].identical


@pytest.mark.parametrize(
    ("choice", "raw", "answer"),
    [
        (TOP1, [[0.1, 0.9], [0.8, 0.2]], [1, 0]),
        (Choice(metric("top1"), "y", "label", ""), [3, 4], [3, 4]),
        (Choice(metric("top1"), "y", "single", "", threshold=0.5), [0.4, 0.6], [False, True]),
        (Choice(metric("top1"), "y", "single", "", threshold=0.5), [[0.4], [0.6]], [False, True]),
        (R2, [0.4, 0.6], None),
        (Choice(metric("fidelity"), "y", "scores", ""), [[0.1, 0.9]], None),
    ],
)
def test_decisions(choice: Choice, raw: list[Any], answer: list[Any] | None) -> None:
    found = decided(choice, {"y": np.array(raw, np.float32)})
    assert (None if found is None else found.tolist()) == answer


class Ticking:
    """Time, processor time and memory that move with each call."""

    def __init__(self, step_ns: int = 1_000_000, work: Callable[[int], int] | None = None, leak: int = 0) -> None:
        self.calls, self.leak = 0, leak
        self.step, self.cost, self.spent = step_ns, work or (lambda call: step_ns), 0

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        self.spent += self.cost(self.calls)
        self.calls += 1
        return x

    def clock(self) -> int:
        return self.calls * self.step

    def work(self) -> int:
        return self.spent

    def memory(self) -> int:
        return 10**8 + self.calls * self.leak

    def load(self, **more: Any) -> Any:
        given = {"clock": self.clock, "work": self.work, "memory": self.memory, **more}
        return sustain(Computed(self), INPUTS, duration_s=3.0, **given)


def test_a_quiet_load() -> None:
    found = Ticking().load()
    assert found.calls == pytest.approx(3000, abs=10) and found.seconds == pytest.approx(3.0, rel=0.05)
    assert (found.errors, found.other_answers, found.grown_bytes) == ((), 0, 0)
    assert found.work_ms == pytest.approx((1.0, 1.0)) and found.growth is not None and found.growth.value == 0


def test_a_leak_has_a_slope() -> None:
    found = Ticking(leak=2000).load()
    assert found.grown_bytes == pytest.approx(1500 * 2000, rel=0.1)
    assert found.growth is not None and found.growth.low == pytest.approx(2e6)


def test_memory_that_fills_up_once_has_none() -> None:
    ticking = Ticking()
    found = ticking.load(memory=lambda: 10**8 + min(ticking.calls, 500) * 4096)
    assert found.grown_bytes == 0 and found.growth is not None and found.growth.value == 0


def test_calls_that_become_dearer_show_in_processor_time() -> None:
    found = Ticking(work=lambda call: 10**6 if call < 1500 else 2 * 10**6).load()
    assert found.work_ms == pytest.approx((1.0, 2.0)) and found.wall_ms == pytest.approx((1.0, 1.0))


def test_a_call_that_fails_ends_it() -> None:
    def broken(x: NDArray[Any]) -> NDArray[Any]:
        ticking.calls += 1
        if ticking.calls > 100:
            raise RuntimeError("out of handles")
        return x

    ticking = Ticking()
    found = sustain(Computed(broken), INPUTS, duration_s=3.0, clock=ticking.clock, work=ticking.work)
    assert found.calls == 94 and "out of handles" in found.errors[0]
    found = sustain(Computed(broken), INPUTS, duration_s=3.0, clock=ticking.clock, work=ticking.work)
    assert found.calls == 0 and found.errors and found.growth is None


def test_answers_that_change_are_counted() -> None:
    ticking = Ticking()

    def drifting(x: NDArray[Any]) -> NDArray[Any]:
        return ticking(x) * (1.0 if ticking.calls < 1500 else 1.5)

    found = sustain(Computed(drifting), INPUTS, duration_s=3.0, clock=ticking.clock, work=ticking.work)
    assert 0 < found.other_answers < found.checked


def test_a_system_that_does_not_tell_its_memory() -> None:
    found = Ticking().load(memory=lambda: None)
    assert found.grown_bytes is None and found.growth is None and found.to_json()["growth"] is None


def test_no_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="no input"):
        sustain(Computed(lambda x: x), [])


def test_a_real_model_under_load() -> None:
    model = zoo()["mlp"]()
    request = {"features": np.ones((1, 20), np.float32)}
    with open_session(model) as session:
        found = sustain(session, [request], duration_s=30.0, most=300)
    assert found.calls == 300 and not found.errors and not found.other_answers
    assert resident_bytes() is None or found.work_ms[0] >= 0
