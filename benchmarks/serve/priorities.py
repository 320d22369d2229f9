"""A few critical requests beside a flood of unimportant ones: what the flood costs them.

    python benchmarks/serve/priorities.py [--seconds 5] [--rounds 3]

Critical requests come at a tenth of saturation, each with a deadline of 3 service times; the others at one and a half
times saturation, in batches of at most 8, with 200 service times. Three ways to treat them, in random order: critical
ones ``alone``, ``with priorities``, and ``all equal`` (the baseline: one line by deadline, nothing kept free for
anybody). In process; both CPUs are the process's.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from edgewright.runtime import Runtime
from edgewright.runtime.faults import Fault
from serve import onnxfiles
from serve.arrivals import poisson
from serve.figures import quantiles
from serve.load import pinned
from serve.onnxfiles import CNN
from serve.watched import SWITCH_S

HERE = Path(__file__).resolve().parent
WORK = HERE / "work" / "priorities"
WHO = ("alone", "with priorities", "all equal")
CRITICAL, FLOOD, LIMIT, PATIENCE, BATCH = 0.1, 1.5, 3.0, 200.0, 8
"""Arrivals over saturation, deadlines in service times, rows of a batch."""


def run(cpus: Sequence[int], seconds: float = 5.0, rounds: int = 3, seed: int = 0) -> dict[str, Any]:
    """``rows``: one for each way: what became of the critical requests, and how many others were answered a second."""
    WORK.mkdir(parents=True, exist_ok=True)
    onnxfiles.served(HERE / "work" / "models")
    order, turns = random.Random(seed), {who: list[dict[str, Any]]() for who in WHO}
    for number in range(rounds):
        due = list(WHO)
        order.shuffle(due)
        for who in due:
            print(f"priorities, {who}", file=sys.stderr)
            command = [sys.executable, str(Path(__file__)), "--worker", who, "--seconds", str(seconds)]
            told = subprocess.run(pinned(cpus, [*command, "--seed", str(seed + number)]),
                                  check=True, timeout=120, stdout=subprocess.PIPE)  # fmt: skip
            turns[who].append(json.loads(told.stdout))
    return {"seconds": seconds * rounds, "rows": [_row(who, turns[who], seconds * rounds) for who in WHO]}


def _row(who: str, turns: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    latency = np.array([x for turn in turns for x in turn["latency_s"]])
    asked = sum(turn["critical"] for turn in turns)
    return {
        "who": who, "critical": asked, "met_share": sum(turn["met"] for turn in turns) / asked,
        **quantiles(latency), "others_rate": sum(turn["others"] for turn in turns) / seconds,
    }  # fmt: skip


def work(who: str, seconds: float, seed: int) -> dict[str, Any]:
    """One turn, in this process."""
    told = WORK / "runtime.toml"
    told.write_text(f'[models."*"]\nmax_batch = {BATCH}\n')
    feed = {"x": CNN.sample()}
    sys.setswitchinterval(SWITCH_S)
    with Runtime(HERE / "work" / "models" / "cnn.onnx", config=told) as runtime:
        took = []
        for _ in range(100):
            begin = time.perf_counter()
            runtime.infer(feed)
            took.append(time.perf_counter() - begin)
        service = float(np.median(took))
        critical = poisson(CRITICAL / service, seconds, seed)
        others = poisson(FLOOD / service, seconds, seed + 1) if who != "alone" else np.array([])
        due = np.concatenate([critical, others])
        first = np.arange(len(due)) < len(critical)
        latency, met, answered = list[float](), 0, 0

        def done(outputs: Any, fault: Fault | None, begin: float, important: bool, limit: float) -> None:
            nonlocal met, answered
            now = time.perf_counter()
            if important and outputs is not None:
                latency.append(now - begin)
                met += now - begin <= limit
            elif outputs is not None:
                answered += 1

        gc.collect()
        gc.freeze()
        start = time.perf_counter() + 0.05
        served, desk = runtime.repository.find(), runtime.desk
        for place in np.argsort(due):
            begin, important = start + float(due[place]), bool(first[place])
            while (wait := begin - time.perf_counter()) > 0:
                time.sleep(wait)
            limit = (LIMIT if important else PATIENCE) * service
            priority = 2 if who == "all equal" else 1 if important else 3
            with suppress(Fault):  # refused: not met
                desk.later(
                    served, feed, lambda y, fault, b=begin, i=important, n=limit: done(y, fault, b, i, n),
                    limit - (time.perf_counter() - begin), priority,
                )  # fmt: skip
    return {"critical": len(critical), "met": met, "others": answered, "latency_s": latency}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", choices=WHO, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        print(json.dumps(work(asked.worker, asked.seconds, asked.seed)))
    else:
        print(json.dumps(run(sorted(os.sched_getaffinity(0)), asked.seconds, asked.rounds, asked.seed), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
