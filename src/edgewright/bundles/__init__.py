"""Bundles: what ships. Sealed once, verified by everyone who opens one; nothing in them is ever executed.

    seal(content, folder, key) -> Bundle        deterministic bytes, written whole or not at all
    verify(path, trusted) -> Bundle             a folder or a single file; TrustError on any difference
    self_test(bundle) -> results                the golden calls on the engines of this machine

Opening needs the device install only: numpy, cryptography, and an engine once a session is opened.
"""

from __future__ import annotations

from edgewright.bundles.content import BundleContent, Call, Contract, DatasetFact, Golden, Variant

__all__ = ["BundleContent", "Call", "Contract", "DatasetFact", "Golden", "Variant"]
