"""A conformance suite for the Open Inference Protocol v2 over HTTP, for any server: ``python -m edgewright.testing.oip
URL``.

Black box: standard library and numpy, no line of the server's. Requests are made from the model's own metadata. What
the protocol and HTTP require is checked always, an extension only where the server announces it.
"""

from __future__ import annotations

from edgewright.testing.oip.contract import CHECKS, Check, Failed, Result, Skipped, check
from edgewright.testing.oip.runner import conform

__all__ = ["CHECKS", "Check", "Failed", "Result", "Skipped", "check", "conform"]
