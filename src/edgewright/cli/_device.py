"""A device as a page of text, and bundles by names that people know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.cli._table import listed

if TYPE_CHECKING:
    from edgewright.client import Hub


class Titles:
    """Bundles of the hub's library: ``titles(digest)`` is name, version and the digest's beginning. Who may not see
    bundles is told digests."""

    def __init__(self, hub: Hub) -> None:
        from edgewright.client import Refusal

        self._known = dict[str, str]()
        try:
            self._known |= {one["digest"]: f"{one['name']} {one['version']}" for one in hub.every("/bundles")}
        except Refusal as refusal:
            if refusal.status != 403:
                raise

    def __call__(self, digest: str) -> str:
        """ "-" for none; the beginning of the digest alone where the library does not have it."""
        if not digest:
            return "-"
        known = self._known.get(digest)
        return f"{known} ({digest[:12]})" if known else digest[:12]


def state(told: Mapping[str, Any]) -> str:
    """Whether it is there, and what it is doing, in words."""
    there = "revoked" if told["revoked"] else "online" if told["online"] else "away"
    doing = str(told["state"] or "idle").replace("_", " ")
    return there if doing == "idle" else f"{there}, {doing}"


def page(
    told: Mapping[str, Any], health: Mapping[str, Any] | None, events: Sequence[Mapping[str, Any]], titles: Titles
) -> str:  # fmt: skip
    """What it is and runs, how it is, what it is told, and its latest events, oldest first."""
    facts = [
        ("group", told["group"]), ("target", told["target"]),
        ("labels", ", ".join(f"{name}={value}" for name, value in told["labels"].items())),
        ("runs", titles(told["current"])),
        ("last good", "" if told["good"] == told["current"] else titles(told["good"])),
        ("should run", "" if told["wanted"] == told["current"] else titles(told["wanted"])),
        ("rollout", told["rollout"]), ("because", told["reason"]), ("seen", when(told["seen"])),
        ("agent", told["facts"].get("agent", "")),
        ("lost", f"{told['dropped']:,} observations or events" if told["dropped"] else ""),
    ]  # fmt: skip
    lines = [f"{told['name']}: {state(told)}", listed([list(one) for one in facts if one[1]])]
    if health is not None:
        lines += ["", f"health: {health['level']}"]
        lines.append(listed([["", one["level"], one["name"], one["told"]] for one in health["components"]]))
    collect = told["told"]["collect"]
    lines += [
        "",
        f"observes every {collect['period_s']:g} s, reports take {collect['budget_bytes']:,} bytes a day at most",
    ]
    if events:
        rows = [[when(one["at"]), one["kind"], one["bundle"][:12], one["detail"]] for one in reversed(events)]
        lines += ["", listed(rows)]
    return "\n".join(lines)


def when(moment: str | None) -> str:
    """To the second, in UTC."""
    return "never" if moment is None else moment[:19].replace("T", " ")
