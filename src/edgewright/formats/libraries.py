"""Libraries beyond the device install, imported on first use; a missing one is told with the extra that brings it."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from edgewright.core.errors import MissingExtra

_EXTRAS = {
    "onnx": "compile", "onnxruntime": "compile", "flatbuffers": "compile", "openvino": "openvino", "torch": "torch",
    "onnxscript": "torch", "sklearn": "sklearn", "skl2onnx": "sklearn", "skops": "sklearn",
    "onnx_ir": "compile", "scipy": "compile", "jinja2": "compile", "PIL": "compile", "packaging": "compile",
}  # fmt: skip
_TITLES = {"torch": "PyTorch", "sklearn": "scikit-learn", "openvino": "OpenVINO", "onnx": "ONNX", "PIL": "Pillow"}


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


def lacking(error: Exception) -> MissingExtra | None:
    """What a failed import means for the user; None where it is not one of the libraries that an extra brings."""
    top = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return _missing(top) if top in _EXTRAS else None


def _missing(top: str) -> MissingExtra:
    return MissingExtra(_TITLES.get(top, top), _EXTRAS[top])
