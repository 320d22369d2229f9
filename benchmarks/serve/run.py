"""Edgewright beside other servers: the same models, session options and machine, in one interleaved run.

    python benchmarks/serve/run.py [--quick] [--only PART_OR_SERVER] [--reload-limit S]

Parts: compare, tiles, overload, priorities, reloads. The peers' environments are made on first use (from PyPI; kept
under ``.envs``). Writes ``results/<date>.json`` and ``.md``, anew after each part. The whole run takes about 17
minutes, ``--quick`` three. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from edgewright.core.files import write_file
from edgewright.measurement.conditions import environment
from serve import compare, goals, load, overload, priorities, reloads, tables, tiles
from serve.peers import environments
from serve.subjects import BATCHING, ECHO, EDGEWRIGHT, SUBJECTS, URGENT, Subject

HERE = Path(__file__).resolve().parent
PARTS = ("compare", "tiles", "overload", "priorities", "reloads")


def versions(subjects: list[Subject]) -> dict[str, dict[str, str]]:
    """Of what runs; makes the environments, so that no start waits for one."""
    found = {"Edgewright": {name: version(name) for name in ("onnxruntime", "numpy", "httptools")}}
    if load.has_h2load():
        told = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=True).stdout.split()
        found["h2load"] = {"nghttp2": told[-1].removeprefix("nghttp2/")}
    else:
        print("h2load is missing (apt install nghttp2-client): the Python client stands in for it", file=sys.stderr)
        found["h2load"] = {"missing": "the Python client stood in for it"}
    for subject in subjects:
        if subject.environment:
            try:
                found[f"environment of {subject.name}"] = environments.versions_of(subject.environment)
            except (subprocess.CalledProcessError, OSError) as error:
                found[f"environment of {subject.name}"] = {"failed": str(error)}  # its rows will say so, too
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, few starts, short experiments")
    parser.add_argument("--only", action="append", metavar="WHAT", help="a part or a server; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the order and of the arrivals")
    parser.add_argument(
        "--reload-limit", type=float, default=150.0, metavar="S", help="time for the reloads, both models"
    )
    asked = parser.parse_args()
    known = {subject.name: subject for subject in SUBJECTS}
    if unknown := sorted(set(asked.only or ()) - {*PARTS, *known}):
        parser.error(f"--only {unknown[0]}: there are {', '.join((*PARTS, *known))}")
    named = [known[name] for name in asked.only or () if name in known]
    subjects = [s for s in SUBJECTS if s in (ECHO, EDGEWRIGHT, BATCHING, URGENT, *named)] if named else list(SUBJECTS)
    parts = [part for part in PARTS if part in (asked.only or ())] or (["compare"] if named else list(PARTS))

    began, cpus = time.perf_counter(), sorted(os.sched_getaffinity(0))
    conditions = environment()  # before anything else runs: its load average is the machine's own
    result: dict[str, Any] = {
        "schema": "edgewright.benchmark.serve/1", "date": datetime.now(UTC).strftime("%Y-%m-%d"), "seed": asked.seed,
        "quick": asked.quick, "environment": conditions, "versions": versions(subjects), "cpus": cpus, "goals": [],
    }  # fmt: skip
    quick: bool = asked.quick
    runs: Mapping[str, Callable[[], dict[str, Any]]] = {
        "compare": lambda: compare.run(compare.QUICK if quick else compare.FULL, cpus, subjects, asked.seed),
        "tiles": lambda: tiles.run(cpus, 1.0 if quick else 4.0),
        "overload": lambda: overload.run(cpus, 2.0 if quick else 6.0, 1 if quick else 3, asked.seed),
        "priorities": lambda: priorities.run(cpus, 2.0 if quick else 5.0, 1 if quick else 3, asked.seed),
        "reloads": lambda: reloads.run(cpus, 1000, 20.0 if quick else asked.reload_limit),
    }
    mark = "".join(("-quick" * quick, "-part" * bool(asked.only)))
    place = HERE / "results" / f"{result['date']}{mark}"
    place.parent.mkdir(exist_ok=True)
    for part in parts:
        print(f"part: {part}", file=sys.stderr)
        result[part] = runs[part]()
        result["goals"] = [vars(check) for check in goals.checks(result)]
        result["load_average_end"] = list(os.getloadavg())
        result["seconds"] = round(time.perf_counter() - began, 1)
        write_file(place.with_suffix(".json"), json.dumps(result, indent=1, allow_nan=False).encode())
        write_file(place.with_suffix(".md"), tables.page(result).encode())
    print(tables.page(result))
    return 1 if any(goal["met"] is False for goal in result["goals"]) else 0


if __name__ == "__main__":
    sys.exit(main())
