"""Watching: what happens at the hub as it happens, and waiting until something of it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from edgewright.client.hub import Hub, Refusal, Unreachable
from edgewright.core.errors import InputError

OPEN = frozenset(("checking", "queued", "running", "stopping"))
"""States of versions, data sets, jobs and benchmarks that are not over."""
_LATEST = 2**52
_AGAIN_S, _PATIENCE = 1.0, 60
"""Between two attempts; as often in a row without an event it is given up."""


def events(hub: Hub, of: str = "", after: int | None = None) -> Iterator[dict[str, Any]]:
    """Events (``seq``, ``at``, ``kind``, ``of``, ``data``) as they come, for as long as they are taken: of everything
    the caller may see, or of the one thing with the id ``of``; those after a number, or from now on.

    A line that breaks is taken up again where it was; between events the hub says every few seconds that it is still
    there. Raises Refusal, and Unreachable where it is not heard of for a minute.
    """
    fruitless = 0
    if after is None:
        after = int(hub.get("/events", after=_LATEST)["last"])
    while True:
        lines = hub.lines("/events", "text/event-stream", **({"of": of} if of else {}), after=after)
        while (line := _next(lines, fruitless < _PATIENCE)) is not None:
            fruitless = 0
            if line.startswith("data: "):
                event = _read(line.removeprefix("data: "))
                after = event["seq"]
                yield event
        fruitless += 1
        time.sleep(_AGAIN_S)


def wait(hub: Hub, path: str, told: Callable[[dict[str, Any]], None] = lambda event: None) -> Any:
    """What is at ``path`` ("/optimization-jobs/job_...", "/benchmarks/bmk_...") once it is over. ``told`` hears each
    event of it meanwhile, from its beginning. Raises as ``events``, InputError for what has no state."""
    found = hub.get(path)
    if not isinstance(found, dict) or not isinstance(found.get("state"), str):
        raise InputError(f"{path[:80]} has no state that could be waited for; name a job or a benchmark")
    if found["state"] not in OPEN:
        return found
    for event in events(hub, path.rpartition("/")[2], after=0):
        told(event)
        news = "state" in event["data"] or event["kind"] == "events.cut"
        if news and (found := hub.get(path))["state"] not in OPEN:
            return found
    raise AssertionError("unreachable")


def _next(lines: Iterator[str], patient: bool) -> str | None:
    """The next one; None where the line has ended or, to the ``patient``, broken."""
    try:
        return next(lines, None)
    except (Unreachable, Refusal) as error:
        if not patient or (isinstance(error, Refusal) and error.status not in (429, 503)):
            raise
        return None


def _read(text: str) -> dict[str, Any]:
    try:
        event = json.loads(text)
        if not isinstance(event["seq"], int) or not isinstance(event["data"], dict):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable("the hub's events are no events; is that address a hub's?") from error
    return dict(event)
