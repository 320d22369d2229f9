"""NNCF on OpenVINO and on ONNX, in its own environment: ``nncf_tool.py VARIANT --model M --data D --out FOLDER``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import onnx
import openvino
from shared import CALIBRATION, Arguments, calibration, labelled, parse


def read(told: Arguments) -> Any:
    """The model in OpenVINO, its batch set to 1, as it will be run."""
    model = openvino.Core().read_model(told.model)
    first = model.inputs[0]
    model.reshape({first: [1, *(dimension.get_length() for dimension in list(first.get_partial_shape())[1:])]})
    return model


def options(told: Arguments) -> dict[str, Any]:
    return {"model_type": nncf.ModelType.TRANSFORMER} if told.family == "transformer" else {}


def as_is(told: Arguments) -> None:
    """Converted, not compressed; its weights stored as FP16, as ``save_model`` does unless told otherwise."""
    openvino.save_model(read(told), told.out / "model.xml")


def quantize(told: Arguments) -> None:
    _, samples = calibration(told)
    found = nncf.quantize(
        read(told), nncf.Dataset([s[None] for s in samples]), subset_size=CALIBRATION, **options(told)
    )
    openvino.save_model(found, told.out / "model.xml")


def quantize_with_control(told: Arguments) -> None:
    """Layers go back to float until no more than ``drop`` points are lost on the samples it may see."""
    _, samples, labels = labelled(told)
    pairs = [(s[None], int(label)) for s, label in zip(samples, labels, strict=True)]

    def accuracy(compiled: Any, data: Iterable[tuple[np.ndarray, int]]) -> tuple[float, list[float]]:
        right = [float(np.argmax(compiled(x)[0]) == label) for x, label in data]
        return float(np.mean(right)), right

    found = nncf.quantize_with_accuracy_control(
        read(told),
        calibration_dataset=nncf.Dataset([x for x, _ in pairs[:CALIBRATION]]),
        validation_dataset=nncf.Dataset(pairs, lambda pair: pair[0]),
        validation_fn=accuracy,
        max_drop=told.drop / 100, drop_type=nncf.DropType.ABSOLUTE, subset_size=CALIBRATION, **options(told),
    )  # fmt: skip
    openvino.save_model(found, told.out / "model.xml")


def on_onnx(told: Arguments) -> None:
    name, samples = calibration(told)
    dataset = nncf.Dataset([{name: s[None]} for s in samples])
    found = nncf.quantize(onnx.load(told.model), dataset, subset_size=CALIBRATION, **options(told))
    onnx.save(found, told.out / "model.onnx")


VARIANTS = {"as-is": as_is, "quantize": quantize, "accuracy-control": quantize_with_control, "onnx": on_onnx}

if __name__ == "__main__":
    asked = parse(Path(__file__).stem, tuple(VARIANTS))
    VARIANTS[asked.variant](asked)
