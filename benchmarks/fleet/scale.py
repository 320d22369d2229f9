"""Ten thousand simulated devices on one hub process: what issue 4 says it must reach, measured.

    python benchmarks/fleet/scale.py --devices 10000 --json benchmarks/fleet/results/scale.json

The hub is a process of its own on one core; the devices (``edgewright.testing.fleet``) and who asks share the other.
Each figure is a row: what it must be, what it was, and the CPU time that the hub took for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.fleet.beside import beside
from benchmarks.fleet.probing import rolling
from benchmarks.fleet.stage import OUR_CORE, Stage, on
from benchmarks.fleet.week import week

from edgewright.testing.fleet import Fleet, Setting

PATIENCE_S = float(os.environ.get("PATIENCE_S", "300"))
DAY_REPORTS = 86400 / 900


@dataclass(frozen=True)
class Row:
    """``must``: in words; ``hub_cpu_s``: CPU time of the hub meanwhile, None where it does not matter."""

    name: str
    value: float
    unit: str
    must: str = ""
    hub_cpu_s: float | None = None
    told: str = ""


Rows = list[Row]


@asynccontextmanager
async def told(stage: Stage, rows: Rows) -> AsyncIterator[Callable[..., None]]:
    """``row(name, value, unit, must)`` adds one with what the hub's CPU did since the block began, and prints it."""
    before = stage.usage()

    def row(name: str, value: float, unit: str, must: str = "", more: str = "") -> None:
        made = Row(name, round(value, 3), unit, must, round(stage.usage().cpu_s - before.cpu_s, 2), more)
        rows.append(made)
        print(f"{name}: {made.value:g} {unit} (must: {must or '-'}; hub's CPU {made.hub_cpu_s} s) {more}", flush=True)

    yield row


async def connecting(stage: Stage, fleet: Fleet, rows: Rows) -> None:
    """All come to a hub that was just started."""
    before = stage.usage()
    async with told(stage, rows) as row:
        took = await fleet.until(lambda: fleet.counts.parked >= len(fleet.papers), PATIENCE_S)
        await asyncio.sleep(2.0)  # their polls are parked
        row("connected", took, "s", "", f"{len(fleet.papers) / took:.0f} a second")
        size = (stage.usage().bytes - before.bytes) / len(fleet.papers) / 1000
        row("memory of the hub a connected device", size, "kB", "under 70 kB")


async def activation(stage: Stage, fleet: Fleet, rows: Rows) -> None:
    """A bundle that all have fetched is switched to on all, in one wave."""
    async with told(stage, rows) as row:
        began = asyncio.get_running_loop().time()
        rollout = await asyncio.to_thread(stage.release, prestage=True)
        await fleet.until(lambda: any("activate" in name for name in fleet.counts.told), PATIENCE_S)
        row("staged on all", _first(fleet) - began, "s", "", f"{fleet.counts.fetched_bytes / 1e6:.1f} MB fetched")
    async with told(stage, rows) as row:
        await _active(stage, rollout["id"], len(fleet.papers))
        row("pre-staged bundle active on all, by the hub", asyncio.get_running_loop().time() - _first(fleet), "s",
            "under 60 s")  # fmt: skip
        ends = [spread.last_s for name, spread in fleet.counts.ended.items() if name.startswith("committed")]
        row("the same, by the devices", max(ends) - _first(fleet), "s")


async def telemetry(stage: Stage, fleet: Fleet, rows: Rows) -> None:
    """Every device reports a quarter of an hour at once."""
    counts = fleet.counts
    before, size = counts.acknowledged, counts.report_bytes
    async with told(stage, rows) as row:
        for device in fleet.devices:
            device.teller.look_back(900.0)
            device.teller.observe()
        took = await fleet.until(lambda: counts.acknowledged - before >= len(fleet.papers), PATIENCE_S)
        row("reports taken", (counts.acknowledged - before) / took, "1/s", f"{len(fleet.papers) / 900:.1f} 1/s")
        each = (counts.report_bytes - size) / len(fleet.papers)
        row("telemetry a day and device", each * DAY_REPORTS / 1e6, "MB", "at most 1 MB", f"{each:.0f} bytes each")


async def restarting(stage: Stage, fleet: Fleet, rows: Rows) -> None:
    """SIGTERM to the hub, then it is started again."""
    counts, loop = fleet.counts, asyncio.get_running_loop()
    await asyncio.sleep(15.0)  # after their reports the devices' polls are parked again
    counts.errors.clear()
    began = loop.time()
    await asyncio.to_thread(stage.restart)
    async with told(stage, rows) as row:
        up_s = loop.time() - began
        await fleet.until(lambda: counts.parked >= len(fleet.papers), PATIENCE_S)
        row("all back after a restart of the hub", loop.time() - began, "s", "under 180 s",
            f"{up_s:.1f} s until it listened; errors: {dict(counts.errors.most_common(6))}")  # fmt: skip


async def storm(stage: Stage, fleet: Fleet, rows: Rows) -> None:
    """All connections break at once."""
    fleet.counts.errors.clear()
    async with told(stage, rows) as row:
        fleet.storm()
        await fleet.until(lambda: fleet.counts.parked < len(fleet.papers), PATIENCE_S)
        took = await fleet.until(lambda: fleet.counts.parked >= len(fleet.papers), PATIENCE_S)
        row("all back after a storm", took, "s", "", f"errors: {dict(fleet.counts.errors.most_common(6))}")


async def hundred(folder: Path, rows: Rows, devices: int) -> None:
    """From release to serving, nothing staged, a bundle of 5 MB."""
    stage = Stage(folder)
    try:
        await stage.enrol(devices)
        async with stage.fleet.running() as fleet, told(stage, rows) as row:
            await fleet.until(lambda: fleet.counts.parked >= devices, PATIENCE_S)
            began = asyncio.get_running_loop().time()
            rollout = await asyncio.to_thread(stage.release, 5_000_000)
            made = asyncio.get_running_loop().time()
            await _active(stage, rollout["id"], devices)
            row(f"{devices} devices from release to serving, 5 MB each", asyncio.get_running_loop().time() - began, "s",
                "under 60 s", f"{made - began:.1f} s of it until the bundle was taken in")  # fmt: skip
    finally:
        stage.close()


async def many(folder: Path, rows: Rows, devices: int) -> None:
    """All that is about the whole fleet."""
    stage = Stage(folder, setting=Setting(durations={}))
    try:
        async with told(stage, rows) as row:
            await stage.enrol(devices)
            row("enrolled", devices / stage.enrolled_s, "1/s", "80 1/s is Foundries'")
        await asyncio.to_thread(stage.restart)
        async with stage.fleet.running() as fleet:
            for figure in (connecting, activation, telemetry, restarting, storm):
                await figure(stage, fleet, rows)
    finally:
        stage.close()


async def _active(stage: Stage, rollout: str, devices: int) -> None:
    """Wait until the hub says that so many are active."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() - began < PATIENCE_S:
        found = await stage.ask(f"/rollouts/{rollout}")
        if sum(wave.get("active", 0) for wave in found["counts"]) >= devices or found["state"] == "completed":
            return
        await asyncio.sleep(0.2)
    raise TimeoutError(f"not all active: {found}")


def _first(fleet: Fleet) -> float:
    return min(spread.first_s for name, spread in fleet.counts.told.items() if "activate" in name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--only", choices=["many", "hundred", "rolling", "beside", "week"], action="append")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    asked = parser.parse_args()
    few = min(asked.devices, 100)
    parts: dict[str, Callable[[Path, Rows], Awaitable[None]]] = {
        "many": lambda folder, rows: many(folder, rows, asked.devices),
        "hundred": lambda folder, rows: hundred(folder, rows, few),
        "rolling": lambda folder, rows: rolling(folder, rows, 2 * few),
        "beside": lambda folder, rows: beside(folder, rows, few // 2, asked.devices // 10),
        "week": lambda folder, rows: week(folder, rows, asked.devices),
    }
    rows: Rows = []
    with on(OUR_CORE):
        for name, part in parts.items():
            if not asked.only or name in asked.only:
                with tempfile.TemporaryDirectory(prefix="edgewright-scale-") as folder:
                    asyncio.run(part(Path(folder), rows))
    conditions = {
        "devices": asked.devices, "machine": platform.platform(), "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(), "tls": ssl.OPENSSL_VERSION, "load_before": os.getloadavg(),
    }  # fmt: skip
    if asked.json:
        found = {"conditions": conditions, "rows": [asdict(row) for row in rows]}
        asked.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
