"""``edgewright device``: one device: let it in, look at it, shut it out."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.errors import InputError

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
    config = actions.add_parser(
        "config",
        help="what it, or a group, is told: how models are served, what to report, what to take of the network",
    )
    config.add_argument(
        "words", nargs="*", metavar="[D] [FILE]", help="JSON or TOML with the tables config and collect"
    )
    config.add_argument("--group", default="", metavar="NAME", help="of all its devices instead of one")
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
        elif arguments.action == "config":
            _configure(hub, arguments.words, arguments.group)
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


def _configure(hub: Hub, words: list[str], group: str) -> None:
    """Show it, or change it by what the file says; what the file leaves out stays."""
    from urllib.parse import quote

    if not 1 <= len(words) + bool(group) <= 2:
        raise InputError("name one device, or --group NAME, and the file with what it is to be told")
    subject, *files = [group, *words] if group else words
    path = f"/{'groups' if group else 'devices'}/{quote(subject, safe='/' if group else '')}"
    if not files:
        told = hub.get(path)
        print(json.dumps({key: told[key] for key in ("config", "collect", "told") if key in told}, indent=2))
        return
    body = _read(Path(files[0]))
    told = hub.patch(path, body)
    print(f"{subject} is told: {', '.join(sorted(body))}" + (f", {told['devices']} devices" if group else ""))


def _read(path: Path) -> dict[str, Any]:
    """What the file says, by its ending. Raises InputError."""
    from edgewright.core.files import read_file
    from edgewright.core.strict import parse_json

    data = read_file(path, 2**20)
    try:
        told = tomllib.loads(data.decode("utf-8")) if path.suffix == ".toml" else parse_json(data, 2**20)
    except ValueError as error:
        raise InputError(f"{path} cannot be used: {error}") from error
    if not isinstance(told, dict) or not told or told.keys() - {"config", "collect"}:
        raise InputError(f"{path} has to hold the tables config, collect or both, and nothing else")
    return told
