"""Golden calls: recorded where the model was measured, run again wherever it is to serve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.bundles.bundle import Bundle
from edgewright.bundles.checks import GOLDEN_BYTES, GOLDEN_CALLS
from edgewright.bundles.content import Call, Golden, Tolerance, Variant
from edgewright.core.errors import EngineError, InputError, MissingExtra
from edgewright.core.session import Arrays, Session
from edgewright.engines import open_session

# Where every way of computing agrees to the last bit, another CPU's vector width may still reorder a sum: 1e-4 of the
# output's scale is over 100 times float32's rounding over a sum of some thousand terms.
_FLOOR = 1e-4
# How much wider than the spread seen here; and the share of the output's scale beyond which agreement means nothing.
_HEADROOM, _CEILING = 2.0, 0.05
_NUDGES = (2.0**-20, 2.0**-17, 2.0**-14, 2.0**-11, 2.0**-8)


def record_golden(variants: Sequence[Variant], inputs: Iterable[Arrays], count: int = 8) -> Golden:
    """Up to ``count`` calls from ``inputs`` (each as the engine takes it), answered by the first variant.

    Each output's tolerance is found, not chosen. All variants answer again, with the engine's graph rewriting and
    number type varied, and with the inputs moved by a millionth; where that moves nothing, the answers come in steps,
    and the inputs are moved until they take one: what a rounding that falls the other way on another CPU can do. Twice
    the largest difference is allowed, at least 1e-4 and at most 5% of the output's scale (its largest finite
    magnitude). A call on which they differ by more, or in an integer, a boolean, a string, is no golden one and is
    left out. Looks at no more than 4 x ``count`` inputs. Raises InputError without inputs, EngineError when no call is
    stable.
    """
    with ExitStack() as stack:
        sessions = [stack.enter_context(session) for session in _ways(variants)]
        answers: list[tuple[Arrays, list[dict[str, NDArray[Any]]]]] = []
        for call in inputs:
            golden, *others = (session.infer(call) for session in sessions)
            answers.append((call, [golden, *others, *_nudged(sessions[0], call, golden)]))
            if len(answers) == 4 * count:
                break
    if not answers:
        raise InputError("golden calls need inputs; pass some of the held-out samples")
    scales = _scales([found[0] for _, found in answers])
    calls: list[Call] = []
    spread = dict.fromkeys(scales, 0.0)
    room = GOLDEN_BYTES
    for call, (golden, *others) in answers:
        size = sum(array.nbytes for array in (*call.values(), *golden.values()))
        gaps = [_gaps(golden, other) for other in others]
        stable = all(gap[name] <= _CEILING / _HEADROOM * scales.get(name, 0.0) for gap in gaps for name in gap)
        if stable and size <= room and len(calls) < min(count, GOLDEN_CALLS):
            calls.append(Call(dict(call), golden))
            room -= size
            spread = {name: max([spread[name], *(gap[name] for gap in gaps)]) for name in spread}
    if not calls:
        raise EngineError(
            "no call can be golden: the engines' answers hang on how they compute them; check the model's number types"
        )
    return Golden(
        tuple(calls),
        {name: Tolerance(max(_HEADROOM * spread[name], _FLOOR * scales[name]), _FLOOR) for name in scales},
    )


def _ways(variants: Sequence[Variant]) -> Iterator[Session]:
    for variant in variants:
        ways = [variant.options]
        if variant.engine == "onnxruntime":
            ways += [replace(variant.options, graph_level="none"), replace(variant.options, graph_level="basic")]
        if variant.options.precision not in ("f32", "auto"):
            ways.append(replace(variant.options, precision="f32"))
        for options in dict.fromkeys(ways):
            yield open_session(variant.model, variant.engine, options)


def _nudged(session: Session, call: Arrays, golden: Arrays) -> list[dict[str, NDArray[Any]]]:
    answers: list[dict[str, NDArray[Any]]] = []
    if any(array.dtype.kind == "f" for array in call.values()):
        for share in _NUDGES:
            answers += [session.infer(_moved(call, sign * share)) for sign in (1, -1)]
            if any(gap > 0 for answer in answers for gap in _gaps(golden, answer).values()):
                break
    return answers


def _moved(call: Arrays, share: float) -> Arrays:
    def move(array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype.kind != "f":
            return array
        signs = np.where(np.arange(array.size) % 2, 1 - share, 1 + share).reshape(array.shape)
        return (array * signs).astype(array.dtype)

    return {name: move(array) for name, array in call.items()}


def _scales(answers: Sequence[Arrays]) -> dict[str, float]:
    def largest(array: NDArray[Any]) -> float:
        finite = np.abs(array[np.isfinite(array)].astype(np.float64))
        return float(finite.max()) if finite.size else 0.0

    floats = [name for name, array in answers[0].items() if array.dtype.kind == "f"]
    # An output that is zero throughout still gets a tolerance above float32's smallest normal numbers.
    return {name: max([1e-30, *(largest(answer[name]) for answer in answers)]) for name in floats}


def _gaps(want: Arrays, got: Arrays) -> dict[str, float]:
    nothing = Tolerance(0.0, 0.0)
    return {name: _gap(want[name], got[name], nothing) for name in want}


def _gap(want: NDArray[Any], got: NDArray[Any], tolerance: Tolerance) -> float:
    """The largest difference beyond ``relative`` |want|; infinite where only equality would do and there is none."""
    if want.shape != got.shape or want.dtype.kind != got.dtype.kind:
        return float("inf")
    if want.dtype.kind != "f":
        return 0.0 if bool(np.all(want == got)) else float("inf")
    a, b = want.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
        return float("inf")
    beyond = np.abs(b[finite] - a[finite]) - tolerance.relative * np.abs(a[finite])
    return max(0.0, float(beyond.max())) if beyond.size else 0.0


@dataclass(frozen=True)
class SelfTest:
    """How one variant answered the golden calls on this machine.

    ``checked`` is False when its engine is not installed here. ``worst``: the largest difference by output, as a share
    of what is tolerated; ``reason`` says why it did not pass.
    """

    engine: str
    provider: str
    checked: bool
    passed: bool
    worst: Mapping[str, float]
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON value; an infinite share becomes null."""
        worst = {name: share if np.isfinite(share) else None for name, share in self.worst.items()}
        return {**vars(self), "worst": worst}


def compare_golden(session: Session, golden: Golden) -> dict[str, float]:
    """The largest difference by output, as a share of what is tolerated: above 1 it is too far off.

    Raises EngineError, InputError when the session cannot answer a call.
    """
    worst: dict[str, float] = {}
    for call in golden.calls:
        answer = session.infer(call.inputs)
        for name, want in call.outputs.items():
            tolerance = golden.tolerances.get(name, Tolerance(0.0, 0.0))
            gap = _gap(want, answer[name], tolerance) if name in answer else float("inf")
            share = gap / tolerance.absolute if tolerance.absolute else (0.0 if gap == 0 else float("inf"))
            worst[name] = max(worst.get(name, 0.0), share)
    return worst


def too_far(worst: Mapping[str, float]) -> str:
    """A sentence about the first output that is too far off; "" when none is."""
    bad = [name for name, share in worst.items() if share > 1]
    return f"{bad[0]!r} is {worst[bad[0]]:.3g} times as far off as is tolerated" if bad else ""


def self_test(bundle: Bundle) -> tuple[SelfTest, ...]:
    """Run the golden calls on each variant's engine with the sealed options; one result for each variant, in order."""
    return tuple(_test(variant, bundle.content.golden) for variant in bundle.content.variants)


def _test(variant: Variant, golden: Golden) -> SelfTest:
    worst: dict[str, float] = {}
    try:
        with open_session(variant.model, variant.engine, variant.options) as session:
            worst = compare_golden(session, golden)
            provider = session.provider
    except MissingExtra as error:
        return SelfTest(variant.engine, "", False, False, {}, str(error))
    except (EngineError, InputError) as error:
        return SelfTest(variant.engine, "", True, False, worst, str(error))
    reason = too_far(worst)
    return SelfTest(variant.engine, provider, True, not reason, worst, reason)
