"""The checks, a file for each part of the protocol."""

from __future__ import annotations

from edgewright.testing.oip.checks import (
    binary,
    compression,
    discovery,
    extensions,
    faults,
    http,
    inference,
    memory,
)

__all__ = ["binary", "compression", "discovery", "extensions", "faults", "http", "inference", "memory"]
