"""Inference where models are split: the version is drawn by the request's key, given as the parameter ``key`` or, over
HTTP, in a header."""

from __future__ import annotations

from typing import Any

from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.faults import NotFound, NotReady
from edgewright.runtime.lanes.http import Handler, Head
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import GiveUp
from edgewright.runtime.oip.inference import Inference
from edgewright.runtime.oip.messages import Plan
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.repository import Repository

HEADER = "edgewright-key"


class SplitInference(Inference):
    """As Inference; a request that names no version gets the one its key draws, and the reply tells which."""

    def __init__(
        self, repository: Repository, desk: Desk, loop: Loop, splits: Splits, regions: Regions | None = None,
        limits: Limits | None = None,
    ) -> None:  # fmt: skip
        super().__init__(repository, desk, loop, regions, limits)
        self._splits = splits

    def handler(self, head: Head, name: str, version: str) -> Handler:
        """What answers HTTP requests that have this very head. Raises BadRequest."""
        usual = super().handler
        key = head.headers.get(HEADER)
        if version or key is None:
            return usual(head, name, version)
        # Drawn anew each time: versions come and go while heads are remembered.
        return lambda head, body, answer: usual(head, name, self._splits.version(name, key))(head, body, answer)

    def _ask(self, name: str, version: str, asked: Plan, *rest: Any) -> GiveUp | None:
        chosen = version or self._splits.version(name, asked.request.parameters.get("key"))
        try:
            return super()._ask(name, chosen, asked, *rest)
        except (NotFound, NotReady):
            if chosen == version:
                raise
            return super()._ask(name, "", asked, *rest)  # it was taken away just now
