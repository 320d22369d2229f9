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


_VERIFIED = {("onnxruntime", ""), ("onnxruntime", "cpu"), ("openvino", ""), ("openvino", "cpu")}


def unverified(name: str, provider: str) -> str:
    """A sentence for a provider that Edgewright's own tests have never run on; "" for the others."""
    if (name, provider) in _VERIFIED:
        return ""
    return f"{name} on {provider or 'its default device'} is unverified: it was built against the library's API only"


def open_session(
    model: Model, name: str = "onnxruntime", options: EngineOptions | None = None, run_bytes: int = 0
) -> Session:
    """``model`` open in the named engine.

    ``run_bytes``: memory that a run may take beside the model's own (0: no limit), where the engine can be held to one;
    a run that needs more raises NeedsMemory.
    """
    chosen = engine(name)
    bounded = getattr(chosen, "open_bounded", None)
    if run_bytes and bounded is not None:
        session: Session = bounded(model, options or EngineOptions(), run_bytes)
        return session
    return chosen.open(model, options or EngineOptions())
