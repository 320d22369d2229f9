"""Isolation: an engine in a worker process of its own, so that what it does wrong ends there.

    with open_isolated(model, "onnxruntime", options) as session:
        outputs = session.infer({"x": x})

Tensors lie in shared memory, headers travel over a socket, nothing is pickled. A worker that crashes, hangs or is
killed costs the one request it had, and is replaced in the background.
"""

from __future__ import annotations

from edgewright.runtime.isolation.session import IsolatedSession, Isolation, open_isolated

__all__ = ["IsolatedSession", "Isolation", "open_isolated"]
