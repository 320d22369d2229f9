"""``edgewright rollout``: see rollouts, order them about, and sign what they may run."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.cli._confirm import confirmed
from edgewright.core.errors import InputError

if TYPE_CHECKING:
    from edgewright.client import Hub

_ORDERS = {
    "pause": "switch no more devices until it is resumed",
    "resume": "go on after a pause",
    "advance": "go to the next wave without waiting for the gate",
    "approve": "agree to it, where it needs another person's word",
    "cancel": "give it up before it begins",
}
_WATCH_S = 1.0
_PATIENCE = 120
"""Looks in a row that a watched rollout's hub may not answer."""
_NONE = "rol_" + 26 * "0"
_ENDS = frozenset({"completed", "rolled_back", "cancelled", "superseded", "halted", "paused"})


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    many = actions.add_parser("list", help="all rollouts, newest first")
    many.add_argument("--group", default=None, metavar="NAME")
    show = actions.add_parser("show", help="one rollout: waves, devices, the gate's evidence, decisions")
    show.add_argument("rollout", metavar="R")
    show.add_argument("--watch", action="store_true", help="go on until it is at its end")
    show.add_argument("--json", action="store_true", help="as the hub tells it")
    sign = actions.add_parser("sign", help="on the key-holder's machine: say that devices may run it")
    sign.add_argument("rollout", metavar="R")
    sign.add_argument("--key", type=Path, metavar="FILE.key", help="the release key (default: this machine's)")
    sign.add_argument("--yes", action="store_true", help="do not ask")
    keys = actions.add_parser("keys", help="once, on the key-holder's machine: who may sign releases")
    keys.add_argument("--renew", action="store_true", help="sign the root for another year")
    keys.add_argument("--new-release-key", action="store_true", help="replace a release key that was lost or stolen")
    keys.add_argument("--yes", action="store_true", help="do not ask")
    abort = actions.add_parser("abort", help="end it")
    abort.add_argument("rollout", metavar="R")
    abort.add_argument("--mode", default="revert exposed", choices=["hold", "revert exposed", "revert all"],
                       help="what becomes of devices that have it (default %(default)s)")  # fmt: skip
    withdraw = actions.add_parser("withdraw", help="on the key-holder's machine: devices may run a bundle no more")
    withdraw.add_argument("bundle", metavar="DIGEST", help="of the bundle, or its beginning")
    withdraw.add_argument("--key", type=Path, metavar="FILE.key", help="the release key (default: this machine's)")
    withdraw.add_argument("--yes", action="store_true", help="do not ask")
    for order, what in _ORDERS.items():
        actions.add_parser(order, help=what).add_argument("rollout", metavar="R")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when it was done; of ``show --watch``: when the rollout was completed, 1 for any other end."""
    from edgewright.client import Hub

    if not re.fullmatch(r"rol_[0-9a-hjkmnp-tv-z]{26}", getattr(arguments, "rollout", _NONE)):
        raise InputError(f"there is no rollout {arguments.rollout[:80]!r}; look at them: edgewright rollout list")
    with Hub.known() as hub:
        if arguments.action == "list":
            return _list(hub, arguments.group)
        if arguments.action == "show":
            return _show(hub, arguments)
        if arguments.action == "sign":
            return _sign(hub, arguments)
        if arguments.action == "keys":
            return _keys(hub, arguments)
        if arguments.action == "withdraw":
            return _withdraw(hub, arguments)
        body = {"mode": arguments.mode} if arguments.action == "abort" else None
        told = hub.post(f"/rollouts/{arguments.rollout}/{arguments.action}", body)
        print(f"rollout {told['id']}: {_state(told)}")
        return 0


def _list(hub: Hub, group: str | None) -> int:
    from edgewright.cli._table import listed

    rows = [["ROLLOUT", "RELEASE", "GROUP", "STATE", "DEVICES"]]
    for one in hub.every("/rollouts", group=group):
        rows.append([one["id"], one["name"], one["group"] or "all", _state(one), str(one["devices"])])
    print(listed(rows) if len(rows) > 1 else "no rollouts yet; make one: edgewright release BUNDLE")
    return 0


def _show(hub: Hub, arguments: argparse.Namespace) -> int:
    from edgewright.cli._rollout import page
    from edgewright.client import Unreachable

    before, away = "", 0
    while True:
        try:
            told = hub.get(f"/rollouts/{arguments.rollout}")
            decisions = hub.get(f"/rollouts/{arguments.rollout}/decisions", limit=20)["items"]
        except Unreachable as error:
            away += 1
            if not before or not arguments.watch or away > _PATIENCE:
                raise
            if away == 1:
                print(f"{error}; it is asked again", file=sys.stderr, flush=True)
            time.sleep(_WATCH_S)
            continue
        away = 0
        if arguments.json:
            text = json.dumps({**told, "decisions": decisions}, indent=2)
        else:
            text = page(told, decisions)
        if text != before:
            print(text, flush=True)
        before = text
        if not arguments.watch or told["state"] in _ENDS:
            break
        time.sleep(_WATCH_S)
    return 1 if arguments.watch and told["state"] != "completed" else 0


def _sign(hub: Hub, arguments: argparse.Namespace) -> int:
    from edgewright.client import signing

    told = hub.get(f"/rollouts/{arguments.rollout}")
    if told["state"] not in ("approval", "awaiting_signature"):
        raise InputError(f"rollout {told['id']} does not wait for a signature: it is {_state(told)}")
    key = signing.release_key(arguments.key)
    what = signing.proposed(hub, key)
    print(what.review.text())
    missing = set(told["bundles"]) - {one.bundle for one in what.review.added}
    if missing:
        raise InputError(f"the hub's proposal lacks bundle {min(missing)[:12]} of this rollout; submit it again")
    others = [one for one in what.review.added if one.bundle not in told["bundles"]]
    if others:
        print(f"{len(others)} of these bundles belong to other rollouts; they may run, too, once this is signed")
    if not arguments.yes and not confirmed("sign this"):
        return 1
    signing.sign(hub, what, key, datetime.now(UTC))
    goes = "goes on" if told["state"] != "approval" else "still waits for approval by somebody else than its author"
    print(f"signed with key {key.public.id[:12]}; rollout {told['id']} {goes}")
    return 0


def _withdraw(hub: Hub, arguments: argparse.Namespace) -> int:
    from edgewright.client import signing

    key, now = signing.release_key(arguments.key), datetime.now(UTC)
    what = signing.without(hub, key, arguments.bundle, now)
    print(what.review.text())
    if not arguments.yes and not confirmed("sign this"):
        return 1
    signing.sign(hub, what, key, now)
    print("done: no device takes it any more; what runs it already goes on")
    return 0


def _keys(hub: Hub, arguments: argparse.Namespace) -> int:
    from edgewright.client import signing

    told, now = hub.get("/updates"), datetime.now(UTC)
    if told["development"]:
        print("development tenant: the root and release keys lie on the hub, which signs by itself")
        return 0
    renews = arguments.renew or arguments.new_release_key
    if told["roles"] and not renews:
        print(_roles(told))
        return 0
    if told["roles"]:
        made = signing.next_root(hub, now, new_release_key=arguments.new_release_key)
    else:
        made = signing.first_root(hub, now)
    print(made.review)
    if not arguments.yes and not confirmed("sign this"):
        return 1
    signing.publish_root(hub, made)
    print(f"done; keep {signing.root_key().path} and {signing.release_key().path} safe: back them up offline")
    return 0


def _roles(told: dict[str, Any]) -> str:
    from edgewright.cli._table import listed

    rows = [["ROLE", "KEYS", "VERSION", "ENDS"]]
    for name, role in told["roles"].items():
        keys = ", ".join(key[:12] for key in role["keys"])
        rows.append([name, f"{role['threshold']} of {keys}", str(role["version"]), str(role["expires"])[:10]])
    return "\n".join([listed(rows), *told["todo"]])


def _state(told: dict[str, Any]) -> str:
    state = str(told["state"]).replace("_", " ")
    return f"wave {told['wave'] + 1}/{len(told['waves'])}, {told['phase']}" if state == "wave" else state
