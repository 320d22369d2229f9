"""Saturation: whether CPUs that add 8-bit products in 16 bits would answer otherwise than this machine did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from edgewright.compression.quantization.saturation import LayerSaturation, Saturation, emulate
from edgewright.core.errors import Refused
from edgewright.core.session import Arrays
from edgewright.flows.gates.case import Case, OutOfTimeError
from edgewright.flows.gates.finding import Finding, failed, passed, short, unchecked
from edgewright.graphs.costs import workload
from edgewright.measurement.accuracy import sqnr_db
from edgewright.measurement.steadiness import decided
from edgewright.targets import Target

SECONDS = 3.0
_SAMPLES, _BATCH = 32, 8
_MACS = 2e9
"""Multiplications to take apart at most: some two seconds."""

Exposure = Literal["exposed", "perhaps", "exact"]
"""exposed: its kernels saturate. perhaps: a class of machines, some of which do. exact: they add in 32 bits."""

REMEDY = "quantize weights to 7 bits (weight_bits=7), or set session.x64quantprecision to 1 where it runs"


@dataclass(frozen=True)
class Change:
    """What saturation does to the answers. ``changed``: decisions among ``n`` that became others, None for numbers."""

    n: int
    changed: int | None
    sqnr_db: float | None


def exposure(target: Target) -> tuple[Exposure, str]:
    """Whether a target's kernels saturate, and why. Arm's add products of bytes in 32 bits (MLAS, QgemmU8X8KernelNeon:
    UMULL and UADALP), generated C code adds in ``int``; x86 is exact with VNNI only (vpdpbusd)."""
    if target.has("avx512_vnni") or target.has("avx_vnni") or target.has("avx_vnni_int8"):
        sure: tuple[Exposure, str] = ("exact", "has VNNI")
    elif target.architecture.startswith("x86") or target.has("avx2") or target.has("sse4_2"):
        sure = ("exposed", "is x86 without VNNI")
    else:
        sure = ("exact", "adds 8-bit products in 32 bits")
    if sure[0] == "exact" and target.name == target.device_class and not target.microcontroller:
        return "perhaps", "is a class that may hold x86 machines without VNNI"
    return sure


def judge(
    found: Saturation, exposed: Exposure, why: str, change: Change | None = None, *, wide: bool = False
) -> Finding:
    """``why``: a clause on the target. ``change``: what the answers became where pairs saturated. ``wide``: the target
    may be one with AVX-512 and no VNNI, whose order of pairs is not always known."""
    evidence = _evidence(found, change)
    if found.unseen:
        hidden = f"products inside {', '.join(found.unseen)} cannot be followed from outside"
        if exposed == "exact":
            return passed(f"the target {why}; {hidden}, so other CPUs are not checked", **evidence)
        if not found.cut:
            return unchecked(f"the target {why}, and {hidden}", **evidence)
    if not found.layers and not found.unseen:
        return passed("nothing is multiplied in 8 bits", **evidence)
    if not found.cut and not any(layer.possible for layer in found.layers):
        return passed("safe also without VNNI: no pair of products can leave 16 bits, whatever the input", **evidence)
    if not found.cut:
        doubt = [layer.layer for layer in found.layers if wide and layer.possible and not layer.ordered]
        told = f"none of {found.pairs:,} pairs of products left 16 bits on {found.samples} samples, though others could"
        if doubt:
            told += f"; the order in which the engine pairs them in {', '.join(doubt[:3])} is not known"
            return unchecked(f"{told}; the target {why}", **evidence)
        return passed(f"safe also without VNNI as far as seen: {told}", **evidence)
    told = f"{found.cut:,} of {found.pairs:,} pairs of products ({found.cut / found.pairs:.2g}) leave 16 bits"
    told += f", {_effect(change)}"
    if exposed == "exact":
        return passed(f"only safe with VNNI or on Arm: elsewhere {told}; the target {why}", **evidence)
    return failed(f"the target {why}: {told}; {REMEDY}", **evidence)


def _effect(change: Change | None) -> str:
    if change is None:
        return "to an unknown effect"
    quiet = "" if change.sqnr_db is None else f", answers {change.sqnr_db:.1f} dB from the exact ones"
    if change.changed is None:
        return f"on {change.n} samples{quiet}"
    return f"which changes the class of {change.changed} of {change.n} samples{quiet}"


def _evidence(found: Saturation, change: Change | None) -> dict[str, Any]:
    def told(layer: LayerSaturation) -> dict[str, Any]:
        noise = None if layer.noise_db is None else short(layer.noise_db)
        return {**vars(layer), "noise_db": noise, "share": short(layer.share)}

    touched = sorted((x for x in found.layers if x.saturated), key=lambda x: -x.saturated)
    return {
        "samples": found.samples, "layers": len(found.layers), "pairs": found.pairs, "saturated": found.cut,
        "possible": sum(layer.possible for layer in found.layers), "unseen": list(found.unseen),
        "worst": [told(layer) for layer in touched[:10]],
        "answers": None if change is None else vars(change).copy(),
        "order": "pairs along K as the engine packs it: kernel position, then channel (OpenVINO: channels in fours)",
        "bound": "every quantized product is taken to run on integers, which is an upper bound",
    }  # fmt: skip


def check(case: Case) -> Finding:
    """Emulate the candidate on calibration samples, as many as fit into the time."""
    exposed, why = exposure(case.result.target)
    model = case.candidate.model
    if model.format != "onnx":
        return unchecked(f"a model in {model.format} format cannot be taken apart")
    box = case.box(SECONDS)
    count = int(np.clip(_MACS * case.scale / max(workload(model).macs, 1), 1, _SAMPLES))
    batches = list(_requests(case, count))
    engine = case.candidate.engine
    try:
        found = emulate(model, batches[:1], engine)  # whatever it takes: a few samples say more than none
        taken = box.seconds - box.left
        if len(batches) > 1 and box.left > taken * len(batches):
            with suppress(OutOfTimeError):
                found = emulate(model, batches, engine, box.checkpoint)
    except Refused as refusal:
        return unchecked(f"the graph {refusal}")
    wide = exposed == "perhaps" or (exposed == "exposed" and case.result.target.has("avx512f"))
    return judge(found, exposed, why, _change(case, found), wide=wide)


def _requests(case: Case, count: int) -> Iterator[Arrays]:
    """Whole requests from the calibration split: of the model's own batch if that is fixed."""
    fixed = {s.shape[0] for s in case.candidate.model.signature.inputs if s.shape and isinstance(s.shape[0], int)}
    size = max((n for n in fixed if isinstance(n, int)), default=min(_BATCH, count))
    whole = (b for b in case.result.splits.calibration.batches(max(size, 1)) if not fixed or _rows(b) == size)
    return islice(whole, max(1, -(-count // max(size, 1))))


def _rows(batch: Arrays) -> int:
    return max((array.shape[0] for array in batch.values() if array.ndim), default=1)


def _change(case: Case, found: Saturation) -> Change | None:
    if not found.exact:
        return None
    choice = case.result.choice
    floats = {name: a for name, a in found.exact.items() if a.dtype.kind == "f"}
    quiet = sqnr_db(floats, found.saturated)
    before, after = decided(choice, found.exact), decided(choice, found.saturated)
    changed = None if before is None or after is None else int(np.sum(before != after))
    return Change(found.samples, changed, None if quiet is None else short(quiet))
