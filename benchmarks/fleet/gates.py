"""Gates at full size: 1,000 devices, 5% canaries, 200 inferences a device, 20 looks.

    python -m benchmarks.fleet.gates [--runs 300] [--out gates.json]

How often each release is halted within its first wave's looks, and how many looks it takes. Devices differ, days differ
(both arms alike), and every release is a real model: see ``models``. Seeded: the same figures every time.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.fleet.fleet import Fleet, Setting, expected
from benchmarks.fleet.models import Case, cases

from edgewright.core.statistics import wilson
from edgewright.flows.release import Budget, Installs, expecting, judge

ROWS: tuple[tuple[str, str, Setting, str], ...] = (
    ("the same", "no shadow, no labels", Setting(), "<= 1%"),
    ("temperature 1.5", "no shadow, no labels", Setting(), "<= 2%"),
    ("temperature 0.7", "no shadow, no labels", Setting(), "<= 2%"),
    ("INT8", "no shadow, no labels", Setting(), "<= 2%"),
    ("INT8", "10% shadowed, 5% labelled", Setting(shadowed=0.1, labelled=0.05), "<= 2%"),
    ("worse", "no shadow, no labels", Setting(), ">= 95%"),
    ("worse", "10% shadowed, 5% labelled", Setting(shadowed=0.1, labelled=0.05), ">= 95%"),
    ("worse", "a past of 1,000", Setting(past=1000), ">= 95%"),
    ("worse on live data only", "no shadow, no labels", Setting(), ">= 95%"),
)  # fmt: skip


def once(running: Case, release: Case, classes: Any, setting: Setting, seed: int) -> tuple[int | None, str, str]:
    """The look at which it was halted (None: it was not), why, and the last look's verdict."""
    fleet = Fleet(running, release, classes, setting, seed)
    metrics = expecting(expected(running.held_out, release.held_out))
    canaries = int(fleet.canary.sum())
    installs = Installs(canaries, 0, canaries, 0, 0, 0.02)
    for look in range(1, setting.looks + 1):
        verdict = judge(installs, fleet.look(), 0, metrics, Budget())
        if verdict.action == "halt":
            return look, verdict.why, "halt"
    return None, verdict.why, verdict.action


def main() -> None:
    """Run all rows and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    gc.disable()  # nothing here is cyclic, and a run makes half a million small objects
    made, classes = cases()
    by_name = {case.name: case for case in made}
    told = []
    for case in made:
        print(f"{case.name:24} wrong {case.held_out.wrong.mean():.3f} held out, {case.live.wrong.mean():.3f} live")
    for name, where, setting, goal in ROWS:
        began = time.perf_counter()
        runs = [once(made[0], by_name[name], classes, setting, seed) for seed in range(options.runs)]
        looks = sorted(look for look, _, _ in runs if look is not None)
        share = wilson(len(looks), options.runs)
        row = {
            "release": name, "with": where, "goal": goal, "runs": options.runs, "halted": share.value,
            "halted_95": [share.low, share.high], "median_look": looks[len(looks) // 2] if looks else None,
            "advanced": sum(action == "advance" for _, _, action in runs) / options.runs, "why": runs[0][1],
            "s": round(time.perf_counter() - began, 1),
        }  # fmt: skip
        told.append(row)
        bounds = f"{100 * share.low:.1f} to {100 * share.high:.1f}; goal {goal}"
        print(f"{name:24} {where:26} halted {100 * share.value:5.1f}% ({bounds}), median look {row['median_look']}")
        print(f"    advanced {100 * row['advanced']:.1f}%: {row['why']}", flush=True)
    if options.out:
        options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
