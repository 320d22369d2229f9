"""Load on a server: one connection by the lean client, several by h2load, latencies of every request.

h2load is in Debian's ``nghttp2-client`` (``apt install nghttp2-client``). Without it, and for frames, the lean client
does several connections, too; its own cost is several times h2load's.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve.wire import Place, Request, write_body

HERE = Path(__file__).resolve().parent
SCRATCH = Path("/dev/shm") if Path("/dev/shm").is_dir() else HERE / "work"
_LIMIT_S = 60
EACH = 20
"""Requests of each connection at least. All begin at once, and the first of them wait less than those that follow: of
two servers of equal speed the one that lets some starve would look the better."""


@dataclass(frozen=True)
class Target:
    """Where a request goes, and how. ``frame``: the raw bytes of a frame; then ``request`` is not used. ``more``:
    further requests, which one connection sends in turns with the first."""

    place: Place
    request: Request
    frame: bytes = b""
    more: tuple[Request, ...] = ()


@dataclass(frozen=True)
class Result:
    """``latency_s``: (n,), of good and bad replies. ``asked``: with those that warmed up. ``elapsed_s`` of n."""

    latency_s: NDArray[np.float64]
    failed: int
    asked: int
    elapsed_s: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latency_s) / self.elapsed_s if self.elapsed_s else 0.0


def has_h2load() -> bool:
    return shutil.which("h2load") is not None


def pinned(cpus: Sequence[int], command: Sequence[str]) -> list[str]:
    """The command on these CPUs alone."""
    return ["taskset", "-c", ",".join(map(str, cpus)), *command]


def closed(target: Target, clients: int, seconds: float, cpus: Sequence[int], rate: float, each: int = EACH) -> Result:
    """Closed loop, for ``seconds``, or ``each`` requests on each connection where that is more. ``rate``: what to
    expect, in requests a second (0: unknown). Raises RuntimeError."""
    if clients == 1 or target.frame or not has_h2load():
        return _lean(target, clients, seconds, cpus)
    if not rate:
        rate = _h2load(target, clients, 2 * clients, cpus).rate
    return _h2load(target, clients, max(int(rate * seconds), each * clients), cpus)


def _lean(target: Target, clients: int, seconds: float, cpus: Sequence[int]) -> Result:
    out = SCRATCH / "edgewright-serve-latencies"
    raws = [target.frame] if target.frame else [one.raw() for one in (target.request, *target.more)]
    spec = {
        "place": target.place, "raw": [base64.b64encode(raw).decode() for raw in raws], "out": str(out),
        "wire": "frame" if target.frame else "http", "connections": clients, "seconds": seconds, "warm": 20 * clients,
    }  # fmt: skip
    command = pinned(cpus, [sys.executable, "-S", "-E", str(HERE / "client.py")])
    told = json.loads(_run(command, json.dumps(spec)))
    latency = np.fromfile(out, np.float64)
    out.unlink()
    return Result(latency, told["failed"], told["asked"], float(latency.sum()) / clients)


def _h2load(target: Target, clients: int, requests: int, cpus: Sequence[int]) -> Result:
    log = SCRATCH / "edgewright-serve-h2load"
    body = write_body(target.request, SCRATCH / "edgewright-serve-body")
    host = "localhost" if isinstance(target.place, str) else f"{target.place[0]}:{target.place[1]}"
    base = ["-B", f"unix:{target.place}"] if isinstance(target.place, str) else []
    headers = [part for k, v in target.request.headers.items() for part in ("-H", f"{k}: {v}")]
    log.unlink(missing_ok=True)
    requests -= requests % clients
    command = ["h2load", "--h1", "-t", "1", "-c", str(clients), "-n", str(requests), "-d", str(body), *headers, *base,
               "--log-file", str(log), f"http://{host}{target.request.path}"]  # fmt: skip
    told = _run(pinned(cpus, command))
    rows = np.loadtxt(log, np.int64, ndmin=2)  # start in us since the epoch, status, us
    log.unlink()
    body.unlink()
    found = re.search(r"finished in ([\d.]+)(us|ms|s)", told)
    if not found or not len(rows):
        raise RuntimeError(f"h2load says: {told.strip().splitlines()[-1] if told.strip() else 'nothing'}")
    ends = rows[:, 0] + rows[:, 2]
    bad = int((rows[:, 1] != 200).sum()) + requests - len(rows)
    return Result(rows[:, 2] / 1e6, bad, requests, float(ends.max() - rows[:, 0].min()) / 1e6)


def _run(command: Sequence[str], given: str = "") -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"the client did not end within {_LIMIT_S} s") from error
    if done.returncode:
        raise RuntimeError(f"the client failed: {(done.stderr.strip().splitlines() or ['no message'])[-1][:160]}")
    return done.stdout
