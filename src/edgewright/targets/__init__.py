"""Targets: device classes as data, every figure with its unit and source; this machine detected; latency predicted."""

from __future__ import annotations

from edgewright.targets.description import (
    BITS,
    NUMBER_TYPES,
    Accelerator,
    DeviceClass,
    Figure,
    NumberType,
    Target,
)
from edgewright.targets.library import HOST, names, target

__all__ = [
    "BITS",
    "HOST",
    "NUMBER_TYPES",
    "Accelerator",
    "DeviceClass",
    "Figure",
    "NumberType",
    "Target",
    "names",
    "target",
]
