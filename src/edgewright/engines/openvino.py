"""OpenVINO: ONNX and IR models on the CPU, in the precision that was asked for."""

from __future__ import annotations

import math
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError, MissingExtra, UnfitInput
from edgewright.core.model import FilesIn, Model, Signature
from edgewright.core.session import Arrays, EngineOptions
from edgewright.engines.altstack import kept
from edgewright.engines.session import BaseSession, first_line

# OpenVINO's CPU plugin chooses bf16 by itself where the CPU has it; asking keeps a comparison honest.
_PRECISIONS = {"f32": "f32", "bf16": "bf16", "f16": "f16"}
_SHAPES = 4096


def _library() -> Any:
    # Its first import would tell its makers, and leave an id in the user's home. Without this module it does neither.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino") from error
    return openvino


_FRAMES = re.compile(
    r"(Exception from |Check .* failed at |FrontEnd API failed|Model wasn't |Summary:|While validating node |"
    r"Shape inference input shapes )"
)


def _reason(error: BaseException) -> str:
    """The line that tells why, without those that tell where in OpenVINO."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not _FRAMES.match(line)]
    return telling[0].removeprefix("-- ")[:300] if telling else first_line(error)


def _open_batch(port: Any) -> bool:
    shape = port.partial_shape
    return bool(shape.rank.is_static and len(shape) and shape[0].is_dynamic)


def _vectors(graph: Any) -> bool:
    """Whether a graph of fixed sizes chains integer products of single rows.

    OpenVINO (2026.4.1, CPU, one thread) answers numbers around 1e8 for these, and right ones while the batch is open.
    """
    ops = graph.get_ordered_ops()
    if not any(op.get_type_name() == "FakeQuantize" for op in ops):
        return False
    shapes = [op.input(0).get_partial_shape() for op in ops if op.get_type_name() == "MatMul"]
    rows = [math.prod(list(shape.to_shape())[:-1]) for shape in shapes if shape.is_static]
    return rows.count(1) > 1


def _closed(single: bool) -> Any:
    raise EngineError("the session is closed; open the model again")


class OpenVinoSession(BaseSession):
    """A model compiled for one sample at a time, and for any number once that is asked for.

    A model whose batch is open runs a few to twenty percent slower for it in OpenVINO, and a device asks for one
    sample at a time; so the two are compiled apart, the second when the first request of several comes. ``request`` is
    the library's own for single samples, for its profiler.

    It has no ``interrupt``: OpenVINO (2026.4.1) cancels asynchronous runs only, between two operators and not within
    a Loop, which is what hangs; and such a run is handed to another thread (a model of 14 us took 93).
    """

    def __init__(
        self, signature: Signature, requested: str, provider: str, build: Callable[[bool], Any], read: Callable[[], Any]
    ) -> None:
        super().__init__(signature, requested, provider)
        self._build, self._read = build, read
        self._loose = any(not isinstance(size, int) for spec in signature.inputs for size in spec.shape)
        self._known: dict[tuple[tuple[int, ...], ...], None] = {}
        """Shapes, in the inputs' order, that go together in the graph; the oldest is forgotten first."""
        self._batched = tuple(s.name for s in signature.inputs if s.shape and not isinstance(s.shape[0], int))
        self._any: Any = None
        self._turn = threading.Lock()
        """The library's requests serve one call at a time; a version that is replaced may answer for its successor."""
        try:
            self.request: Any = build(bool(self._batched)).create_infer_request()
        except Exception as error:
            if not self._batched:
                raise
            self._batched = ()  # its graph holds sizes that no single sample has
            self.request = build(False).create_infer_request()
            self.note = f"it is compiled for any number of samples, as it cannot be for one: {_reason(error)}"
        # The plugin may rename or drop a port's names while it compiles; the model's own signature holds.
        self._ports = [(spec.name, i) for i, spec in enumerate(self.signature.outputs)]

    def _check(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """As the base's; besides, shapes that come for the first time must go through the graph: OpenVINO (2026.4.1)
        runs those that do not as well, and reads past the end of what is too small, whosever memory lies there."""
        checked = super()._check(inputs)
        shapes = tuple(checked[spec.name].shape for spec in self.signature.inputs)
        if self._loose and shapes not in self._known:
            graph = self._read()
            try:
                graph.reshape({name: list(array.shape) for name, array in checked.items()})
            except Exception as error:
                self._passed = {}
                raise UnfitInput(f"the model cannot run on inputs of these sizes: {_reason(error)}") from error
            self._known[shapes] = None
            if len(self._known) > _SHAPES:
                del self._known[next(iter(self._known))]
        return checked

    def _run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        request = self.request
        for name in self._batched:
            if len(inputs[name]) != 1:
                with self._turn:
                    if self._any is None:
                        self._any = self._build(False).create_infer_request()
                    request = self._any
                break
        with self._turn:
            request.infer(inputs, share_inputs=True)
            return {name: np.array(request.get_output_tensor(i).data) for name, i in self._ports}

    def _release(self) -> None:
        self.request = self._any = None
        self._build, self._read = _closed, lambda: _closed(False)


class OpenVino:
    """The engine. Formats: ``onnx`` and ``openvino`` (IR)."""

    name = "openvino"
    formats = ("onnx", "openvino")

    def version(self) -> str:
        """The library's release."""
        return str(_library().__version__).split("-")[0]

    @kept()
    def providers(self) -> tuple[str, ...]:
        """Devices OpenVINO sees, in its own names and lower case (``cpu``, ``gpu``, ``npu``)."""
        return tuple(device.lower() for device in _library().Core().available_devices)

    @kept()
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

        def build(single: bool) -> Any:
            # Read anew for each: what OpenVINO keeps of a model beside the compiled one would double its memory.
            graph = self._read(core, model)
            if single:
                graph.reshape({port: [1, *list(port.partial_shape)[1:]] for port in graph.inputs if _open_batch(port)})
                if _vectors(graph):
                    graph = self._read(core, model)
            return core.compile_model(graph, device_used, settings)

        try:
            session = OpenVinoSession(model.signature, device, device_used, build, lambda: self._read(core, model))
        except EngineError:
            raise
        except Exception as error:  # openvino raises types of its own
            raise EngineError(f"openvino cannot open the model: {_reason(error)}") from error
        session.options = options
        return session

    def _read(self, core: Any, model: Model) -> Any:
        if isinstance(model.files, FilesIn):
            return core.read_model(model.files.folder / model.main)
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            for name, data in model.files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            # Without memory mapping: the folder is gone when the model is compiled.
            core.set_property({"ENABLE_MMAP": False})
            return core.read_model(Path(folder) / model.main)
