"""``edgewright devices``: the fleet in a table."""

from __future__ import annotations

import argparse
import json


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--group", default=None, metavar="NAME", help="of this group only")
    parser.add_argument("--json", action="store_true", help="one JSON line for each")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0."""
    from edgewright.cli._device import Titles, state, when
    from edgewright.cli._table import listed
    from edgewright.client import Hub

    with Hub.known() as hub:
        devices = list(hub.every("/devices", group=arguments.group))
        if arguments.json:
            for one in devices:
                print(json.dumps(one))
            return 0
        titles = Titles(hub)
    rows = [["DEVICE", "GROUP", "TARGET", "STATE", "RUNS", "LAST SEEN"]]
    for one in devices:
        told = [state(one), titles(one["current"]), when(one["seen"])]
        rows.append([one["name"], one["group"] or "-", one["target"] or "-", *told])
    none = f"no devices in group {arguments.group}" if arguments.group else "no devices yet"
    print(listed(rows) if devices else f"{none}; let one in: edgewright device enrol")
    return 0
