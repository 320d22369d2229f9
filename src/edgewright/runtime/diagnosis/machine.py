"""The machine's load, as Linux tells it: whether others want the processors, too."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

PRESSURE = Path("/proc/pressure/cpu")
GROUP = Path("/sys/fs/cgroup/cpu.stat")


def machine(pressure: Path = PRESSURE, group: Path = GROUP) -> dict[str, Any]:
    """``cores`` that this process may use; ``load_1m``: programs that ran or wanted to, on average of a minute
    (proc(5), loadavg); ``cpu_pressure_60s``: the share of the last minute in which some program waited for a processor
    (Linux's Documentation/accounting/psi.rst); ``throttled_s``: how long the control group's limit has held it up since
    it was made (cgroup-v2.rst, cpu.stat). None where the kernel does not tell."""
    waited = _found(pressure, rb"some .*avg60=([\d.]+)")
    throttled = _found(group, rb"throttled_usec (\d+)")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_1m": round(os.getloadavg()[0], 2),
        "cpu_pressure_60s": None if waited is None else waited / 100,
        "throttled_s": None if throttled is None else throttled / 1e6,
    }


def _found(path: Path, pattern: bytes) -> float | None:
    try:
        found = re.search(pattern, path.read_bytes())
    except OSError:
        return None
    return None if found is None else float(found[1])
