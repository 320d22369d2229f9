"""Whether the machine counts its own energy: Intel's and AMD's RAPL counters under /sys/class/powercap.

Kernel documentation, Power Capping Framework. Since CVE-2020-8694 only root may read them unless an administrator
allows it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Rapl:
    """``domains``: name (``package-0``) -> file with the energy count in uJ; ``readable``: by this user."""

    domains: tuple[tuple[str, Path], ...]
    readable: bool

    def __str__(self) -> str:
        if not self.domains:
            return "absent"
        names = ", ".join(name for name, _ in self.domains)
        return f"readable ({names})" if self.readable else f"present ({names}), readable by root only"


def rapl(root: Path = Path("/")) -> Rapl:
    """The top-level RAPL domains below ``root``; none where the machine or the hypervisor has none."""
    domains: list[tuple[str, Path]] = []
    for folder in sorted((root / "sys/class/powercap").glob("*-rapl:*")):
        if folder.name.count(":") == 1 and (folder / "energy_uj").exists():
            try:
                name = (folder / "name").read_text().strip()
            except OSError:
                name = folder.name
            domains.append((name, folder / "energy_uj"))
    return Rapl(tuple(domains), bool(domains) and all(os.access(path, os.R_OK) for _, path in domains))
