"""``python -m edgewright.testing.fleet``: a simulated fleet on a hub, until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import signal
import sys
from pathlib import Path

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.testing.fleet.behaviour import Behaviour, Shift
from edgewright.testing.fleet.faults import Faults
from edgewright.testing.fleet.fleet import Fleet
from edgewright.testing.fleet.papers import read_tokens
from edgewright.testing.fleet.wire import lean
from edgewright.testing.fleet.world import DURATIONS, Setting


def main(words: list[str] | None = None) -> int:
    """Exit status 0 when it ended as it was told to, 2 for arguments that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m edgewright.testing.fleet", description=__doc__)
    option = parser.add_argument
    option("--hub", required=True, metavar="URL", help="the device listener, https://HOST:8444")
    option("--tokens", type=Path, metavar="FILE", help="enrolment tokens, one a line")
    option("--devices", type=int, required=True, metavar="N")
    option("--state", type=Path, default=Path("fleet"), metavar="FOLDER", help="keys and certificates (%(default)s)")
    option("--seconds", type=float, default=float("inf"), metavar="S", help="end after so long (default: SIGINT)")
    option("--faults", type=str, default="", metavar="NAME=SHARE,...", help="as fail=0.02,silent=0.01,clock=0.05")
    option("--storm", type=float, metavar="S", help="break all connections at once, every S s")
    option("--shift", action="append", default=[], metavar="BUNDLE:lead=-0.5", help="what a bundle is different in")
    option("--requests", type=float, default=200.0, help="inferences a device and 15 minutes (%(default)s)")
    option("--quick", action="store_true", help="an update's own work takes no time")
    option("--target", default="", help="the device class that all devices say they are")
    option("--seed", type=int, default=0)
    asked = parser.parse_args(words)
    try:
        behaviour = Behaviour(asked.seed, asked.requests, shifts=dict(map(Shift.parse, asked.shift)))
        durations = {} if asked.quick else DURATIONS
        setting = Setting(asked.seed, behaviour, Faults.parse(asked.faults), durations, target=asked.target)
        _handles(asked.devices)
        lean()
        summary = asyncio.run(_run(asked, setting))
    except EdgewrightError as error:
        _say(f"error: {error}")
        return error.exit_status
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


async def _run(asked: argparse.Namespace, setting: Setting) -> dict[str, object]:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, over.set)
    fleet = Fleet(asked.hub, asked.state, setting)
    began = loop.time()
    tokens = read_tokens(asked.tokens) if asked.tokens else []
    enrolling = loop.create_task(fleet.enrol(asked.devices, tokens))
    while not (enrolling.done() or over.is_set()):
        await _moment(over, [enrolling])
        _say(f"{loop.time() - began:6.0f} s: {len(fleet.papers):,} of {asked.devices:,} enrolled")
    if over.is_set():
        enrolling.cancel()
        return {"enrolled": len(fleet.papers)}
    await enrolling
    enrolled_s, began, connected_s, stormed = loop.time() - began, loop.time(), None, loop.time()
    async with fleet.running():
        while not over.is_set() and loop.time() - began < asked.seconds:
            await _moment(over)
            now = loop.time()
            if connected_s is None and fleet.counts.parked >= len(fleet.devices):
                connected_s = now - began
            if asked.storm and now - stormed >= asked.storm:
                stormed = now
                fleet.storm()
            _say(fleet.counts.line(now - began, len(fleet.devices)))
        told = fleet.counts.to_json(began)
    told |= {"devices": len(fleet.devices), "enrolled_s": round(enrolled_s, 3)}
    return {**told, "connected_s": None if connected_s is None else round(connected_s, 1),
            "seconds": round(loop.time() - began, 1)}  # fmt: skip


async def _moment(over: asyncio.Event, also: list[asyncio.Task[None]] | None = None) -> None:
    waiter = asyncio.create_task(over.wait())
    await asyncio.wait([waiter, *(also or [])], timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _handles(devices: int) -> None:
    """A connection is a file handle; a second one stands for a while. Raises InputError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * devices + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))
    if hard < devices + 256:
        raise InputError(f"{devices:,} connections need as many file handles and {hard:,} are allowed; ulimit -n")


if __name__ == "__main__":
    sys.exit(main())
