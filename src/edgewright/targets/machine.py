"""A target seen by one run of one model: rates and overheads, each a range of which a prediction takes a point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from edgewright.core.errors import InputError
from edgewright.core.workload import Workload
from edgewright.targets.description import BITS, Accelerator, Figure, NumberType, Target
from edgewright.targets.efficiency import Profile, Range, profile, profiles

Factor = Literal["attained", "share", "threads", "memory", "overhead"]
"""What a prediction is unsure of; taken as independent of one another."""

_CERTAIN = Range(1.0, 1.0, 1.0, "derived: measured with the engine itself")
_NEAR = Range(0.85, 1.0, 1.15, "assumed: measured, but not with the engine's own access pattern")
_IDLE = Range(1.0, 2.0, 4.0, "assumed: operators with several inputs cost more than the one measured")


@dataclass(frozen=True)
class Machine:
    """``unsure`` is the factor that is off its usual value, ``end`` which way: -1 slower, +1 faster, 0 nothing is."""

    target: Target
    profile: Profile
    accelerator: Accelerator | None
    threads: int
    weights_near: bool
    near_bytes: float
    unsure: Factor = "share"
    end: Literal[-1, 0, 1] = 0

    def off(self, factor: Factor, end: Literal[-1, 1]) -> Machine:
        """The same machine with one factor at the end of its range."""
        return replace(self, unsure=factor, end=end)

    def _rate(self, factor: Factor, found: Range) -> float:
        return found.points[1 + self.end] if factor == self.unsure else found.value

    def cost(self, factor: Factor, found: Range) -> float:
        """The point of a range whose high end is the slow one."""
        return found.points[1 - self.end] if factor == self.unsure else found.value

    def _figure(self, number_type: NumberType) -> Figure:
        table = self.target.compute if self.accelerator is None else self.accelerator.compute
        return table[self.arithmetic(number_type)]

    def arithmetic(self, number_type: NumberType) -> NumberType:
        """The type the multiplications really run in."""
        if self.accelerator is None:
            return self.target.arithmetic(number_type)
        order: tuple[NumberType, ...] = (number_type, "fp16", "fp32", "bf16", "int8")
        return next(kind for kind in order if kind in self.accelerator.compute)

    def rate(self, family: str, number_type: NumberType) -> float:
        """MAC/s that ``family`` reaches in ``number_type``, all threads together."""
        share = self.profile.share(family, self.arithmetic(number_type))
        base = share.of or number_type
        return self.plain_rate(base) * self._rate("share", share.range)

    def plain_rate(self, number_type: NumberType) -> float:
        """MAC/s of a large matrix product, all threads together (Amdahl, 1967)."""
        figure = self._figure(number_type)
        attained = _CERTAIN if figure.kind == "measured" else self.profile.attain(self.arithmetic(number_type))
        serial = self.cost("threads", self.profile.general["serial"])
        return figure.value * self._rate("attained", attained) / (serial + (1.0 - serial) / self.threads)

    def bandwidth(self, near: bool) -> float:
        """B/s from the caches or from DRAM, all threads together."""
        target, ranges = self.target, self.profile.memory
        if near and target.cache_bandwidth is not None and self.accelerator is None:
            return target.cache_bandwidth.value * self._rate("memory", ranges["cache"]) * self.threads
        if target.memory_bandwidth.kind == "measured":
            return target.memory_bandwidth.value * self._rate("memory", _NEAR)
        whole = target.memory_bandwidth.value * self._rate("memory", ranges["dram"])
        return min(whole, self._rate("memory", ranges["core"]) * target.clock.value * self.threads)

    def overhead(self, name: Literal["operator", "call"]) -> float:
        """Seconds to start one operator, or to run the model once."""
        if name == "operator" and self.target.operator_overhead is not None and self.accelerator is None:
            return self.target.operator_overhead.value * self.cost("overhead", _IDLE)
        return self.cost("overhead", self.profile.general[name]) / self.target.clock.value


def used_threads(target: Target, threads: int | None) -> int:
    """``threads`` or the target's default, at most its usable cores. Raises InputError below 1."""
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    return max(1, min(int(target.threads) if threads is None else threads, target.usable_cores))


def machine(
    workload: Workload, target: Target, number_type: NumberType | None, threads: int | None, accelerator: str
) -> Machine:
    """``target`` as ``workload`` finds it. Raises InputError for an unknown type or an accelerator without figures."""
    if number_type is not None and number_type not in get_args(NumberType):
        raise InputError(f"no number type is named {number_type!r}; there are: {', '.join(get_args(NumberType))}")
    chosen = next((a for a in target.accelerators if a.name == accelerator), None)
    if accelerator and chosen is None:
        have = ", ".join(a.name for a in target.accelerators) or "none"
        raise InputError(f"target {target.name} has no accelerator {accelerator!r}; it has: {have}")
    if chosen is not None and not chosen.compute:
        raise InputError(f"nobody states what {chosen.name} of {target.name} computes; measure on the device")
    # Weights are read once a run: they stay near only if all of them fit, half of the cache left to activations.
    near = max((size.value for name, size in target.caches.items() if name in ("l2", "l3")), default=0.0) / 2
    return Machine(
        target=target,
        profile=profile(target.architecture) if chosen is None else profiles()["accelerator"],
        accelerator=chosen,
        threads=used_threads(target, threads) if chosen is None else 1,
        weights_near=_weights(workload, number_type) <= near,
        near_bytes=near,
    )


def _weights(workload: Workload, number_type: NumberType | None) -> float:
    if number_type is None:
        return float(workload.weight_bytes)
    return sum(
        operator.weight_bytes * (BITS[number_type] / max(operator.bits, 1) if operator.macs else 1.0)
        for operator in workload.operators
    )
