"""Rolling restarts of two workers, one after the other, under probes and devices that poll."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fleet.stage import Stage

from edgewright.testing.fleet import Setting

if TYPE_CHECKING:
    from benchmarks.fleet.scale import Rows

_PROBE_S, _AROUND, _PATIENCE_S, _TIMES = 0.1, 50, 300.0, 10


def probe(place: str) -> str:
    """ "" when the hub answers within a second, else why not."""
    host, _, port = place.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=1.0)
    try:
        connection.request("GET", "/openapi.json")
        answer = connection.getresponse()
        answer.read()
        return "" if answer.status == 200 else f"status {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


async def rolling(folder: Path, rows: Rows, devices: int) -> None:
    """SIGHUP to the parent, ten times: each worker is replaced each time."""
    from benchmarks.fleet.scale import Row

    stage = Stage(folder, "--workers", "2", setting=Setting(durations={}))
    try:
        await stage.enrol(devices)
        parent, loop = stage.site.hub.process.pid, asyncio.get_running_loop()
        found: list[str] = []
        async with stage.fleet.running() as fleet:
            await fleet.until(lambda: fleet.counts.parked >= devices, _PATIENCE_S)
            for _ in range(_TIMES):
                before, began, quiet = _children(parent), loop.time(), 0
                os.kill(parent, signal.SIGHUP)
                next_s = began
                while quiet < _AROUND:
                    next_s += _PROBE_S
                    found.append(await asyncio.to_thread(probe, stage.site.people))
                    quiet = quiet + 1 if not before & _children(parent) and len(_children(parent)) == 2 else 0
                    if loop.time() - began > _PATIENCE_S:
                        raise TimeoutError("the workers were not replaced")
                    await asyncio.sleep(max(0.0, next_s - loop.time()))
            await fleet.until(lambda: fleet.counts.parked >= devices, _PATIENCE_S)
            errors = dict(fleet.counts.errors.most_common(5))
        failed = [why for why in found if why]
        share = 100 * (1 - len(failed) / len(found))
        rows.append(Row(f"probes answered through {_TIMES} rolling restarts", round(share, 3), "%", "99.9%", None,
                        f"{len(found)} probes, failed: {failed[:3]}; {devices} devices' errors: {errors}"))  # fmt: skip
        print(rows[-1], flush=True)
    finally:
        stage.close()


def _children(pid: int) -> frozenset[str]:
    return frozenset(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
