"""Watch: what a server sees of its clients, for its metrics and, now and then, for its log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from edgewright.runtime.experiments.series import series
from edgewright.runtime.faults import Infeasible, NotReady, Overloaded
from edgewright.runtime.lanes.connections import Connections
from edgewright.runtime.lanes.limits import Budget
from edgewright.runtime.logs import Rejections
from edgewright.runtime.metrics import Family
from edgewright.runtime.service import Service

_REFUSED_S, _REFUSED = 60.0, (Overloaded.kind, Infeasible.kind, NotReady.kind)
"""How often refusals are told in the log at most, in s, and which."""


class Watch:
    """Of the clients at the loop's sockets, and of the requests of all."""

    def __init__(self, service: Service, connections: Connections, budget: Budget) -> None:
        self._service, self._connections, self._budget = service, connections, budget
        self._rejections = Rejections()
        self._refusals = Rejections(_REFUSED_S, "refused", "requests were refused")

    def tell(self) -> None:
        """Say in the log who was turned away and what was refused, where there is news; called every second."""
        now = time.monotonic()
        self._rejections.tell(now, self.rejected())
        self._refusals.tell(now, self._refused())

    def families(self) -> Iterator[Family]:
        """For ``/metrics``."""
        connections, desk = self._connections, self._service.desk
        yield from series(self._service.repository, self._service.splits, desk.shadows)
        yield "line_length", "gauge", "Requests that wait.", [("", {}, desk.scheduler.waiting)]
        cache = desk.report().get("cache")
        if cache is not None:
            yield "cache_bytes", "gauge", "Bytes of answers in the cache.", [("", {}, cache["bytes"])]
        yield "connections", "gauge", "Clients that are connected.", [("", {}, len(connections))]
        yield "accepted_total", "counter", "Clients that were let in.", [("", {}, connections.admitted)]
        yield "buffered_bytes", "gauge", "Unfinished requests and unread replies.", [("", {}, self._budget.held_bytes)]
        strays = [("", {"outcome": kind}, count) for kind, count in sorted(desk.strays.copy().items())]
        yield "stray_requests_total", "counter", "Requests that reached no model, by what they were told.", strays
        rejected = sorted(self.rejected().items())
        told = "Clients turned away before their request was looked at, by status or reason."
        yield "rejected_total", "counter", told, [("", {"reason": reason}, count) for reason, count in rejected]

    def rejected(self) -> Counter[str]:
        """Clients turned away before their request was looked at, by status or reason."""
        told = Counter({str(reason): count for reason, count in self._budget.refused.copy().items()})
        if self._connections.turned_away:
            told["connections"] = self._connections.turned_away
        return told

    def _refused(self) -> Counter[str]:
        """Requests that a model's owner should know of, by model and kind, since the start."""
        told: Counter[str] = Counter()
        repository = self._service.repository
        for (name, _), parts in repository.tallies.parts().items():
            for kind in _REFUSED:
                if count := sum(part.faults[kind] for part in parts):
                    told[f"{name} {kind}"] += count
        for name, count in repository.totals.asleep.copy().items():
            told[f"{name} {NotReady.kind}"] += count
        return told
