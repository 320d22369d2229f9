"""Energy of one run, estimated from a latency and the target's power figures."""

from __future__ import annotations

from dataclasses import replace

from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.workload import Workload
from edgewright.targets.description import BITS, NumberType, Target
from edgewright.targets.machine import used_threads
from edgewright.targets.roofline import own_type, predict_latency


def estimate_energy(latency: Measurement, target: Target, threads: int | None = None) -> Measurement:
    """Energy of one run in mJ from a latency in ms (measured or predicted) and the target's power, kind ``estimated``.

    The value counts idle power and the busy threads' share of the rest; ``low`` counts that share alone (the machine
    is on anyway), ``high`` the whole busy machine. Raises InputError when the target states no power.
    """
    if target.power_busy is None:
        raise InputError(f"target {target.name} states no power_busy; add it to its file to estimate energy")
    if latency.unit != "ms":
        raise InputError(f"energy needs a latency in ms, got {latency.unit}")
    used = used_threads(target, threads)
    idle, busy = float(target.power_idle or 0.0), target.power_busy.value
    share = (busy - idle) * used / target.usable_cores
    value = latency.value * (idle + share)
    low = (latency.value if latency.low is None else latency.low) * share
    high = (latency.value if latency.high is None else latency.high) * busy
    return Measurement(
        value=value,
        unit="mJ",
        kind="estimated",
        n=latency.n,
        low=min(low, value),
        high=max(high, value),
        conditions={
            "method": "latency x power",
            "latency_kind": latency.kind,
            "power_w": idle + share,
            "power_source": target.power_busy.source,
            "threads": used,
        },
        target=target.name,
        subject=latency.subject,
    )


def predict_energy(
    workload: Workload,
    target: Target,
    number_type: NumberType | None = None,
    threads: int | None = None,
    accelerator: str = "",
) -> Measurement:
    """The predicted latency's energy in mJ, kind ``estimated``; arguments as for ``predict_latency``.

    An accelerator counts as the whole machine being busy. ``conditions["arithmetic_mj"]`` is what the multiplications
    and the weights' way from memory would take by the target's energy figures, where it has any: a floor.
    """
    latency = predict_latency(workload, target, number_type, threads, accelerator)
    found = estimate_energy(latency, target, target.usable_cores if accelerator else threads)
    floor = _arithmetic(workload, target, number_type)
    return found if floor is None else replace(found, conditions={**found.conditions, "arithmetic_mj": floor * 1e3})


def _arithmetic(workload: Workload, target: Target, number_type: NumberType | None) -> float | None:
    """J of multiplications and weight traffic by the target's energy figures, or None without them."""
    byte = target.energy.get("dram_byte") or target.energy.get("sram_byte")
    total = 0.0
    for operator in workload.operators:
        own = own_type(operator)
        chosen = number_type or own
        mac = target.energy.get(f"{target.arithmetic(chosen)}_mac")
        if mac is None or byte is None:
            return None
        scale = BITS[chosen] / BITS[own] if operator.macs else 1.0
        total += operator.macs * mac.value + operator.weight_bytes * scale * byte.value
    return total
