"""The checks, a file for each part of the protocol."""

from __future__ import annotations

from edgewright.testing.oip.checks import (
    binary,
    classification,
    compression,
    discovery,
    errors,
    extensions,
    faults,
    http,
    inference,
    memory,
    repository,
    settings,
)

__all__ = [
    "binary", "classification", "compression", "discovery", "errors", "extensions", "faults", "http", "inference",
    "memory", "repository", "settings",
]  # fmt: skip
