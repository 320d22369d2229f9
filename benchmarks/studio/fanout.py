"""Fan-out: how much sooner a search ends when a second worker builds and judges what it tries next.

    python benchmarks/studio/fanout.py --json benchmarks/studio/results/fanout.json

One worker on a core of its own, and one more on the other core, take turns with the first alone; the search, its seed
and its data are the same each time, so it tries the same candidates as far as its clock lets it. A residual network
with random weights, labels that are its own answers: that it loses nothing there is what the search holds candidates
against.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.fleet.stage import on

from edgewright.client import upload
from edgewright.engines import open_session
from edgewright.testing.build import Build
from edgewright.testing.site import Program, Site
from edgewright.testing.zoo import conv, head

SIZE, CHANNELS = 32, 48


def write(folder: Path, samples: int) -> None:
    """The model and its data."""
    b = Build(17, 0)
    x = b.node("Relu", conv(b, b.input("image", ["batch", 3, SIZE, SIZE]), 3, CHANNELS))
    for _ in range(4):
        y = b.node("Relu", b.batch_norm(conv(b, x, CHANNELS, CHANNELS), CHANNELS))
        x = b.node("Relu", b.node("Add", b.batch_norm(conv(b, y, CHANNELS, CHANNELS), CHANNELS), x))
    head(b, x, CHANNELS)
    model = b.model()
    rng = np.random.default_rng(0)
    images = rng.standard_normal((samples, 3, SIZE, SIZE)).astype(np.float32)
    images += 2 * rng.standard_normal((samples, 3, 1, 1)).astype(np.float32)
    with open_session(model) as session:
        answers = [next(iter(session.infer({"image": some}).values())) for some in np.array_split(images, 16)]
    (folder / "model.onnx").write_bytes(model.data)
    np.savez(folder / "data.npz", image=images, labels=np.concatenate(answers).argmax(axis=1))


def search(site: Site, asked: dict[str, Any], workers: int, folder: Path) -> dict[str, Any]:
    """One search by so many workers; how long it took and what it tried."""
    started = []
    try:
        for core in range(workers):
            with on(core):
                words = ["hub", "worker", "--data", str(site.data)]
                started.append(Program(words, folder / f"worker-{core}.log", site.settings))
        site.wait(lambda hub: sum(one["state"] == "live" for one in hub.get("/workers")["items"]) == workers)
        with site.api() as hub:
            job = hub.post("/optimization-jobs", asked)["id"]
        told = site.wait(lambda hub: over(hub.get(f"/optimization-jobs/{job}")), 900.0)
    finally:
        for one in started:
            one.close()
    progress, result = told["progress"], told["result"]
    return {
        "workers": workers, "state": told["state"], "tried": progress["tried"], "helped": progress["helped"],
        "search_s": round(result["elapsed_s"], 1), "best": result["best"], "stopped": result["stopped"],
    }  # fmt: skip


def over(job: dict[str, Any]) -> dict[str, Any] | None:
    """The job, once it is."""
    return job if job["state"] in ("done", "infeasible", "failed", "cancelled") else None


def ready(page: dict[str, Any]) -> str:
    """The id of the one thing there, once it is ready."""
    return next((one["id"] for one in page["items"] if one["state"] == "ready"), "")


def main() -> int:
    """Print and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--target", default="host")
    parser.add_argument("--budget", type=float, default=600.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(prefix="ew-fanout-") as place:
        folder = Path(place)
        write(folder, arguments.samples)
        with on(1), Site(folder / "site") as site:
            with site.api() as hub:
                model = hub.post("/models", {"name": "wide", "description": ""})["id"]
                upload(hub, folder / "model.onnx", model=model)
                upload(hub, folder / "data.npz", dataset="wide")
            asked = {
                "version": site.wait(lambda hub: ready(hub.get(f"/models/{model}/versions"))),
                "dataset": site.wait(lambda hub: ready(hub.get("/datasets"))), "target": arguments.target,
                "budget_s": arguments.budget, "limits": {"max_accuracy_drop": 5.0},
            }  # fmt: skip
            for turn in range(2 * arguments.rounds):
                runs.append(search(site, asked, 1 + turn % 2, folder))
                print(json.dumps(runs[-1]), flush=True)
    alone, both = ([run["search_s"] for run in runs if run["workers"] == count] for count in (1, 2))
    told = {"target": arguments.target, "runs": runs, "ratio": round(float(np.median(alone) / np.median(both)), 2)}
    print(f"one worker {np.median(alone):.0f} s, two {np.median(both):.0f} s: {told['ratio']:.2f} times as fast")
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
