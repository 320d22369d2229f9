"""Bundles: what ships. Sealed once, verified by everyone who opens one; nothing in them is ever executed.

    seal(content, folder, key) -> Bundle        deterministic bytes, written whole or not at all
    verify(path, trusted) -> Bundle             a folder or a single file; TrustError on any difference
    self_test(bundle) -> results                the golden calls on the engines of this machine

Opening needs the device install only: numpy, cryptography, and an engine once a session is opened.
"""

from __future__ import annotations

from edgewright.bundles.bundle import Bundle
from edgewright.bundles.content import BundleContent, Call, Contract, DatasetFact, Golden, Tolerance, Variant
from edgewright.bundles.contracts import promises, sketch_inputs
from edgewright.bundles.golden import SelfTest, compare_golden, record_golden, self_test, too_far
from edgewright.bundles.heldout import HELD_OUT, HeldOut, expected, held_out
from edgewright.bundles.names import Limits
from edgewright.bundles.sealing import seal
from edgewright.bundles.verification import verify

open = verify  # ``bundles.open(path)``: there is no opening without verifying

__all__ = [
    "HELD_OUT",
    "Bundle",
    "BundleContent",
    "Call",
    "Contract",
    "DatasetFact",
    "Golden",
    "HeldOut",
    "Limits",
    "SelfTest",
    "Tolerance",
    "Variant",
    "compare_golden",
    "expected",
    "held_out",
    "open",
    "promises",
    "record_golden",
    "seal",
    "self_test",
    "sketch_inputs",
    "too_far",
    "verify",
]
