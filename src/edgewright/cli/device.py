"""``edgewright device``: one device: let it in, look at it, shut it out."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.client import Hub


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    enrol = actions.add_parser("enrol", help="a one-time token, to be typed on the device")
    enrol.add_argument("--name", default="", metavar="NAME", help="the only name it may take (default: any)")
    enrol.add_argument("--group", default="", metavar="NAME", help="the group it will be in")
    enrol.add_argument("--hours", type=int, default=24, metavar="N", help="how long it holds (default %(default)s)")
    enrol.add_argument("--count", type=int, default=1, metavar="N", help="how many tokens (default %(default)s)")
    for action, what in (
        ("show", "what it is, should be and did"),
        ("revoke", "shut it out, now and for good"),
        ("log", "ask it for its log"),
        ("diagnostics", "ask it for a bundle of diagnostics"),
    ):
        actions.add_parser(action, help=what).add_argument("device", metavar="D")
    group = actions.add_parser("group", help="put it into a group")
    group.add_argument("device", metavar="D")
    group.add_argument("group", metavar="NAME")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when it was done."""
    from edgewright.client import Hub

    with Hub.known() as hub:
        if arguments.action == "enrol":
            _enrol(hub, arguments)
        elif arguments.action == "show":
            told = hub.get(f"/devices/{arguments.device}")
            events = hub.get(f"/devices/{arguments.device}/events", limit=20)["items"]
            print(json.dumps({**told, "events": events}, indent=2))
        elif arguments.action == "revoke":
            hub.post(f"/devices/{arguments.device}/revoke")
            print(f"{arguments.device} is shut out: its certificates are worth nothing any more")
        elif arguments.action == "group":
            hub.patch(f"/devices/{arguments.device}", {"group": arguments.group})
            print(f"{arguments.device} is in group {arguments.group}")
        else:
            hub.post(f"/devices/{arguments.device}/collect", {"kind": arguments.action})
            print(f"asked; it comes with the next sync: edgewright device show {arguments.device}")
    return 0


def _enrol(hub: Hub, arguments: argparse.Namespace) -> None:
    body = {"device": arguments.name, "group": arguments.group, "hours": arguments.hours}
    for _ in range(arguments.count):
        made = hub.post("/enrolments", {key: value for key, value in body.items() if value})
        if arguments.count > 1:
            print(made["token"])
        else:
            print(f"edgewright agent enrol --hub {made['url']} --token {made['token']} --state /var/lib/edgewright")
