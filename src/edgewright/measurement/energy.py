"""Energy of one answer as the machine counts it (RAPL). Where it cannot: ``targets.estimate_energy``, and said so."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays, Session
from edgewright.measurement.blocks import Clock
from edgewright.measurement.conditions import disturbance, read_counters, session_conditions
from edgewright.measurement.intervals import interval_note, median_of
from edgewright.measurement.latency import Checkpoint
from edgewright.measurement.quiet import Pin, no_collector
from edgewright.measurement.subject import batch_of
from edgewright.targets.rapl import rapl


@dataclass(frozen=True)
class Domain:
    """One counter: ``energy_uj`` counts microjoules up to ``range_uj``, then starts again at 0."""

    name: str
    path: Path
    range_uj: int


@dataclass(frozen=True)
class Meter:
    """The machine's energy counters that add up: every package, and its memory where that is counted apart."""

    domains: tuple[Domain, ...]

    def read(self) -> tuple[int, ...]:
        """Microjoules of each domain now. Raises OSError when the permission was taken away."""
        return tuple(int(domain.path.read_text()) for domain in self.domains)

    def joules(self, before: Sequence[int], after: Sequence[int]) -> float:
        """Energy between two readings, each counter having started again at most once (at 100 W: some 40 minutes)."""
        total = 0
        for domain, first, last in zip(self.domains, before, after, strict=True):
            total += last - first if last >= first else last + domain.range_uj - first
        return total / 1e6


def energy_meter(root: Path = Path("/")) -> Meter | None:
    """The counters under /sys/class/powercap, or None where there are none or this user may not read them.

    Kernel documentation, Power Capping Framework: a package's zone holds its cores; the memory's (``dram``) lies below
    it but is counted apart; ``psys`` counts the whole board, packages included, and is only used without packages.
    """
    found = rapl(root)
    if not found.readable:
        return None
    packages = [(name, path) for name, path in found.domains if name.startswith("package")]
    packages = packages or [(name, path) for name, path in found.domains if name == "psys"]
    domains = []
    for name, path in packages:
        domains.append(_domain(name, path))
        for inner in sorted(path.parent.glob("*-rapl:*:*/name")):
            if inner.read_text().strip() == "dram" and (inner.parent / "energy_uj").exists():
                domains.append(_domain(f"{name} dram", inner.parent / "energy_uj"))
    try:
        meter = Meter(tuple(domains))
        meter.read()
    except (OSError, ValueError):
        return None
    return meter if domains else None


def _domain(name: str, path: Path) -> Domain:
    limit = path.parent / "max_energy_range_uj"
    try:
        return Domain(name, path, int(limit.read_text()))
    except (OSError, ValueError):
        return Domain(name, path, 1 << 32)  # MSR_*_ENERGY_STATUS counts in 32 bits


def measure_energy(
    sessions: Mapping[str, Session],
    inputs: Sequence[Arrays],
    meter: Meter,
    *,
    rounds: int = 6,
    burst_s: float = 0.2,
    idle_s: float = 0.5,
    seed: int = 0,
    clock: Clock = time.perf_counter_ns,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Measurement]:
    """``energy_mj`` of one sample for every session, in interleaved bursts: all that the counters saw, per sample.

    The conditions hold the power of the idle machine and the energy above it (``net_mj``), which is what an always-on
    machine pays more. Counters move about once a millisecond, hence bursts of ``burst_s``. Raises InputError without
    sessions or inputs.
    """
    if not sessions or not inputs:
        raise InputError("energy needs at least one model and one input")
    names = list(sessions)
    samples = batch_of(inputs)
    rng = np.random.default_rng(seed)
    gross: dict[str, list[float]] = {name: [] for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    start, begun = meter.read(), clock()
    time.sleep(idle_s)
    idle_w = meter.joules(start, meter.read()) / max((clock() - begun) / 1e9, 1e-9)
    before = read_counters()
    threads = max(getattr(getattr(s, "options", None), "threads", 1) for s in sessions.values())
    with no_collector(), Pin(threads):
        for session in sessions.values():
            session.infer(inputs[0])
        for _ in range(max(rounds, 1)):
            for i in rng.permutation(len(names)):
                infer, done = sessions[names[i]].infer, 0
                first, begin = meter.read(), clock()
                while clock() - begin < burst_s * 1e9 or not done:
                    infer(inputs[done % len(inputs)])
                    done += 1
                last, seconds = meter.read(), (clock() - begin) / 1e9
                gross[names[i]].append(meter.joules(first, last) / done / samples * 1e3)
                times[names[i]].append(seconds / done / samples)
            if checkpoint is not None and checkpoint() is False:
                break
    shared = disturbance(before, read_counters()) | {
        "source": "RAPL " + ", ".join(domain.name for domain in meter.domains),
        "idle_w": round(idle_w, 2),
    }
    results = {}
    for name in names:
        found = median_of(gross[name])
        net = found.value - idle_w * float(np.median(times[name])) * 1e3
        told = session_conditions(sessions[name]) | shared | {"net_mj": float(f"{max(net, 0.0):.4g}")}
        told |= interval_note(found.n)
        results[name] = Measurement(found.value, "mJ", "measured", found.n, found.low, found.high, told)
    return results
