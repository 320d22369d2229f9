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
from edgewright.targets.energy import estimate_energy, predict_energy
from edgewright.targets.fit import fits
from edgewright.targets.library import HOST, measure_host, names, target
from edgewright.targets.roofline import OperatorTime, predict_latency, predict_operators

__all__ = [
    "BITS",
    "HOST",
    "NUMBER_TYPES",
    "Accelerator",
    "DeviceClass",
    "Figure",
    "NumberType",
    "OperatorTime",
    "Target",
    "estimate_energy",
    "fits",
    "measure_host",
    "names",
    "predict_energy",
    "predict_latency",
    "predict_operators",
    "target",
]
