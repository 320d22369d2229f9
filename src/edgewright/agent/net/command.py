"""The agent's command line, for ``edgewright agent`` and ``python -m edgewright.agent`` alike."""

from __future__ import annotations

import argparse
import json
import logging
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgewright.agent.agent import Agent
from edgewright.agent.journal import Journal
from edgewright.agent.net.control import ask
from edgewright.agent.net.enrolment import NotYet, enrol, key_digest
from edgewright.agent.net.hand import ended
from edgewright.agent.net.service import Service
from edgewright.agent.net.standing import lines, standing
from edgewright.agent.net.unit import unit
from edgewright.agent.net.wishes import Wishes
from edgewright.agent.process import find
from edgewright.agent.states import Situation
from edgewright.core.errors import EdgewrightError, InputError


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        found = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        found.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        found.add_argument("--state", type=Path, required=True, metavar="FOLDER", help="the agent's own folder")
        return found

    one = action("enrol", "make this device known to a hub").add_argument
    one("--hub", required=True, metavar="URL", help="its device listener: https://HOST:8444")
    one("--token", default="", metavar="T", help="a one-time token of the hub's; '-' reads it from standard input")
    one("--anchor", default="", metavar="DIGEST", help="without a token: the digest of the hub's root certificate")
    one("--name", default="", help="the device's name, if the hub agrees")
    one("--target", default="", help="its device class, for bundles that are for some hardware only")
    one("--label", action="append", default=[], metavar="KEY=VALUE", help="for groups and strata; repeatable")
    one("--wait", action="store_true", help="without a token: wait until somebody authorises this device's key")
    run = action("run", "update, serve and report, until it is stopped")
    run.add_argument("--stop-runtime", action="store_true", help="what serves ends, too; else it serves on")
    run.add_argument(
        "--most-bytes-per-s", type=int, default=0, metavar="N",
        help="of downloads, whatever the hub allows (default: as the hub says)",
    )  # fmt: skip
    run.add_argument("options", nargs="*", metavar="-- OPTIONS", help="of edgewright serve: -- --http 0.0.0.0:8000 ...")
    status = action("status", "where this device is, without a network")
    status.add_argument("--json", action="store_true", help="as one JSON object, for programs")
    update = action("update", "take a bundle from a file or folder, without a network")
    update.add_argument("bundle", type=Path, help="as a folder or a single file")
    action("rollback", "back to the bundle before, without a network")
    action("unit", "print a systemd unit (its syntax is checked by our tests; no systemd runs it there)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 done, 1 not."""
    return _ACTIONS[arguments.action](arguments)


def main(argv: list[str] | None = None) -> int:
    """``python -m edgewright.agent``."""
    parser = argparse.ArgumentParser(prog="python -m edgewright.agent", description="The agent of a device.")
    add(parser)
    try:
        return run(parser.parse_args(argv))
    except EdgewrightError as error:
        sys.stderr.write(f"edgewright: {_plain(str(error))}\n")
        return error.exit_status


def _enrol(arguments: argparse.Namespace) -> int:
    token = sys.stdin.readline(1024).strip() if arguments.token == "-" else arguments.token  # noqa: S105 - no secret
    labels = dict(_pair(text) for text in arguments.label)
    if not token:
        _say(f"this device's key: {key_digest(arguments.state)}")
    while True:
        try:
            made = enrol(
                arguments.state, arguments.hub, token, arguments.name, labels, target=arguments.target,
                anchor=arguments.anchor,
            )  # fmt: skip
        except NotYet as error:
            if not arguments.wait:
                raise
            time.sleep(max(error.after_s, 1.0))
            continue
        _say(f"enrolled as {made.device} of {made.tenant} at {made.url}")
        return 0


def _run(arguments: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    if arguments.most_bytes_per_s < 0:
        raise InputError("--most-bytes-per-s is a number of bytes; leave it out for no limit of this device's own")
    service = Service(arguments.state, arguments.options, most_bytes_s=arguments.most_bytes_per_s)
    with service:
        # Handlers run in the middle of whatever the main thread does, of another handler, too: an Event's lock may be
        # held there already. A SimpleQueue's put is made for that.
        told = queue.SimpleQueue[None]()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told.put(None))

        def end() -> None:
            told.get()
            service.stop()

        threading.Thread(target=end, name="signals", daemon=True).start()
        service.run()
        if arguments.stop_runtime and service.agent is not None:
            service.agent.runtime.stop()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    state: Path = arguments.state
    if not state.is_dir():
        raise InputError(f"{state} is no agent's folder; name the one that it runs on")
    told = ask(state, do="status") or _standing(state)
    if arguments.json:
        _say(json.dumps(told, indent=2))
        return 0
    for name, value in lines(told):
        _say(f"{name:<8} {_plain(value)}")
    return 0


def _standing(state: Path) -> dict[str, Any]:
    """Of an agent that does not run."""
    now = Situation()
    if (state / "journal").is_file():
        with Journal(state / "journal") as journal:
            now = now if journal.last is None else Situation.from_json(journal.last)
    runtime = find(state / "run" / "runtime.json") if (state / "run" / "runtime.json").is_file() else None
    if runtime is not None:
        runtime.let_go()
    return standing(state, now, runtime=runtime is not None, agent=False)


def _update(arguments: argparse.Namespace) -> int:
    told = ask(arguments.state, do="update", bundle=str(arguments.bundle.resolve()))
    if told is not None:
        return _ended(told)
    with Agent(arguments.state) as agent:
        agent.start()
        now = agent.update(arguments.bundle)
        if now.result == "committed":
            Wishes(arguments.state).overrule()
    return _ended(ended(now))


def _rollback(arguments: argparse.Namespace) -> int:
    told = ask(arguments.state, do="rollback")
    if told is not None:
        return _ended(told, "rolled_back")
    with Agent(arguments.state) as agent:
        agent.start()
        return _ended(ended(agent.roll_back()), "rolled_back")


def _ended(told: Mapping[str, Any], wanted: str = "committed") -> int:
    why = f" ({_plain(told['reason'])})" if told["reason"] else ""
    _say(f"{told['result']}: {told['good'] or 'nothing'} serves{why}")
    return 0 if told["result"] == wanted else 1


def _unit(arguments: argparse.Namespace) -> int:
    found = shutil.which("edgewright")
    command = f"{found} agent" if found else f"{sys.executable} -m edgewright.agent"
    sys.stdout.write(unit(str(arguments.state.resolve()), command))
    return 0


_ACTIONS: Mapping[str, Callable[[Any], int]] = {
    "enrol": _enrol, "run": _run, "status": _status, "update": _update, "rollback": _rollback, "unit": _unit,
}  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    key, equal, value = text.partition("=")
    if not equal or not key:
        raise InputError(f"{text[:80]!r} is no label; it reads KEY=VALUE")
    return key, value


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
