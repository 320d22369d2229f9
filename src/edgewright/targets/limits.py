"""What control groups allow this process: CPUs and memory, the tightest limit on the way up to the root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_UNLIMITED = 1 << 60
"""cgroup v1 writes a huge number for "no limit"."""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders that may hold limits of ``controller`` ("" for cgroup v2): the process's own group and its parents."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3 or controller not in parts[1].split(","):
            continue
        mounts = [root / "sys/fs/cgroup" / (controller or "."), root / "sys/fs/cgroup/unified"]
        group = PurePosixPath(parts[2].lstrip("/"))
        if ".." not in group.parts:
            for mount in mounts[: 1 if controller else 2]:
                yield from (mount / folder for folder in (group, *group.parents))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time per period, or None without a limit."""
    found: list[float] = []
    for folder in _groups(root, ""):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    for folder in _groups(root, "cpu"):
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min((limit for limit in found if limit > 0), default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes this process's groups may hold, or None without a limit."""
    texts = [_text(folder / "memory.max") for folder in _groups(root, "")]
    texts += [_text(folder / "memory.limit_in_bytes") for folder in _groups(root, "memory")]
    limits = [int(text) for text in texts if text.isdigit()]
    return min((limit for limit in limits if 0 < limit < _UNLIMITED), default=None)
