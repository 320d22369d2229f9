"""Loads python-tuf's signers without the clouds': its library tries all there are, and where boto3 is installed (for
objects of the hub, or a notebook) that alone takes a quarter of a second of every command's start."""

from __future__ import annotations

import sys

_hidden = "boto3" not in sys.modules
if _hidden:
    sys.modules["boto3"] = None  # type: ignore[assignment] # importing it is an ImportError, which the library expects
try:
    import securesystemslib.signer  # noqa: F401
finally:
    if _hidden:
        del sys.modules["boto3"]
