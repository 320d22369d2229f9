"""The health check that all gRPC services share (``grpc.health.v1``): what Kubernetes' probes ask, and Triton answers.

``Check`` alone: who would ``Watch`` is told that there is no such method, which that protocol provides for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from edgewright.runtime.faults import NotFound
from edgewright.runtime.lanes.rpc.tensors import parse

HEALTH = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING = 1, 2


def check(ready: Callable[[], bool], service: str) -> Callable[[bytes, Any], bytes]:
    """What answers ``Check``, of the whole server or of ``service``. Its messages have one field each, a text and a
    number, and are spelled as the wrappers of these are. Raises NotFound, BadRequest."""

    def answer(raw: bytes, context: Any) -> bytes:
        asked = parse(StringValue, raw).value
        if asked not in ("", service):
            raise NotFound(f"there is no service {asked[:100]!r}; there is: {service}")
        told: bytes = Int32Value(value=_SERVING if ready() else _NOT_SERVING).SerializeToString()
        return told

    return answer
