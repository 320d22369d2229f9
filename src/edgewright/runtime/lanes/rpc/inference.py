"""Inference over gRPC: one request and its reply."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Fault, Gone
from edgewright.runtime.lanes.rpc.bulk import joined
from edgewright.runtime.lanes.rpc.schema import MESSAGES
from edgewright.runtime.lanes.rpc.tensors import Asked, fill, read
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.served import Served

_ENDLESS_S = 1e8
"""gRPC tells a call without a deadline that it has this long or longer (three years)."""
Find = Callable[[Asked], Served]
"""The version that answers a request. Raises NotFound, NotReady."""
_Reply = MESSAGES["ModelInferResponse"]


def timeout(asked: Asked, context: Any) -> float | None:
    """Seconds the request has: what it says itself, or what is left of the call's own deadline, if that is less."""
    left: float | None = context.time_remaining()
    if left is None or left > _ENDLESS_S:
        return asked.timeout_s
    return left if asked.timeout_s is None else min(left, asked.timeout_s)


class Inference:
    """Each request asks in the thread it came with; what must wait does so in the scheduler's line. ``regions``: the
    shared memory that clients may use."""

    def __init__(self, find: Find, desk: Desk, regions: Regions | None = None) -> None:
        self._find, self._desk, self._regions = find, desk, regions

    def infer(self, raw: bytes, context: Any) -> bytes:
        """The reply to the request in ``raw``. Raises a Fault."""
        asked = read(raw, self._regions)
        left = timeout(asked, context)
        while True:
            served = self._find(asked)
            try:
                outputs = self._desk.at_once(served, asked.inputs, left)
                if outputs is None:
                    outputs = self._wait(served, asked, left, context)
            except Gone:  # replaced just now: its successor answers
                continue
            if asked.id:
                self._desk.remember(served, asked.id, outputs)
            made = _Reply()
            raws = fill(made, served, asked, outputs)
            return joined(made.SerializeToString(), raws, streamed=False)

    def _wait(self, served: Served, asked: Asked, left: float | None, context: Any) -> Any:
        over = threading.Event()
        answer: list[Any] = []

        def done(outputs: Any, fault: Fault | None) -> None:
            answer.extend((outputs, fault))
            over.set()

        give_up = self._desk.later(served, asked.inputs, done, left, asked.priority)
        if not context.add_callback(give_up):
            give_up()  # the call had ended already
        over.wait()
        if answer[1] is not None:
            raise answer[1]
        return answer[0]
