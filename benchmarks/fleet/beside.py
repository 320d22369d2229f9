"""Real agents beside simulated ones: the same release to both, by the same hub."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.fleet.stage import GROUP, Stage

from edgewright.testing.fleet import Setting

if TYPE_CHECKING:
    from benchmarks.fleet.scale import Rows

_PATIENCE_S, _OFTEN_S, _AT_ONCE = 900.0, 1.0, 4
_DONE = frozenset({"completed", "halted", "rolled_back", "paused"})


async def beside(folder: Path, rows: Rows, agents: int, devices: int) -> None:
    """So many processes of ``edgewright agent``, each with its runtime, and so many simulated devices."""
    from benchmarks.fleet.scale import Row

    stage, loop = Stage(folder, setting=Setting(durations={})), asyncio.get_running_loop()
    names, few = [f"real-{number}" for number in range(agents)], asyncio.Semaphore(_AT_ONCE)

    async def begin(name: str) -> None:
        async with few:
            await asyncio.to_thread(stage.site.enrol, name, GROUP)
            await asyncio.to_thread(stage.site.start, name)

    try:
        await stage.enrol(devices)
        await asyncio.gather(*map(begin, names))
        async with stage.fleet.running():
            for version in ("1", "2"):
                began = loop.time()
                made = await asyncio.to_thread(
                    stage.release, 1_000_000, waves="10%,100%", soak_s=10.0, name=f"m-{version}"
                )
                told = await _ended(stage, made["id"])
                took = loop.time() - began
                found = [await stage.ask(f"/devices/{name}") for name in names]
                serving = sum(one["current"] in made["bundles"] for one in found)
                rows.append(Row(
                    f"release {version} to {agents} real agents and {devices} simulated devices, two waves",
                    round(took, 2), "s", "", None, f"{told['state']}; {serving} of {agents} agents serve it",
                ))  # fmt: skip
                print(rows[-1], flush=True)
    finally:
        stage.close()


async def _ended(stage: Stage, rollout: str) -> dict[str, Any]:
    for _ in range(int(_PATIENCE_S / _OFTEN_S)):
        found: dict[str, Any] = await stage.ask(f"/rollouts/{rollout}")
        if found["state"] in _DONE:
            return found
        await asyncio.sleep(_OFTEN_S)
    raise TimeoutError(f"it goes on: {found}")
