"""The figures of docs/explanation/int8.md and pruning.md: each pass alone on the demo's classifier, on this machine.

    python benchmarks/passes/digits.py

One interleaved run of all variants, one thread, batch 1; accuracy on the held-out split; conditions printed with it.
About three minutes on two cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edgewright as ew
from edgewright.compression.contract import Context
from edgewright.compression.passes.prune_channels import sample_batches, survey
from edgewright.compression.pruning.plan import plan
from edgewright.compression.pruning.shrink import shrink
from edgewright.compression.recipe import recipe
from edgewright.core.model import Model
from edgewright.engines import open_session
from edgewright.graphs.graph import close_graph, open_graph
from edgewright.measurement import Plan, measure_latency, requests
from edgewright.measurement.accuracy import compare, evaluate
from edgewright.measurement.conditions import environment

HERE = Path(__file__).resolve().parents[2] / "examples" / "digits"
INT8: dict[str, Any] = {"pass": "int8_static"}
HALF = {"pass": "prune_channels", "keep": 0.5, "align": 16}
QUARTER = {"pass": "prune_channels", "keep": 0.25, "align": 16}
VARIANTS: dict[str, tuple[str, tuple[dict[str, Any], ...]]] = {
    "float": ("onnxruntime", ()),
    "float, OpenVINO": ("openvino", ()),
    "INT8 u8": ("onnxruntime", (INT8,)),
    "INT8 u8, one scale a tensor": ("onnxruntime", ({**INT8, "per_channel": False},)),
    "INT8 s8": ("onnxruntime", ({**INT8, "activations": "s8"},)),
    "INT8 s8 symmetric": ("onnxruntime", ({**INT8, "activations": "s8_symmetric"},)),
    "INT8 u8, OpenVINO": ("openvino", (INT8,)),
    "INT8 s8 symmetric, OpenVINO": ("openvino", ({**INT8, "activations": "s8_symmetric"},)),
    "FP16": ("onnxruntime", ({"pass": "fp16"},)),
    "half the multiplies": ("onnxruntime", (HALF,)),
    "half the multiplies, INT8 u8": ("onnxruntime", (HALF, INT8)),
    "a quarter of the multiplies": ("onnxruntime", (QUARTER,)),
}


def made_by(model: Model, context: Context, steps: tuple[dict[str, Any], ...]) -> Model:
    """The model after the exact rewritings and ``steps``."""
    result = recipe("simplify", {"pass": "fuse", "contrib": True}, *steps, "strip")(model, context)
    if result.status == "refused":
        raise SystemExit(result.reason)
    return result.model


def without_refit(model: Model, context: Context) -> Model:
    """Half the multiplies, the weights that stay as they were."""
    whole = made_by(model, context, ())
    graph = open_graph(whole)
    ready = survey(whole, graph, sample_batches(whole, context), context)
    chosen = plan(ready.found, ready.groups, ready.orders, ready.places, HALF["keep"], HALF["align"])
    shrink(graph.graph, ready.found, chosen.removed)
    return close_graph(graph, whole, "prune_channels")


def main() -> None:
    """Make, measure, print."""
    model = ew.load(HERE / "digits.onnx")
    splits = ew.dataset(HERE / "digits.npz").bind(model.signature).splits(seed=0)
    context = Context(splits.calibration, seed=0)
    models = {name: (engine, made_by(model, context, steps)) for name, (engine, steps) in VARIANTS.items()}
    models["half the multiplies, no refit"] = ("onnxruntime", without_refit(model, context))
    sessions = {"original": open_session(model)}
    sessions |= {name: open_session(found, engine) for name, (engine, found) in models.items()}
    timed = measure_latency(sessions, requests(splits.test, model.signature, 8), Plan(60, 0.005, tail_calls=0))
    before = evaluate(sessions["original"], splits.test)
    print(f"{'variant':32s} {'us':>8s} {'ratio':>6s}  {'95%':13s} {'bytes':>8s} {'top-1':>6s} {'lost':>6s}  95%")
    for name, session in sessions.items():
        found = compare(before, evaluate(session, splits.test, before.choice))
        ratio, drop = timed[name].ratio, found.drop
        size = (models[name][1] if name in models else model).size_bytes
        print(
            f"{name:32s} {timed[name].p50.value * 1000:8.1f} {ratio.value:6.3f}  {ratio.low:.3f}..{ratio.high:.3f} "
            f"{size:9,d} {found.candidate.value:6.2f} {drop.value:+6.2f}  {drop.low:+.2f}..{drop.high:+.2f}"
        )
    seen = environment()
    print(f"{len(splits.test)} held-out samples, {len(splits.calibration)} for calibration; one thread, batch 1")
    print(f"{seen['cpu']}, {seen['cores']} cores, {' '.join(seen['isa'])}, load {seen['load_average']}")
    print(", ".join(f"{name} {release}" for name, release in seen["libraries"].items()))


if __name__ == "__main__":
    main()
