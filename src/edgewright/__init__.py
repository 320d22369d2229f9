"""Edgewright: from a trained model to a trusted decision at the edge, and back again."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Resolved on first use, so that importing the package imports no stage and no heavy library.
_PLACES = {
    "load": "edgewright.formats:load",
    "convert": "edgewright.formats:convert",
    "dataset": "edgewright.datasets:dataset",
    "target": "edgewright.targets:target",
    "optimize": "edgewright.flows.compile:optimize",
    "Model": "edgewright.core.model:Model",
    "Measurement": "edgewright.core.measurement:Measurement",
    "EdgewrightError": "edgewright.core.errors:EdgewrightError",
}
__all__ = ["__version__", *sorted(_PLACES)]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'edgewright' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
