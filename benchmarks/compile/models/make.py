"""Make one of the benchmark's models with its data: ``python models/make.py residual digits FOLDER [--seed N]``.

Writes ``model.onnx``, ``data.npz`` (what tools may see), ``heldout.npz`` (what they may not) and ``facts.json``. The
arrays of both data files are ``input`` and ``labels``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from models import data as sources


@dataclass(frozen=True)
class Plan:
    """How a model is trained: epochs of each set, the highest learning rate, and whether images come as rows."""

    digits: int
    tiles: int
    rate: float
    flat: bool = False


PLANS = {
    "residual": Plan(16, 30, 4e-3),
    "depthwise": Plan(16, 30, 4e-3),
    "transformer": Plan(50, 60, 1e-3),
    "mlp": Plan(40, 40, 1e-3, flat=True),
}
SIZES = {"digits": 32, "tiles": 64}
STRENGTHS = {"digits": 0.7, "tiles": 0.2}
"""How much the images are turned, scaled and shifted while training."""


def make(name: str, set_name: str, folder: Path, seed: int = 0) -> dict[str, object]:
    """Train, export and keep apart; answers the facts it also writes."""
    import torch
    from models import training

    began = time.perf_counter()
    plan, size = PLANS[name], SIZES[set_name]
    data = sources.SETS[set_name](*((32, 24) if plan.flat else (size, size)))
    parts = {part: data.take(rows) for part, rows in sources.split(data.labels, seed).items()}
    torch.set_num_threads(1)  # the order of sums, and so the weights, must not hang on the number of cores
    torch.manual_seed(seed)
    model = import_module(f"models.{name}").build(len(data.classes), size)
    training.train(
        model, parts["train"], epochs=getattr(plan, set_name), rate=plan.rate, seed=seed,
        strength=STRENGTHS[set_name], flat=plan.flat,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {"model": name, "set": set_name, "seed": seed, "classes": list(data.classes)}
    found["parameters"] = sum(p.numel() for p in model.parameters())
    for part, file in (("tools", "data.npz"), ("heldout", "heldout.npz"), ("train", "")):
        x = parts[part].images
        x = np.ascontiguousarray(x.reshape(len(x), -1) if plan.flat else x)
        found[part] = {"samples": len(x), "accuracy": round(training.accuracy(model, x, parts[part].labels), 4)}
        if file:
            np.savez_compressed(folder / file, input=x, labels=parts[part].labels)
    training.export(model, x, folder / "model.onnx")
    found["training_s"] = round(time.perf_counter() - began, 1)
    (folder / "facts.json").write_text(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PLANS)
    parser.add_argument("set", choices=sources.SETS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(json.dumps(make(chosen.name, chosen.set, chosen.folder, chosen.seed)))
