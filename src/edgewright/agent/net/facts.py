"""Facts: what this device says of itself."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgewright import __version__
from edgewright.core.messages import Facts

_ENGINES = ("onnxruntime", "openvino")


def facts_here(state: Path, target: str = "", labels: Mapping[str, str] | None = None) -> Facts:
    """On this machine; what cannot be found out is left empty."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        storage = shutil.disk_usage(state if state.is_dir() else state.parent).total
    except (OSError, ValueError):
        memory = storage = 0
    engines = {}
    for name in _ENGINES:
        try:
            engines[name] = version(name)[:256]
        except PackageNotFoundError:
            continue
    return Facts(
        agent=__version__[:64], target=target, machine=platform.machine()[:256],
        system=f"{platform.system()} {platform.release()}"[:256], cpus=os.cpu_count() or 0, memory_bytes=max(memory, 0),
        storage_bytes=storage, engines=engines, labels=dict(labels or {}),
    )  # fmt: skip


def utc_offset_s() -> float:
    """What the device's time zone adds to UTC now, in s."""
    return float(time.localtime().tm_gmtoff)


def free_bytes(state: Path) -> int:
    """On the disk of ``state``; 0 where that cannot be told."""
    try:
        return shutil.disk_usage(state).free
    except OSError:
        return 0
