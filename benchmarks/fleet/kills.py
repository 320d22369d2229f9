"""Kills and power cuts by the thousand: after each, does the device serve a verified bundle, and go on?

    python benchmarks/fleet/kills.py           # 1,200 at random points, 40 with a real runtime
    python benchmarks/fleet/kills.py --kills 100 --real 4

At a point: a process that runs one life of the agent (journal, slots, verification for real; what it would serve is
verified as the runtime does) is killed by SIGKILL before or after a random call that changes a file; in two thirds of
the cases the disk then keeps only what was synced, or what was synced and parts of the rest. Real: an agent with its
runtime and its isolated children is killed at a random moment of an update, and the next agent must serve.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import onnxruntime

from edgewright.agent import Agent, Trial, children, update_from
from edgewright.testing.agents import in_process, multiplier, state_folder, take, verified
from edgewright.testing.powercuts import CALLS, life
from edgewright.trust import SigningKey

MODES = ("kill", "synced", "drawn")
OPTIONS = ("--http", "127.0.0.1:0")


def at_points(base: Path, update: Path, good: set[str], kills: int, seed: int) -> dict[str, object]:
    rng, found, wrong = random.Random(seed), Counter(), []
    while sum(found[mode] for mode in MODES) < kills:
        state = base.with_name("state")
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(base, state, symlinks=True)
        mode = rng.choice(MODES)
        for cut in [*(rng.randrange(1, 180) for _ in range(rng.randrange(1, 6))), 0]:
            lived = life(state, lambda state=state: take(state, update), cut, mode, rng.randrange(2**32))
            found[mode] += lived.killed
            if lived.wrong or verified(state) not in good:
                wrong.append(f"{mode} at {cut}: {lived}")
        found[f"ended {take(state, update).result}"] += 1
    return {**found, "calls": list(CALLS), "wrong": wrong}


def with_runtime(base: Path, update: Path, good: set[str], kills: int, seed: int) -> dict[str, object]:
    rng, found, wrong, times = random.Random(seed), Counter(), [], []
    state = base.with_name("real")
    shutil.copytree(base, state, symlinks=True)
    updates = [base.with_name("a.ewb"), update]
    while found["kills"] < kills:
        target = updates[found["kills"] % 2]
        other = subprocess.Popen([sys.executable, __file__, "--life", str(state), str(target)], stdout=subprocess.PIPE)
        assert other.stdout is not None and other.stdout.readline() == b"begun\n"
        try:
            other.wait(rng.uniform(0.0, 3.0))
            found["ended before it was killed"] += 1
        except subprocess.TimeoutExpired:
            other.kill()
            other.wait()
            found["kills"] += 1
        other.stdout.close()
        begin = time.perf_counter()
        with Agent(state, trial=Trial(0.0), options=OPTIONS) as agent:
            digest = agent.start()
            found[f"in {agent.machine.now.state}"] += 1
            if agent.machine.now.state not in {"switching", "rolling_back"}:
                times.append(time.perf_counter() - begin)
                if agent.runtime.serving() != {digest}:
                    wrong.append(f"{agent.runtime.serving()} serves after {found['kills']} kills")
            now = agent.run()
            if agent.runtime.serving() != {now.good} or verified(state) != now.good or now.good not in good:
                wrong.append(f"{now} after {found['kills']} kills")
            if now.bad:
                found["bundles taken for bad"] += 1
                agent.machine.now = type(now)(good=now.good, before=now.before)
            if rng.random() < 0.3:
                agent.runtime.stop()  # a reboot: nothing of before runs
    with Agent(state, options=OPTIONS) as agent:
        agent.runtime.stop()
    return {**found, "s to serve again, median": sorted(times)[len(times) // 2], "wrong": wrong}


def one_life(state: Path, update: Path) -> None:
    with Agent(state, trial=Trial(0.0), options=OPTIONS) as agent:
        agent.start()
        agent.run()
        print("begun", flush=True)
        if update_from(update).bundle not in agent.machine.now.bad:
            agent.update(update)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1200)
    parser.add_argument("--real", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results there, too")
    parser.add_argument("--life", nargs=2, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.life:
        one_life(*asked.life)
        return 0
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder, key = Path(name), SigningKey.generate()
        good = {multiplier(folder / f"{n}.ewb", key, factor) for n, factor in (("a", 2.0), ("b", 3.0))}
        base = state_folder(folder / "base", key)
        real_child, children.run_child = children.run_child, in_process
        take(base, folder / "a.ewb")
        begin = time.perf_counter()
        points = at_points(base, folder / "b.ewb", good, asked.kills, asked.seed)
        points["seconds"] = round(time.perf_counter() - begin)
        print(json.dumps(points, indent=2), flush=True)
        children.run_child = real_child
        real = with_runtime(base, folder / "b.ewb", good, asked.real, asked.seed) if asked.real else {"wrong": []}
        print(json.dumps(real, indent=2))
        on = {"machine": platform.platform(), "python": platform.python_version(), "ort": onnxruntime.__version__}
        if asked.json:
            asked.json.write_text(json.dumps({"at points": points, "with a runtime": real, "on": on}, indent=2) + "\n")
    return 1 if points["wrong"] or real["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
