"""``edgewright device``: one device: let it in, look at it, shut it out."""

from __future__ import annotations

import argparse
import json
import re
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.cli._confirm import confirmed
from edgewright.core.errors import InputError
from edgewright.core.files import write_file

if TYPE_CHECKING:
    from edgewright.client import Hub

_PATIENCE_S = 120.0


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    enrol = actions.add_parser("enrol", help="a one-time token, to be typed on the device")
    enrol.add_argument("--name", default="", metavar="NAME", help="the only name it may take (default: any)")
    enrol.add_argument("--group", default="", metavar="NAME", help="the group it will be in")
    enrol.add_argument("--hours", type=int, default=24, metavar="N", help="how long it holds (default %(default)s)")
    enrol.add_argument("--count", type=_count, default=1, metavar="N", help="how many tokens (default %(default)s)")
    show = actions.add_parser("show", help="what it is, should be and did")
    show.add_argument("device", metavar="D")
    show.add_argument("--json", action="store_true", help="all that is known, as JSON")
    revoke = actions.add_parser("revoke", help="shut it out, for good; what it runs, it runs on")
    revoke.add_argument("device", metavar="D")
    revoke.add_argument("--yes", action="store_true", help="do not ask")
    for kind, what in (("log", "its log"), ("diagnostics", "a bundle of diagnostics (tar.gz)")):
        ask = actions.add_parser(kind, help=f"ask it for {what}, and wait until it has come")
        ask.add_argument("device", metavar="D")
        ask.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="where to put it")
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
            _known(arguments.device)
            _show(hub, f"/devices/{arguments.device}", arguments.json)
        elif arguments.action == "revoke":
            _known(arguments.device)
            if not arguments.yes and not confirmed(f"shut {arguments.device} out for good"):
                return 1
            hub.post(f"/devices/{arguments.device}/revoke")
            print(f"{arguments.device} is shut out: its certificates are worth nothing any more")
        elif arguments.action == "config":
            _configure(hub, arguments.words, arguments.group)
        elif arguments.action == "group":
            _known(arguments.device)
            hub.patch(f"/devices/{arguments.device}", {"group": arguments.group})
            print(f"{arguments.device} is in group {arguments.group}")
        else:
            _known(arguments.device)
            _fetch(hub, arguments.device, arguments.action, arguments.out)
    return 0


def _show(hub: Hub, path: str, whole: bool) -> None:
    from edgewright.cli._device import Titles, page

    told = hub.get(path)
    health = None if told["revoked"] else hub.get(f"{path}/health")  # of one that is shut out nobody asks
    events = hub.get(f"{path}/events", limit=20)["items"]
    if whole:
        print(json.dumps({**told, "health": health, "events": events}, indent=2))
    else:
        print(page(told, health, events, Titles(hub)))


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000")
    return int(text)


def _known(device: str) -> None:
    """Raise InputError for what is no device's name: it would be another path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", device):
        raise InputError(f"there is no device {device[:80]!r}; look at them: edgewright devices")


def _fetch(hub: Hub, device: str, kind: str, out: Path) -> None:
    """Asked for, waited for, written. Raises InputError when the device does not answer in time."""
    number = hub.post(f"/devices/{device}/collect", {"kind": kind})["number"]
    end = time.monotonic() + _PATIENCE_S
    while not any(
        one["kind"] == kind and one["number"] == number for one in hub.get(f"/devices/{device}/uploads")["items"]
    ):
        if time.monotonic() > end:
            raise InputError(f"{device} has not answered within {_PATIENCE_S:g} s; it does when it is online again")
        time.sleep(0.5)
    write_file(out, hub.data(f"/devices/{device}/uploads/{kind}/{number}"))
    print(f"{kind} of {device}: {out}, {out.stat().st_size:,} bytes")


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
    if not group:
        _known(subject)
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
