"""Trace and log settings, as Triton's clients read and change them; nothing is taken for changed that is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.runtime.faults import Unsupported

TRACE: Mapping[str, Any] = {
    "trace_file": "", "trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0",
}  # fmt: skip
"""No traces are recorded."""
LOG: Mapping[str, Any] = {
    "log_file": "", "log_info": True, "log_warning": True, "log_error": True, "log_verbose_level": 0,
    "log_format": "default",
}  # fmt: skip
"""What there is to say goes to the standard error."""


def settings(current: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings after a request for changes. Raises Unsupported unless they are so already; None asks for a
    default."""
    for key, value in asked.items():
        if value is not None and (key not in current or current[key] != value):
            there = f"it is {current[key]!r} and stays so" if key in current else f"there are: {', '.join(current)}"
            raise Unsupported(f"{key[:60]!r} cannot be set to {str(value)[:60]!r} on this server: {there}")
    return dict(current)
