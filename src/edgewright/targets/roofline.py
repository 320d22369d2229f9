"""Latency of a model on a machine that is not here, predicted operator by operator.

The roofline model (Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009) with one step for caches:
an operator takes the longer of its arithmetic (peak x share its family reaches) and its data's way (bandwidth x share),
plus what an engine spends on starting it. Every share is a range with a source (``roofline.toml``). An operator's
interval takes its factors' ranges as independent and adds their logarithms in squares; a model's adds its operators'
ends, for what is wrong about a machine is wrong for all of them. It tells what is known, not a confidence level.

Pure: nothing here reads a file but the data shipped with the package, nothing is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from edgewright.core.measurement import Measurement
from edgewright.core.workload import OperatorCost, Workload
from edgewright.targets.description import BITS, NumberType, Target
from edgewright.targets.families import MULTIPLYING, Family, family
from edgewright.targets.machine import Factor, Machine, machine

Bound = Literal["compute", "memory", "overhead", "none"]
_OF_BITS: dict[int, NumberType] = {64: "fp32", 32: "fp32", 16: "fp16", 8: "int8", 4: "int4"}
_FACTORS: tuple[Factor, ...] = get_args(Factor)


@dataclass(frozen=True)
class OperatorTime:
    """One operator's predicted time in ms: ``ms`` within [``low_ms``, ``high_ms``], and what it is made of."""

    name: str
    op_type: str
    family: str
    ms: float
    low_ms: float
    high_ms: float
    compute_ms: float
    memory_ms: float
    overhead_ms: float
    bound: Bound


def predict_operators(
    workload: Workload,
    target: Target,
    number_type: NumberType | None = None,
    threads: int | None = None,
    accelerator: str = "",
) -> tuple[OperatorTime, ...]:
    """Each operator's predicted time, in the workload's order.

    ``number_type``: what the multiplications are done in; None takes each operator's own width. With another type than
    its own an operator's bytes shrink or grow with the width (``int4``: weights only). ``threads``: the target's
    default if None, at most its usable cores. ``accelerator``: "" for the CPU, else a name in ``target.accelerators``.
    Raises InputError for an unknown accelerator or one whose arithmetic rate nobody states.
    """
    where = machine(workload, target, number_type, threads, accelerator)
    ends = _ends(where)
    return tuple(_operator(where, ends, operator, number_type) for operator in workload.operators)


def predict_latency(
    workload: Workload,
    target: Target,
    number_type: NumberType | None = None,
    threads: int | None = None,
    accelerator: str = "",
) -> Measurement:
    """The model's predicted latency in ms, kind ``predicted``, n = 0; arguments as for ``predict_operators``.

    ``conditions`` name the threads, the type, what bounds most of the time, and ``sustained_ms`` under continuous load.
    """
    where = machine(workload, target, number_type, threads, accelerator)
    ends = _ends(where)
    times = [_operator(where, ends, operator, number_type) for operator in workload.operators]
    call = [where.off("overhead", 1), where, where.off("overhead", -1)]
    low, once, high = (step.overhead("call") * 1e3 for step in call)
    value = math.fsum(t.ms for t in times) + once
    sustained = 1.0 if target.sustained is None else target.sustained.value
    return Measurement(
        value=value,
        unit="ms",
        kind="predicted",
        n=0,
        low=min(math.fsum(t.low_ms for t in times) + low, value),
        high=max(math.fsum(t.high_ms for t in times) + high, value),
        conditions={
            "method": "roofline",
            "interval": "range of efficiencies seen on such machines, not a confidence level",
            "number_type": number_type or "as stored",
            "threads": where.threads,
            "device": accelerator or "cpu",
            "bound_by": _bound_by(times),
            "sustained_ms": value / sustained,
        },
        target=target.name,
    )


def own_type(operator: OperatorCost) -> NumberType:
    """The number type of an operator's own width."""
    return _OF_BITS.get(operator.bits, "fp32")


def _ends(where: Machine) -> tuple[tuple[Machine, ...], tuple[Machine, ...]]:
    """The machine with one factor at a time off its usual value: (the slower ones, the faster ones)."""
    return tuple(where.off(factor, -1) for factor in _FACTORS), tuple(where.off(factor, 1) for factor in _FACTORS)


def _operator(
    where: Machine,
    ends: tuple[tuple[Machine, ...], tuple[Machine, ...]],
    operator: OperatorCost,
    number_type: NumberType | None,
) -> OperatorTime:
    kind = family(operator)
    if kind in ("free", "fused"):
        return OperatorTime(operator.name, operator.op_type, kind, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "none")
    chosen = number_type or own_type(operator)
    compute, memory, overhead = _parts(where, operator, kind, chosen)
    usual = _seconds((compute, memory, overhead))
    slower, faster = (
        math.hypot(*(math.log(_seconds(_parts(end, operator, kind, chosen)) / usual) for end in side)) for side in ends
    )
    bound: Bound = "overhead" if overhead > max(compute, memory) else "compute" if compute >= memory else "memory"
    return OperatorTime(
        name=operator.name,
        op_type=operator.op_type,
        family=kind,
        ms=usual * 1e3,
        low_ms=usual * 1e3 * math.exp(-faster),
        high_ms=usual * 1e3 * math.exp(slower),
        compute_ms=compute * 1e3,
        memory_ms=memory * 1e3,
        overhead_ms=overhead * 1e3,
        bound=bound,
    )


def _seconds(parts: tuple[float, float, float]) -> float:
    compute, memory, overhead = parts
    return max(compute, memory) + overhead


def _parts(where: Machine, operator: OperatorCost, kind: Family, chosen: NumberType) -> tuple[float, float, float]:
    """(compute, memory, overhead) in s."""
    weights, data = float(operator.weight_bytes), float(operator.read_bytes + operator.written_bytes)
    if kind in MULTIPLYING:
        compute = operator.macs / where.rate(kind, chosen)
        scale = BITS[chosen] / BITS[own_type(operator)]
        weights *= scale
        data *= 1.0 if chosen == "int4" else scale
    else:
        elements = max(operator.read_bytes, operator.written_bytes) * 8 / max(operator.bits, 1)
        work = where.profile.work.get(kind)
        compute = elements * where.cost("share", work) / where.plain_rate("fp32") if work else 0.0
        if chosen == "int8" and kind in ("elementwise", "move", "pool"):
            data *= 8 / max(operator.bits, 8)
    memory = weights / where.bandwidth(where.weights_near) + data / where.bandwidth(data <= where.near_bytes)
    return compute, memory, where.overhead("operator")


def _bound_by(times: Sequence[OperatorTime]) -> str:
    totals = {bound: math.fsum(t.ms for t in times if t.bound == bound) for bound in ("compute", "memory", "overhead")}
    return max(totals, key=lambda bound: totals[bound])
