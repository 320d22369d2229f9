"""Standing: where the device is, for people and programs on it; the same whether the agent runs or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright.agent.net.line import HUB, Enrolment
from edgewright.agent.net.wishes import Wishes
from edgewright.agent.slots import INCOMING, Slots
from edgewright.agent.states import Situation


def standing(state: Path, now: Situation, *, runtime: bool, agent: bool) -> dict[str, Any]:
    """A JSON value. ``runtime``, ``agent``: whether they run. ``update`` None: none was begun yet; ``fetched_bytes`` of
    ``size_bytes`` while one is fetched whole; ``hub`` None before enrolment. Raises InputError."""
    told: dict[str, Any] = {
        "agent": agent, "runtime": runtime, "state": now.state, "serves": Slots(state).current, "good": now.good,
        "before": now.before, "reason": now.reason, "refused": dict(now.bad), "update": None, "hub": None,
    }  # fmt: skip
    if now.update is not None:
        told["update"] = {"bundle": now.update.bundle, "release": now.update.release, "result": now.result}
        if now.state == "fetching":
            parts = [state / INCOMING / now.update.bundle / name for name in ("bundle.part", "bundle.ewb")]
            sizes = [part.stat().st_size for part in parts if part.is_file()]
            told["update"] |= {"size_bytes": now.facts.get("size_bytes", 0), "fetched_bytes": max(sizes, default=0)}
    if (state / HUB).is_file():
        enrolment, desired = Enrolment.load(state), Wishes(state).desired
        told["hub"] = {
            "url": enrolment.url, "tenant": enrolment.tenant, "device": enrolment.device, "revision": desired.revision,
            "wanted": None if desired.release is None else desired.release.bundle,
        }  # fmt: skip
    return told


def lines(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """As people read it: names and sentences."""
    runs = {True: "runs", False: "does not run"}
    yield from (("agent", runs[told["agent"]]), ("runtime", runs[told["runtime"]]), ("state", told["state"]))
    yield from (("serves", told["serves"] or "nothing"), ("good", told["good"] or "none"))
    yield "before", told["before"] or "none"
    if (update := told["update"]) is not None:
        yield "update", f"{update['bundle']} {update['result'] or 'on its way'}{_share(update)}"
    if told["reason"]:
        yield "reason", told["reason"]
    for bundle, why in told["refused"].items():
        yield "refused", f"{bundle[:12]} {why}"
    if (hub := told["hub"]) is not None:
        yield "hub", f"{hub['url']} as {hub['tenant']}/{hub['device']}"
        wanted = "nothing yet" if hub["wanted"] is None else hub["wanted"] or "nothing served"
        yield "wanted", f"{wanted} (revision {hub['revision']})"
        if hub.get("trouble"):
            yield "trouble", hub["trouble"]
        if hub.get("clock_fault"):
            yield "clock", hub["clock_fault"]


def _share(update: Mapping[str, Any]) -> str:
    size = update.get("size_bytes", 0)
    return f", {update['fetched_bytes']:,} of {size:,} bytes are here" if size else ""
