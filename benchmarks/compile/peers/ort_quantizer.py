"""ONNX Runtime's quantizer, in its own environment: ``ort_quantizer.py VARIANT --model M --data D --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization as q
from onnxruntime.quantization.shape_inference import quant_pre_process
from shared import Arguments, calibration, parse


class Reader(q.CalibrationDataReader):
    """One sample at a time, as its documentation shows."""

    def __init__(self, name: str, samples: np.ndarray) -> None:
        self._rows = iter([{name: sample[None]} for sample in samples])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rows, None)


def static(told: Arguments, scheme: str) -> None:
    """``u8s8``: what its documentation advises for x86 with VNNI. ``s8s8``: what the function does unless told."""
    prepared = told.out / "prepared.onnx"
    quant_pre_process(str(told.model), str(prepared))
    name, samples = calibration(told)
    more = {}
    if scheme == "u8s8":
        more = {"activation_type": q.QuantType.QUInt8, "weight_type": q.QuantType.QInt8, "per_channel": True}
    q.quantize_static(str(prepared), str(told.out / "model.onnx"), Reader(name, samples), **more)
    prepared.unlink()


def dynamic(told: Arguments) -> None:
    """Weights stored as integers, activations measured at every call. Stale shapes make it fail: cleared first."""
    model = onnx.load(told.model)
    del model.graph.value_info[:]
    bare = told.out / "bare.onnx"
    onnx.save(model, bare)
    q.quantize_dynamic(str(bare), str(told.out / "model.onnx"), weight_type=q.QuantType.QInt8)
    bare.unlink()


if __name__ == "__main__":
    asked = parse(Path(__file__).stem, ("u8s8", "s8s8", "dynamic"))
    dynamic(asked) if asked.variant == "dynamic" else static(asked, asked.variant)
