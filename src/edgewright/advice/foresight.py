"""What can be foreseen of a number type before the model is rewritten: its workload, its latency, whether it fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgewright.advice.coverage import Coverage, covers
from edgewright.advice.inspection import Inspection
from edgewright.core.workload import OperatorCost, Workload
from edgewright.targets import NumberType, Target
from edgewright.targets import fits as problems_of

_WIDTH: Mapping[str, int] = {"fp16": 16, "bf16": 16, "int8_static": 8, "int8_dynamic": 8, "int4_weights": 4}


def in_type(workload: Workload, covered: Coverage) -> Workload:
    """What ``workload`` would be with the covered operators in the coverage's number type, the others as they are.

    Weights and, in types that store activations too, activations shrink with the width. A prediction's input, no
    measurement: the rewritten model's own workload is exact.
    """
    width = _WIDTH.get(covered.number_type)
    if width is None:
        return workload
    whole = covered.number_type in ("fp16", "bf16", "int8_static")

    def changed(o: OperatorCost) -> OperatorCost:
        if o.name not in covered.covered or o.bits <= width or (not o.macs and not whole):
            return o
        kept = width / o.bits
        data = kept if whole else 1.0
        return replace(
            o,
            weight_bytes=round(o.weight_bytes * kept),
            read_bytes=round(o.read_bytes * data),
            written_bytes=round(o.written_bytes * data),
            bits=width,
        )

    operators = tuple(map(changed, workload.operators))
    before, after = (sum(o.weight_bytes for o in ops) for ops in (workload.operators, operators))
    shrunk = round(workload.weight_bytes * after / before) if before else workload.weight_bytes
    share = covered.operators_share if whole else 0.0
    peak = round(workload.peak_activation_bytes * (1 - share * (1 - width / 32)))
    return Workload(operators, workload.parameters, shrunk, peak)


_SMALLER: tuple[tuple[NumberType, str, str], ...] = (
    ("fp16", "fp16", "fp16"), ("int8", "int8_static", "INT8"), ("int4", "int4_weights", "4-bit weights"),
)  # fmt: skip


def remedies(found: Inspection, target: Target) -> Iterator[str]:
    """What would make the model fit, judged by the same rule as the problem."""
    if found.workload is None or found.shaped is None:
        return
    columns = {(c.engine, c.number_type): c for c in covers(found.shaped, found.workload, None)}
    size = found.model.size_bytes
    for number_type, name, label in _SMALLER:
        if target.number_types and number_type not in target.number_types:
            continue
        smaller = in_type(found.workload, columns["onnxruntime", name])
        kept = smaller.weight_bytes / max(found.workload.weight_bytes, 1)
        if not problems_of(smaller, round(size * kept), target):
            yield f"{label} would fit: about {round(size * kept):,} bytes of file"
            return
    eight = in_type(found.workload, columns["onnxruntime", "int8_static"])
    stuck = sorted({o.op_type for o in eight.operators if o.macs and o.bits > 8})
    if "fp32" not in target.number_types and stuck:
        yield f"{' and '.join(stuck)} have no INT8 form here: replace these layers, or choose a target with floats"
    need = max(
        size * eight.weight_bytes / max(found.workload.weight_bytes, 1) / float(target.storage),
        eight.peak_activation_bytes / float(target.ram_model),
    )
    if need > 1:
        yield f"even in INT8 it needs {need:.1f} times what is there: prune it, use smaller inputs, or a larger target"
    elif not stuck:
        yield "no number type alone makes it fit: prune channels as well, or use smaller inputs"
