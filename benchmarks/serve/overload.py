"""Deadlines under overload: twice as many requests as can be answered, each with a deadline.

    python benchmarks/serve/overload.py [--seconds 3] [--rounds 4]

Poisson arrivals at twice the saturation of the model of milliseconds; deadlines of 3 to 10 service times. Edgewright
beside a first-come-first-served baseline that drops expired work (``firstcome.py``: the same lanes and sessions), in
process and over HTTP, as the server and as the client saw it. Turns in random order; the same arrivals for both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from serve import onnxfiles
from serve.arrivals import Fates, limits, poisson
from serve.load import Target, closed, pinned
from serve.onnxfiles import CNN
from serve.processes import Server, free_ports, wait_ready
from serve.subjects import EDGEWRIGHT, Address
from serve.wire import get, v2_binary

HERE = Path(__file__).resolve().parent
WORK = HERE / "work" / "overload"
WHO = ("edgewright", "firstcome")
LOAD, SATURATE_S = 2.0, 1.0


def run(cpus: Sequence[int], seconds: float = 3.0, rounds: int = 4, seed: int = 0) -> dict[str, Any]:
    """``rows``: who, where, by whose clock, and the figures; ``saturation`` in answers a second, measured before and
    after each turn: what a machine can do changes from minute to minute."""
    WORK.mkdir(parents=True, exist_ok=True)
    model = onnxfiles.served(HERE / "work" / "models") / "cnn.onnx"
    order = random.Random(seed)
    # The server has a CPU of its own; the client another one where there is one.
    server_cpus, client_cpus = cpus[:1], cpus[-1:]
    places = {"in process": _Inside(model, cpus), "HTTP": _Http(model, server_cpus, client_cpus)}
    found: dict[tuple[str, str, str], list[Fates]] = {}
    capacity: dict[tuple[str, str], list[float]] = {(name, who): [] for name in places for who in WHO}
    for number in range(rounds):
        due = list(capacity)
        order.shuffle(due)
        for name, who in due:
            schedule = WORK / "schedule.npz"
            before = places[name].saturation(SATURATE_S)
            times = poisson(LOAD * before, seconds, seed + number)
            np.savez(schedule, due=times, limit=limits(len(times), 1 / before, seed + number))
            print(f"overload, {name}, {who}: {len(times)} requests", file=sys.stderr)
            for clock, fates in places[name].turn(who, schedule).items():
                found.setdefault((name, who, clock), []).append(fates)
            capacity[name, who].append((before + places[name].saturation(SATURATE_S)) / 2)
    rows, saturation = [], {key: float(np.mean(rates)) for key, rates in capacity.items()}
    for (name, who, clock), turns in sorted(found.items()):
        whole = turns[0]
        for one in turns[1:]:
            whole = whole.joined(one)
        rows.append({"where": name, "who": who, "clock": clock,
                     "saturation": saturation[name, who],
                     **whole.summary(seconds * rounds, saturation[name, who])})  # fmt: skip
    return {"load": LOAD, "seconds": seconds * rounds, "rows": rows}


def _read(path: Path) -> Fates:
    with np.load(path) as held:
        return Fates(held["came"], held["ended"], held["limit"], held["code"])


class _Inside:
    """The client is a thread of the server's process; both CPUs are theirs."""

    def __init__(self, model: Path, cpus: Sequence[int]) -> None:
        self._model, self._cpus = model, cpus

    def _call(self, *arguments: str | Path) -> Path:
        out = WORK / "inside.npz"
        command = pinned(self._cpus, [sys.executable, str(HERE / "watched.py"), *map(str, arguments), str(out)])
        subprocess.run(command, check=True, timeout=120)
        return out

    def saturation(self, seconds: float) -> float:
        with np.load(self._call("saturate", "edgewright", self._model, str(seconds))) as held:
            return 1 / float(held["seconds"].mean())

    def turn(self, who: str, schedule: Path) -> dict[str, Fates]:
        return {"server": _read(self._call("inside", who, self._model, schedule))}


class _Http:
    """A server and a client, each on CPUs of its own."""

    def __init__(self, model: Path, server_cpus: Sequence[int], client_cpus: Sequence[int]) -> None:
        self._model, self._server, self._client = model, server_cpus, client_cpus

    def _start(self, who: str, out: Path) -> tuple[Server, Address]:
        address = Address(free_ports())
        command = [sys.executable, HERE / "watched.py", "http", who, self._model, str(address.port), out]
        server = Server(command, HERE / "work" / "logs" / f"overload-{who}.log", EDGEWRIGHT.variables)
        try:
            wait_ready(server, lambda: get(address.http, "/v2/health/ready")[0] == 200)
            server.look()
            server.pin(self._server)
        except BaseException:
            server.close()
            raise
        return server, address

    def saturation(self, seconds: float) -> float:
        server, address = self._start("edgewright", WORK / "unused.npz")
        try:
            target = Target(address.http, v2_binary(CNN.name, CNN.sample()))
            return closed(target, 8, seconds, self._client, 0.0).rate
        finally:
            server.close()

    def turn(self, who: str, schedule: Path) -> dict[str, Fates]:
        book, seen = WORK / f"{who}-server.npz", WORK / f"{who}-client.npz"
        server, address = self._start(who, book)
        try:
            host = f"127.0.0.1:{address.port}"
            command = [sys.executable, str(HERE / "openloop.py"), host, CNN.name, str(schedule), str(seen)]
            subprocess.run(pinned(self._client, command), check=True, timeout=120)
        finally:
            server.close()
        return {"client": _read(seen), "server": _read(book)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=4)
    asked = parser.parse_args()
    print(json.dumps(run(sorted(os.sched_getaffinity(0)), asked.seconds, asked.rounds), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
