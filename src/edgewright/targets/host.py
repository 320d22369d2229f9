"""This machine as a Target: detected from the operating system, measured only when asked.

Everything is read below ``root``, so that a test can point it at another tree. Quotas of control groups (kernel
documentation, Control Group v2; cgroups v1) and the process's CPU affinity count before what is built in.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from edgewright.core.cpus import allowed_cpus
from edgewright.targets.cpu import Cpu, read_cpu
from edgewright.targets.description import Accelerator, DeviceClass, Figure, NumberType, Target
from edgewright.targets.library import target
from edgewright.targets.limits import cpu_quota, memory_limit
from edgewright.targets.peaks import derive_peaks
from edgewright.targets.rapl import rapl

_ENGINES = ("onnxruntime", "openvino", "tensorrt", "ncnn")
_GIB = 1 << 30


def host(*, measure: bool = False, root: Path = Path("/")) -> Target:
    """This machine. ``measure``: see ``targets.target``."""
    detected = detect(root)
    from edgewright.targets import probe

    found = probe.measured(detected) if measure else probe.remembered(detected)
    return detected if found is None else probe.applied(detected, found)


def detect(root: Path = Path("/")) -> Target:
    """This machine as the operating system tells it; peaks are derived from instruction sets and clock."""
    cpu = read_cpu(root)
    cores, cores_source = _cores(root, cpu)
    total, usable, ram_source = _memory(root)
    engines = tuple(e for e in _ENGINES if importlib.util.find_spec(e) is not None)
    types: tuple[NumberType, ...] = ("fp32", "fp16", "bf16", "int8", "int4")
    peaks = derive_peaks(cpu.isa, cpu.clock.value)
    device_class = _device_class(cores, total, cpu.isa)
    typical = target(device_class)
    return Target(
        name="host",
        title=f"this machine: {cpu.model}",
        device_class=device_class,
        architecture=cpu.architecture,
        isa=cpu.isa,
        isa_source=cpu.isa_source,
        engines=(*engines, "c"),
        engines_source="detected: libraries importable in this environment; C code can always be generated",
        number_types=tuple(t for t in types if t in peaks or t == "int4"),
        number_types_source="derived: types the CPU has instructions for, and int4 for weights",
        cores=Figure(cores, "cores", cores_source),
        threads=Figure(cores, "threads", "derived: one per usable core"),
        clock=cpu.clock,
        compute=peaks,
        memory_bandwidth=Figure(10e9, "B/s", "assumed: until measured (edgewright targets detect)"),
        ram=Figure(total, "B", ram_source),
        ram_model=Figure(usable * 3 // 4, "B", f"derived: three quarters of {usable:,} B ({ram_source})"),
        storage=_storage(),
        power_idle=_power(typical, typical.power_idle, cores),
        power_busy=_power(typical, typical.power_busy, cores),
        energy=typical.energy,
        caches=cpu.caches,
        accelerators=_accelerators(root),
        notes=(
            f"Operating system: {platform.system()} {platform.release()}.",
            f"Energy counters (RAPL): {rapl(root)}.",
        ),
    )


def _cores(root: Path, cpu: Cpu) -> tuple[int, str]:
    """Whole physical cores this process may use, and how that was found."""
    allowed = set(allowed_cpus())
    cores, source = cpu.physical(allowed), f"detected: physical cores among {len(allowed)} allowed logical ones"
    quota = cpu_quota(root)
    if quota is not None and quota < cores:
        return max(int(quota), 1), f"detected: control group quota of {quota:g} CPUs, whole ones counted"
    return cores, source


def _memory(root: Path) -> tuple[int, int, str]:
    """Bytes built in, bytes this process may use, and where that is written."""
    total = 0
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                total = int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        total = 0
    source = "detected: MemTotal in /proc/meminfo"
    if not total:
        names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
        if "SC_PHYS_PAGES" in names:
            total, source = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "detected: sysconf"
        else:
            total, source = 2 * _GIB, "assumed: the system does not tell"
    limit = memory_limit(root)
    if limit is not None and limit < total:
        return total, limit, "detected: control group memory limit"
    return total, total, source


def _storage() -> Figure:
    try:
        return Figure(shutil.disk_usage(Path.cwd()).free, "B", "detected: free space where the command was started")
    except OSError:
        return Figure(_GIB, "B", "assumed: the folder where the command was started cannot be read")


def _power(typical: Target, figure: Figure | None, cores: int) -> Figure | None:
    """The class's power, scaled to the cores this process has; good for an estimate and called one."""
    if figure is None:
        return None
    share = cores / int(typical.cores)
    source = f"assumed: class {typical.name}, {figure.value:g} W for {int(typical.cores)} cores, scaled to {cores}"
    return Figure(figure.value * share, figure.unit, source)


def _device_class(cores: int, ram: int, isa: frozenset[str]) -> DeviceClass:
    if ram < 4 * _GIB:
        return "low"
    return "high" if cores >= 8 or isa & {"avx512f", "amx_int8", "sve2"} else "medium"


def _accelerators(root: Path) -> tuple[Accelerator, ...]:
    found: list[Accelerator] = []
    nvidia = next(
        (path for path in ("proc/driver/nvidia/version", "etc/nv_tegra_release") if (root / path).exists()), ""
    )
    if nvidia:
        found.append(Accelerator("nvidia-gpu", "gpu", ("onnxruntime", "tensorrt"), {}, f"detected: /{nvidia}"))
    elif any((root / "dev/dri").glob("renderD*")):
        found.append(Accelerator("gpu", "gpu", ("openvino",), {}, "detected: a render node in /dev/dri"))
    if any((root / "dev/accel").glob("accel*")):
        found.append(Accelerator("npu", "npu", ("openvino",), {}, "detected: a device node in /dev/accel"))
    return tuple(found)


def describe(target: Target) -> dict[str, Any]:
    """The few facts a report's environment section needs. JSON values."""
    return {
        "title": target.title,
        "architecture": target.architecture,
        "isa": sorted(target.isa),
        "cores": int(target.cores),
        "clock_hz": float(target.clock),
        "ram_bytes": int(target.ram),
        "caches_bytes": {name: int(size) for name, size in target.caches.items()},
    }
