"""The models of one comparison: the original, what Edgewright chose, and what every peer made of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.catalogue import PEERS, Peer, call

from edgewright.core.errors import EdgewrightError
from edgewright.core.session import EngineOptions
from edgewright.formats import load
from edgewright.measurement import Subject

ORIGINAL = "fp32 in ONNX Runtime"
FREE, FIXED = "Edgewright", "Edgewright, structure fixed"


@dataclass(frozen=True)
class Entry:
    """One row: what is measured (None: ``failure`` says why not), who made it, in how many seconds."""

    name: str
    tool: str
    subject: Subject | None
    seconds: float | None = None
    first_s: float | None = None
    failure: str = ""
    recipe: str = ""


@dataclass(frozen=True)
class Task:
    """A trained model with its data; ``family`` is its script's name, ``gate`` the points that may be lost."""

    name: str
    family: str
    folder: Path
    gate: float = 0.5

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"


def original(task: Task) -> Entry:
    return Entry(ORIGINAL, "", Subject(load(task.model)))


def edgewright(task: Task, out: Path, *, fixed: bool, budget_s: float, seed: int) -> Entry:
    """``edgewright optimize`` in a fresh process, as a user types it."""
    name = FIXED if fixed else FREE
    command = [str(Path(sys.executable).with_name("edgewright")), "optimize", str(task.model),
               "--data", str(task.folder / "data.npz"), "--target", "host", "--max-accuracy-drop", str(task.gate),
               "--budget", f"{budget_s:g}s", "--seed", str(seed), "-o", str(out)]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        command + ["--keep-structure"] * fixed, capture_output=True, text=True, timeout=4 * budget_s + 300, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no message"])[-1]
        return Entry(name, FREE, None, seconds, failure=f"status {done.returncode}: {why[:200]}")
    report = json.loads((out / "report.json").read_text())
    best = next(c for c in report["candidates"] if c["id"] == report["best"])
    folder = out / best["path"]
    main = json.loads((folder / "candidate.json").read_text())["main"]
    subject = Subject(load(folder / main), best["engine"], EngineOptions(**best["engine_options"]))
    steps = " + ".join(_step(step) for step in best["recipe"])
    return Entry(name, FREE, subject, seconds, report["first_feasible_s"], recipe=steps)


def _step(step: dict[str, Any]) -> str:
    options = ", ".join(f"{k}={v}" for k, v in step.items() if k != "pass" and isinstance(v, str | int | float))
    return f"{step['pass']}({options})" if options else step["pass"]


def peer(which: Peer, task: Task, out: Path) -> list[Entry]:
    """One row, or two where OpenVINO runs it: in f32 like the others, and as it comes (bf16 where the CPU has it)."""
    family = "transformer" if task.family == "transformer" else ""
    made = call(which, task.model, task.folder / "data.npz", out, family, task.gate)
    if made.path is None:
        return [Entry(which.name, which.environment, None, made.seconds, failure=made.failure)]
    try:
        model = load(made.path)
    except EdgewrightError as error:
        return [Entry(which.name, which.environment, None, made.seconds, failure=str(error))]
    subject = Subject(model, which.engine, EngineOptions())
    rows = [Entry(which.name, which.environment, subject, made.seconds)]
    if which.engine == "openvino":
        free = Subject(model, which.engine, EngineOptions(precision="auto"))
        rows.append(Entry(f"{which.name}, engine's own precision", which.environment, free, made.seconds))
    return rows


def gather(task: Task, out: Path, *, quick: bool, budget_s: float, seed: int) -> list[Entry]:
    """Every row of ``task``, the original first. The tools run one after the other, each alone."""
    entries = [original(task)]
    for fixed in (False, True):
        folder = out / ("fixed" if fixed else "free")
        entries.append(edgewright(task, folder, fixed=fixed, budget_s=budget_s, seed=seed))
    for which in PEERS:
        if which.quick or not quick:
            entries += peer(which, task, out / which.script.removesuffix(".py") / which.variant)
    return entries
