"""``edgewright alerts``: what needs somebody, and saying that one has seen it."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--all", action="store_true", help="those that are over, too")
    parser.add_argument("--ack", default="", metavar="ID", help="say that you have seen this one")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0; 1 when an alert is open that nobody has seen."""
    from edgewright.cli._table import listed
    from edgewright.client import Hub

    with Hub.known() as hub:
        if arguments.ack:
            hub.post(f"/alerts/{arguments.ack}/acknowledge")
            print(f"alert {arguments.ack} is acknowledged")
            return 0
        found = list(hub.every("/alerts", **({} if arguments.all else {"state": "open"})))
    rows = [["ALERT", "SINCE", "SEVERITY", "ABOUT", "SEEN BY", "WHAT"]]
    for one in found:
        seen = one["acknowledged_by"] or "-"
        rows.append([one["id"], one["since"], one["severity"], one["subject"], seen, one["told"]])
    print(listed(rows) if found else "no alerts")
    return 1 if any(one["state"] == "open" and not one["acknowledged_by"] for one in found) else 0
