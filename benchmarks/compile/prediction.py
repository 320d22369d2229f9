"""How far the roofline prediction is from what was measured on this host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from measuring import Row

from edgewright.core.errors import EdgewrightError
from edgewright.graphs.costs import workload
from edgewright.targets import target
from edgewright.targets.roofline import predict_latency


def predicted(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For every measured ONNX model run by ONNX Runtime: predicted and measured ms and the error's factor.

    ``error`` is predicted over measured; ``inside`` whether the measurement lies in the prediction's range.
    """
    machine = target("host", measure=True)
    found = []
    for row in rows:
        subject = row.entry.subject
        if subject is None or row.p50 is None or subject.model.format != "onnx" or subject.engine != "onnxruntime":
            continue
        try:
            said = predict_latency(workload(subject.model), machine, threads=1)
        except EdgewrightError as error:
            found.append({"name": row.entry.name, "failure": str(error)})
            continue
        low, high = said.low or said.value, said.high or said.value
        found.append({
            "name": row.entry.name, "predicted_ms": said.value, "low_ms": low, "high_ms": high,
            "measured_ms": row.p50.value, "error": said.value / row.p50.value,
            "inside": low <= row.p50.value <= high,
        })  # fmt: skip
    return found
