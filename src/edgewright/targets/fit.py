"""Whether a model can run on a target at all, before anything is measured: memory, storage, number types."""

from __future__ import annotations

from edgewright.core.workload import Workload
from edgewright.targets.description import Target


def fits(workload: Workload, size_bytes: int, target: Target) -> list[str]:
    """Reasons why the model (a file of ``size_bytes``) does not fit ``target``; empty when it does.

    Where weights stay in flash (microcontrollers) RAM holds the activations alone; elsewhere the weights too. The peak
    of the activations is the workload's, by liveness; what an engine needs besides is not known before it runs.
    """
    reasons: list[str] = []
    needed, room = needed_bytes(workload, size_bytes, target), target.ram_model
    if needed > room.value and target.microcontroller:
        reasons.append(
            f"activations need {needed:,} bytes of RAM at once; {target.name} has {int(room):,} for a model: use "
            "smaller inputs, fewer channels or 8-bit activations"
        )
    elif needed > room.value:
        reasons.append(
            f"weights and activations need {needed:,} bytes of memory; {target.name} has {int(room):,} for a model: "
            "quantize or prune it"
        )
    if size_bytes > target.storage.value:
        reasons.append(
            f"the file has {size_bytes:,} bytes; {target.name} has {int(target.storage):,} of storage for a model"
        )
    if target.max_model is not None and size_bytes > target.max_model.value and not reasons:
        reasons.append(f"the file has {size_bytes:,} bytes, more than the {int(target.max_model):,} sensible there")
    widths = {operator.bits for operator in workload.operators if operator.macs}
    if "fp32" not in target.number_types and any(bits > 8 for bits in widths):
        reasons.append(
            f"{target.name} runs {' and '.join(target.number_types)} only; the model multiplies "
            f"{max(widths)}-bit numbers: quantize it to int8 first"
        )
    return reasons


def needed_bytes(workload: Workload, size_bytes: int, target: Target) -> int:
    """RAM that the model takes on ``target``, to be held against ``ram_model``: see ``fits``."""
    activations = workload.peak_activation_bytes
    return activations if target.microcontroller else max(workload.weight_bytes, size_bytes) + activations
