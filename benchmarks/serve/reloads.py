"""Reloads under constant load: nothing may fail, and nobody should notice.

    python benchmarks/serve/reloads.py [--count 1000] [--limit 150]

Two variants of a model take turns as NAME.onnx (a rename, as any tool that replaces a file whole), each followed by
``POST /v2/repository/models/NAME/load``, one after the other without a break, while an open-loop client asks at a
steady rate. Stretches with and without reloads take turns, so that drift hits both alike. Every answer must be one
variant's or the other's. A model of microseconds, and one of 100 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from serve import onnxfiles
from serve.arrivals import FAILED, OK, steady
from serve.figures import quantiles
from serve.load import pinned
from serve.onnxfiles import BIG, MLP, Kind
from serve.peers.session import open_model
from serve.processes import Server, free_ports, wait_ready
from serve.subjects import EDGEWRIGHT, Address
from serve.wire import get

HERE = Path(__file__).resolve().parent
WORK = HERE / "work" / "reloading"
RATES = {MLP.name: 500.0, BIG.name: 80.0}
"""Requests a second: well below saturation, so that what is seen is the reload and not a queue."""
STRETCH_S, QUIET_S = 12.0, 5.0


@dataclass
class Seen:
    """What clients saw in the stretches of one kind."""

    latency_s: list[NDArray[np.float64]] = field(default_factory=list)
    failed: int = 0
    strange: int = 0

    def add(self, path: Path, known: Sequence[float]) -> None:
        with np.load(path) as held:
            good = held["code"] == OK
            self.latency_s.append((held["ended"] - held["came"])[held["code"] != FAILED])
            self.failed += int((~good).sum())
            near = np.isclose(held["reply"][good][:, None], np.array(known, np.float32)[None], rtol=1e-3, atol=1e-4)
            self.strange += int((~near.any(1)).sum())

    def told(self) -> dict[str, Any]:
        whole = np.concatenate(self.latency_s) if self.latency_s else np.array([])
        longest = float(whole.max()) * 1e3 if len(whole) else None
        return {"requests": len(whole), "failed": self.failed, "strange": self.strange, **quantiles(whole),
                "longest_ms": longest}  # fmt: skip


class _Reloader(threading.Thread):
    """Replaces the file and asks for the load, until told to end or ``most`` are done."""

    def __init__(self, address: Address, name: str, variants: Sequence[Path], first: int, most: int) -> None:
        super().__init__(daemon=True)
        self._address, self._name, self._variants, self._next, self._most = address, name, variants, first, most
        self.seconds: list[float] = []
        self.failure = ""
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set() and len(self.seconds) < self._most:
            place(self._variants[(self._next + len(self.seconds)) % 2], self._name)
            began = time.perf_counter()
            try:
                status, body = get(self._address.http, f"/v2/repository/models/{self._name}/load", "POST")
            except OSError as error:
                status, body = 0, str(error).encode()
            if status != 200:
                self.failure = f"load answered {status}: {body[:160].decode('utf-8', 'replace')}"
                return
            self.seconds.append(time.perf_counter() - began)


def place(variant: Path, name: str) -> None:
    """The variant under the model's name, whole at every moment."""
    part = WORK / "models" / f".{name}.part"
    part.unlink(missing_ok=True)
    os.link(variant, part)
    part.replace(WORK / "models" / f"{name}.onnx")


def run(cpus: Sequence[int], count: int = 1000, limit_s: float = 150.0) -> dict[str, Any]:
    """``rows``: one for each model. A model's stretches end when ``count`` reloads are done or its share of
    ``limit_s`` has passed; how many were done is told."""
    variants = onnxfiles.served(HERE / "work" / "reloads", big=True)
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "models").mkdir(parents=True)
    for kind in (MLP, BIG):
        place(variants / f"{kind.name}-0.onnx", kind.name)
    address = Address(free_ports())
    server = Server(
        EDGEWRIGHT.command(WORK / "models", address), HERE / "work" / "logs" / "reloads.log", EDGEWRIGHT.variables
    )
    try:
        wait_ready(server, lambda: get(address.http, "/v2/health/ready")[0] == 200)
        server.pin(cpus)  # with whatever it starts; the client has the last one
        rows = []
        for kind in (MLP, BIG):
            both = [variants / f"{kind.name}-{side}.onnx" for side in (0, 1)]
            print(f"reloading {kind.name}", file=sys.stderr)
            rows.append(_model(address, kind, both, cpus[-1:], count, limit_s / 2))
            server.look()
            rows[-1]["memory_bytes"] = server.memory_bytes()
    finally:
        server.close()
    return {"wanted": count, "rows": rows}


def _model(
    address: Address, kind: Kind, variants: Sequence[Path], cpus: Sequence[int], count: int, limit_s: float
) -> dict[str, Any]:
    known = [float(open_model(path).run(None, {"x": kind.sample()})[0].ravel()[0]) for path in variants]
    quiet, busy = Seen(), Seen()
    seconds: list[float] = []
    failure = ""
    end = time.perf_counter() + limit_s
    while len(seconds) < count and not failure and time.perf_counter() < end:
        quiet.add(_ask(address, kind, min(QUIET_S, limit_s / 4), cpus), known)
        reloader = _Reloader(address, kind.name, variants, len(seconds) + 1, count - len(seconds))
        reloader.start()
        try:
            path = _ask(address, kind, min(STRETCH_S, limit_s / 2), cpus)
        finally:
            reloader.over.set()
            reloader.join(60)
        seconds += reloader.seconds
        failure = reloader.failure
        if seconds:
            busy.add(path, known)
    return {
        "model": kind.name, "bytes": variants[0].stat().st_size, "rate": RATES[kind.name], "reloads": len(seconds),
        "failure": failure, "reload_p50_ms": float(np.median(seconds)) * 1e3 if seconds else None,
        "reload_max_ms": max(seconds) * 1e3 if seconds else None, "without": quiet.told(), "with": busy.told(),
    }  # fmt: skip


def _ask(address: Address, kind: Kind, seconds: float, cpus: Sequence[int]) -> Path:
    schedule, out = WORK / "schedule.npz", WORK / "seen.npz"
    due = steady(RATES[kind.name], seconds)
    np.savez(schedule, due=due, limit=np.zeros(len(due)))
    command = [
        sys.executable,
        str(HERE / "openloop.py"),
        f"127.0.0.1:{address.port}",
        kind.name,
        str(schedule),
        str(out),
    ]
    subprocess.run(pinned(cpus, command), check=True, timeout=120)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="reloads of each model")
    parser.add_argument("--limit", type=float, default=150.0, help="seconds for both models")
    asked = parser.parse_args()
    found = run(sorted(os.sched_getaffinity(0)), asked.count, asked.limit)
    print(json.dumps(found, indent=1))
    return 0 if all(not row["failure"] for row in found["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
