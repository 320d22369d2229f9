"""Runtime: models served on the device, in this process and over sockets.

    with Runtime("out/bundle") as runtime:
        outputs = runtime.infer({"x": x}, deadline_ms=5, priority=1)

One scheduler stands behind all lanes: requests are let in by predicted finish, run earliest deadline first within
their priority, and are told at once when they cannot be done in time.
"""

from __future__ import annotations

from edgewright.runtime.runtime import Runtime

__all__ = ["Runtime"]
