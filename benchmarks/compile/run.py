"""Edgewright beside its peers: the same models, data, threads and machine, measured in one interleaved run each.

    python benchmarks/compile/run.py [--quick] [--seed N]

Trains the models on first use (some minutes; kept under ``work``), makes the peers' environments on first use (from
PyPI; kept under ``.envs``), runs every tool alone and in a process of its own, measures all their models side by side,
and writes ``results/<date>.json`` and ``.md``, anew after each model. The whole run takes about an hour, ``--quick``
some six minutes: two models, the three strongest peers, a search of 60 s. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import goals
import journey
import measuring
import prediction
import subjects
import tables
from models import data
from peers import environments
from peers.catalogue import PEERS

from edgewright.core.files import write_file
from edgewright.measurement.conditions import environment

HERE = Path(__file__).resolve().parent
FAMILIES = ("residual", "depthwise", "transformer", "mlp")
TILE_SIDE = 64


def trained(family: str, set_name: str) -> Path:
    """The folder of a trained model, trained now unless these very scripts did so before."""
    digest = hashlib.sha256()
    for script in sorted((HERE / "models").glob("*.py")):
        if script.stem not in FAMILIES or script.stem == family:
            digest.update(script.read_bytes())
    folder = HERE / "work" / "models" / f"{set_name}-{family}-{digest.hexdigest()[:12]}"
    if not (folder / "facts.json").is_file():
        print(f"training {family} on {set_name}", file=sys.stderr)
        making = folder.with_suffix(".part")
        shutil.rmtree(making, ignore_errors=True)
        script = HERE / "models" / "make.py"
        subprocess.run([sys.executable, script, family, set_name, making], check=True, stdout=subprocess.DEVNULL)
        making.rename(folder)
    return folder


def compare(family: str, set_name: str, *, quick: bool, seed: int) -> tuple[dict[str, Any], list[measuring.Row]]:
    """One model through every tool: its part of the results, and the rows."""
    name = family if set_name == "digits" else f"{family} on {set_name}"
    task = subjects.Task(name, family, trained(family, set_name))
    began = time.perf_counter()
    out = HERE / "work" / "runs" / f"{set_name}-{family}"
    shutil.rmtree(out, ignore_errors=True)
    entries = subjects.gather(task, out, quick=quick, budget_s=60 if quick else 170, seed=seed)
    print(f"{name}: measuring {len(entries)} rows", file=sys.stderr)
    rows = measuring.measure(
        entries, task.folder / "heldout.npz", seed=seed, seconds_each=1.0 if quick else measuring.SECONDS_EACH
    )
    told = {
        "name": name,
        "facts": json.loads((task.folder / "facts.json").read_text()),
        "rows": [row.to_json() for row in rows],
        "goals": [vars(check) for check in goals.checks(name, family, rows)],
        "predictions": prediction.predicted(rows),
        "seconds": round(time.perf_counter() - began, 1),
    }
    return told, rows


def whole_path(rows: list[measuring.Row]) -> dict[str, Any]:
    """The tile's way with the original and with what Edgewright chose, where both are there."""
    folder = data.tile_folder()
    chosen = {row.entry.name: row.entry.subject for row in rows if row.entry.name in (subjects.ORIGINAL, subjects.FREE)}
    known = {name: subject for name, subject in chosen.items() if subject is not None}
    if folder is None or not known:
        return {}
    classes, files = journey.photographs(folder)
    return journey.walk(known, classes, files, TILE_SIDE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two models, three peers, short searches")
    parser.add_argument("--seed", type=int, default=0, help="of the search and of the order of measuring")
    parser.add_argument("--only", action="append", metavar="MODEL", help="a family, or family:set; may be repeated")
    asked = parser.parse_args()
    wanted = [(family, name) for name in data.available() for family in FAMILIES]
    if asked.quick:
        wanted = [("residual", "digits"), ("mlp", "digits")]
    if asked.only:
        wanted = [(f, s) for f, s in wanted if f in asked.only or f"{f}:{s}" in asked.only]
    for family, set_name in wanted:
        trained(family, set_name)
    used = sorted({peer.environment for peer in PEERS if peer.quick or not asked.quick})
    versions = {f"environment of {name}": environments.versions_of(name) for name in used}
    result: dict[str, Any] = {
        "schema": "edgewright.benchmark.compile/1", "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seed": asked.seed, "quick": asked.quick, "environment": environment(), "versions": versions,
        "models": [], "goals": [], "path": {},
    }  # fmt: skip
    mark = "".join(("-quick" * asked.quick, f"-seed{asked.seed}" * bool(asked.seed), "-part" * bool(asked.only)))
    place = HERE / "results" / f"{result['date']}{mark}"
    for family, set_name in wanted:
        told, rows = compare(family, set_name, quick=asked.quick, seed=asked.seed)
        result["models"].append(told)
        result["goals"] += told["goals"]
        if (family, set_name) == ("residual", "tiles"):
            result["path"] = whole_path(rows)
        result["load_average_end"] = list(os.getloadavg())
        write_file(place.with_suffix(".json"), json.dumps(result, indent=1, allow_nan=False).encode())
        write_file(place.with_suffix(".md"), tables.page(result).encode())
    print(tables.page(result))
    return 0 if all(goal["met"] for goal in result["goals"]) else 1


if __name__ == "__main__":
    sys.exit(main())
