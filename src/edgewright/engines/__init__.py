"""Engines behind one Session. An engine is one file; its line below is the whole registration."""

from __future__ import annotations

from edgewright.core.model import Model
from edgewright.core.session import Engine, EngineOptions, Session
from edgewright.core.table import Table

ENGINES = Table(
    "engine",
    "engines",
    {
        "onnxruntime": "edgewright.engines.onnxruntime:OnnxRuntime",
        "openvino": "edgewright.engines.openvino:OpenVino",
    },
)


def engine(name: str) -> Engine:
    """The engine of that name. Raises InputError for an unknown one."""
    found: Engine = ENGINES[name]()
    return found


def open_session(model: Model, name: str = "onnxruntime", options: EngineOptions | None = None) -> Session:
    """``model`` open in the named engine."""
    return engine(name).open(model, options or EngineOptions())
