"""Runtime: models served on the device, in this process and over sockets.

    with Runtime("out/bundle") as runtime:
        outputs = runtime.infer({"x": x}, deadline_ms=5, priority=1)

One scheduler stands behind all lanes: requests are let in by predicted finish, run earliest deadline first within
their priority, and are told at once when they cannot be done in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.runtime.runtime import Runtime

__all__ = ["Runtime"]


def __getattr__(name: str) -> Any:
    # On first use: the worker processes of isolated sessions lie in this package and need none of it.
    if name != "Runtime":
        raise AttributeError(f"module 'edgewright.runtime' has no attribute {name!r}")
    from edgewright.runtime.runtime import Runtime

    return Runtime
