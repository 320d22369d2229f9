"""``edgewright devices``: the fleet in a table."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--group", default=None, metavar="NAME", help="of this group only")
    parser.add_argument("--json", action="store_true", help="one JSON line for each")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0."""
    from edgewright.cli._table import listed
    from edgewright.client import Hub

    with Hub.known() as hub:
        devices = list(hub.every("/devices", group=arguments.group))
    if arguments.json:
        for one in devices:
            print(json.dumps(one))
        return 0
    rows = [["DEVICE", "GROUP", "TARGET", "STATE", "RUNS", "LAST SEEN"], *map(_row, devices)]
    print(listed(rows) if devices else "no devices yet; let one in: edgewright device enrol")
    return 0


def _row(one: dict[str, Any]) -> list[str]:
    state = "revoked" if one["revoked"] else "online" if one["online"] else "away"
    doing = str(one["state"] or "idle")
    runs = str(one["current"])[:12] or "-"
    seen = str(one["seen"] or "never")
    told = state if doing == "idle" else f"{state}, {doing}"
    return [one["name"], one["group"] or "-", one["target"] or "-", told, runs, seen]
