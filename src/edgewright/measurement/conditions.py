"""Conditions: the machine as it was while something was measured, and what else used it meanwhile."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgewright.core.cpus import allowed_cpus
from edgewright.core.digests import digest_json
from edgewright.targets.cpu import read_cpu
from edgewright.targets.limits import cpu_quota, memory_limit

_CPUS = "sys/devices/system/cpu"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def environment(root: Path = Path("/")) -> dict[str, Any]:
    """What the machine is and allows: a JSON value for the report. Facts the system does not tell are left out.

    ``root`` is where the system's files are read from, so that a test can point it at another tree.
    """
    cpu = read_cpu(root)
    allowed = allowed_cpus()
    folder = root / _CPUS / f"cpu{allowed[0]}" / "cpufreq"
    frequencies = {
        key: int(text) / 1000
        for key, name in (("min", "cpuinfo_min_freq"), ("max", "cpuinfo_max_freq"), ("now", "scaling_cur_freq"))
        if (text := _text(folder / name)).isdigit()
    }
    facts = {
        "cpu": cpu.model,
        "architecture": cpu.architecture,
        "isa": sorted(cpu.isa),
        "cores": cpu.physical(allowed),
        "logical_cpus": len(allowed),
        "affinity": allowed,
        "cpu_quota": cpu_quota(root),
        "memory_limit_bytes": memory_limit(root),
        "governor": _text(folder / "scaling_governor"),
        "frequency_mhz": frequencies,
        "boost": _boost(root),
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "kernel": platform.release(),
        "system": _system(root),
        "container": _container(root),
        "virtual_machine": _hypervisor(root),
        "python": platform.python_version(),
        "libraries": {name: v for name in ("numpy", "onnxruntime", "openvino") if (v := _installed(name))},
        "edgewright": _installed("edgewright"),
    }
    return {key: value for key, value in facts.items() if value not in (None, "", {}, [])}


@cache
def environment_digest() -> str:
    """Twelve digits naming this machine and its software, without what changes from minute to minute."""
    moving = ("load_average", "frequency_mhz")
    return digest_json({k: v for k, v in environment().items() if k not in moving})[:12]


def _boost(root: Path) -> bool | None:
    if text := _text(root / _CPUS / "cpufreq/boost"):
        return text == "1"
    if text := _text(root / _CPUS / "intel_pstate/no_turbo"):
        return text == "0"
    return None


def _system(root: Path) -> str:
    for line in _text(root / "etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')[:80]
    return f"{platform.system()} {platform.release()}"


def _container(root: Path) -> str:
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    groups = _text(root / "proc/1/cgroup")
    return next((name for name in ("kubepods", "docker", "lxc", "containerd") if name in groups), "")


def _hypervisor(root: Path) -> str:
    """The hypervisor as far as it tells; empty on bare metal."""
    flagged = " hypervisor" in _text(root / "proc/cpuinfo")[:8192]
    product = _text(root / "sys/class/dmi/id/sys_vendor")[:40]
    return (product or "yes") if flagged else ""


@dataclass(frozen=True)
class Counters:
    """Counts that only grow. ``*_ticks`` are hundredths of a second over all CPUs; None where the system is silent."""

    wall_ns: int
    cpu_ns: int
    preemptions: int
    busy_ticks: int | None = None
    steal_ticks: int | None = None
    throttled: int | None = None


def preemptions() -> int:
    """How often this process lost its CPU although it wanted to go on (getrusage(2), ru_nivcsw)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def read_counters(root: Path = Path("/")) -> Counters:
    """The counts now. Takes some 0.1 ms: for the start and end of a run, not for every round."""
    busy = steal = None
    head = _text(root / "proc/stat").partition("\n")[0].split()
    if head[:1] == ["cpu"] and len(head) >= 9:
        # proc(5): user nice system idle iowait irq softirq steal
        ticks = [int(x) for x in head[1:9]]
        busy, steal = sum(ticks) - ticks[3] - ticks[4] - ticks[7], ticks[7]
    return Counters(time.perf_counter_ns(), time.process_time_ns(), preemptions(), busy, steal, _throttled(root))


def _throttled(root: Path) -> int | None:
    """Periods in which the control group's quota stopped this process."""
    for place in ("sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat"):
        for line in _text(root / place).splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_throttled" and value.isdigit():
                return int(value)
    return None


def disturbance(
    before: Counters, after: Counters, rounds: Sequence[int] = (), cpus: int | None = None
) -> dict[str, Any]:
    """What else happened on the machine between two readings, as compact conditions.

    ``rounds`` holds the preemptions of each round. ``notes`` are sentences for a person, absent when all was quiet;
    nothing was left out of the figures because of them.
    """
    seconds = max((after.wall_ns - before.wall_ns) / 1e9, 1e-9)
    cpus = cpus or os.cpu_count() or 1
    found: dict[str, Any] = {}
    notes = []
    hit = sum(1 for n in rounds if n > 0)
    if rounds:
        found["preempted_rounds"] = round(hit / len(rounds), 3)
    if before.busy_ticks is not None and after.busy_ticks is not None:
        tick = os.sysconf("SC_CLK_TCK")
        own = (after.cpu_ns - before.cpu_ns) / 1e9
        others = max((after.busy_ticks - before.busy_ticks) / tick - own, 0.0) / seconds
        found["other_load_cpus"] = round(min(others, float(cpus)), 2)
        if seconds > 0.2 and others > 0.2:
            notes.append(f"other processes used {others:.1f} of {cpus} CPUs")
    if before.steal_ticks is not None and after.steal_ticks is not None:
        stolen = (after.steal_ticks - before.steal_ticks) / os.sysconf("SC_CLK_TCK") / seconds / cpus
        found["steal_share"] = round(max(stolen, 0.0), 4)
        if stolen > 0.01:
            notes.append(f"the hypervisor withheld {stolen:.0%} of the CPUs' time")
    if before.throttled is not None and after.throttled is not None and after.throttled > before.throttled:
        found["throttled"] = after.throttled - before.throttled
        notes.append(f"the control group's quota stopped the process {found['throttled']} times")
    if rounds and hit > 0.25 * len(rounds):
        notes.append(f"{hit} of {len(rounds)} rounds were interrupted")
    return found | ({"notes": notes} if notes else {})


def session_conditions(session: Any) -> dict[str, Any]:
    """Requested and actual provider, and the engine's options and its note where the session tells them."""
    found: dict[str, Any] = {"provider": session.provider}
    if session.requested != session.provider:
        found["requested"] = session.requested
    if getattr(session, "note", ""):
        found["note"] = session.note
    options = getattr(session, "options", None)
    if options is not None:
        told: Mapping[str, Any] = options.to_json()
        found |= {key: told[key] for key in ("threads", "spinning", "graph_level", "precision")}
    return found


def interpreter_note() -> str:
    """A warning when something slows every Python call (a debugger, a profiler, coverage); else empty."""
    return "a tracing tool was active and slows every call" if sys.gettrace() or sys.getprofile() else ""
