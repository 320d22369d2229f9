"""Libraries that formats use, imported on first use; a missing one is told with the extra that brings it."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from edgewright.core.errors import MissingExtra

_EXTRAS = {
    "onnx": "compile", "onnxruntime": "compile", "flatbuffers": "compile", "openvino": "openvino", "torch": "torch",
    "onnxscript": "torch", "sklearn": "sklearn", "skl2onnx": "sklearn", "skops": "sklearn",
}  # fmt: skip
_TITLES = {"torch": "PyTorch", "sklearn": "scikit-learn", "openvino": "OpenVINO", "onnx": "ONNX"}


def require(*modules: str) -> None:
    """MissingExtra unless every module is installed. Imports none: for work that a child process will do."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise _missing(module)


def library(module: str) -> Any:
    """The module of that dotted name. Raises MissingExtra when its distribution is not installed."""
    top = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != top:
            raise
        raise _missing(top) from error


def _missing(top: str) -> MissingExtra:
    return MissingExtra(_TITLES.get(top, top), _EXTRAS[top])
