"""OpenVINO: ONNX and IR models on the CPU, in the precision that was asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError, MissingExtra
from edgewright.core.model import Model, Signature
from edgewright.core.session import EngineOptions
from edgewright.engines.session import BaseSession, first_line

# OpenVINO's CPU plugin chooses bf16 by itself where the CPU has it; asking keeps a comparison honest.
_PRECISIONS = {"f32": "f32", "bf16": "bf16", "f16": "f16"}


def _library() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino") from error
    return openvino


class OpenVinoSession(BaseSession):
    """A compiled model with one infer request; ``request`` is the library's own, for its profiler."""

    def __init__(self, compiled: Any, signature: Signature, requested: str, provider: str) -> None:
        super().__init__(signature, requested, provider)
        self.request: Any = compiled.create_infer_request()
        self._ports = [(spec.name, i) for i, spec in enumerate(self.signature.outputs)]

    def _run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.request.infer(inputs, share_inputs=True)
        return {name: np.array(self.request.get_output_tensor(i).data) for name, i in self._ports}

    def _release(self) -> None:
        self.request = None


class OpenVino:
    """The engine. Formats: ``onnx`` and ``openvino`` (IR)."""

    name = "openvino"
    formats = ("onnx", "openvino")

    def version(self) -> str:
        """The library's release."""
        return str(_library().__version__).split("-")[0]

    def providers(self) -> tuple[str, ...]:
        """Devices OpenVINO sees, in its own names and lower case (``cpu``, ``gpu``, ``npu``)."""
        return tuple(device.lower() for device in _library().Core().available_devices)

    def open(self, model: Model, options: EngineOptions, more: Mapping[str, Any] | None = None) -> OpenVinoSession:
        """A session. Raises InputError for another format, EngineError when it cannot open.

        ``more`` holds further settings of the library's own (``PERF_COUNT`` for its profiler).
        """
        if model.format not in self.formats:
            raise InputError(f"openvino opens {' and '.join(self.formats)}, not {model.format}; convert it first")
        core = _library().Core()
        device = (options.provider or "cpu").upper()
        if device not in core.available_devices:
            if options.policy == "fail":
                raise EngineError(
                    f"openvino sees no device {device!r} here; it sees: {', '.join(core.available_devices)}"
                )
            device_used = "CPU"
        else:
            device_used = device
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        if device_used == "CPU":
            settings["INFERENCE_NUM_THREADS"] = options.threads
        if options.precision != "auto":
            settings["INFERENCE_PRECISION_HINT"] = _PRECISIONS[options.precision]
        settings |= more or {}
        try:
            compiled = core.compile_model(self._read(core, model), device_used, settings)
            # The plugin may rename or drop a port's names while it compiles; the model's own signature holds.
            session = OpenVinoSession(compiled, model.signature, device, device_used)
        except EngineError:
            raise
        except Exception as error:  # openvino raises types of its own
            raise EngineError(f"openvino cannot open the model: {first_line(error)}") from error
        session.options = options
        return session

    def _read(self, core: Any, model: Model) -> Any:
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            for name, data in model.files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            # Without memory mapping: the folder is gone when the model is compiled.
            core.set_property({"ENABLE_MMAP": False})
            return core.read_model(Path(folder) / model.main)
