"""Libraries that formats use, imported on first use; a missing one is told with the extra that brings it."""

from __future__ import annotations

import importlib
import os
from typing import Any

from edgewright.core.errors import MissingExtra

_EXTRAS = {
    "onnx": "compile", "onnxruntime": "compile", "flatbuffers": "compile", "openvino": "openvino", "torch": "torch",
    "onnxscript": "torch", "sklearn": "sklearn", "skl2onnx": "sklearn", "skops": "sklearn",
}  # fmt: skip
_TITLES = {"torch": "PyTorch", "sklearn": "scikit-learn", "openvino": "OpenVINO", "onnx": "ONNX"}


def library(module: str) -> Any:
    """The module of that dotted name. Raises MissingExtra when its distribution is not installed."""
    top = module.partition(".")[0]
    # Their import would otherwise look for, or write to, places a shut-in child may not touch.
    os.environ.setdefault("SKLEARN_SKIP_OPENMP_TEST", "1")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != top:
            raise
        raise MissingExtra(_TITLES.get(top, top), _EXTRAS[top]) from error
