"""ONNX Runtime: ONNX and ORT-format models on the CPU; CUDA and TensorRT where present (unverified by us)."""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError, NeedsMemory
from edgewright.core.model import FilesIn, Model, Signature, TensorSpec
from edgewright.core.pages import huge_pages
from edgewright.core.samples import drawn_requests
from edgewright.core.session import Arrays, EngineOptions
from edgewright.engines.session import BaseSession, first_line

_LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_PROVIDERS = {
    "": "CPUExecutionProvider",
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_DTYPES = {
    "float": "float32", "double": "float64", "float16": "float16", "string": "str", "bool": "bool",
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}  # fmt: skip

_STATUS = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : (\w+) : (?:.*? while running (\w+) node\..*?Status Message: )?(.*)", re.S
)
_SIZES = re.compile(r"dimension|shape|broadcast|channels|\bsto[dfil]\b", re.IGNORECASE)
"""What ONNX Runtime says of sizes that do not go together, and of text that is no number, where its status is not
INVALID_ARGUMENT: most kernels fail with FAIL or RUNTIME_EXCEPTION (seen with 1.31)."""
_ARENA = threading.Lock()
_LARGE_BYTES = 8_000_000
_SPARE_BYTES = 2**20
_FULL = "smaller than requested bytes"
"""What ONNX Runtime says of an arena that may not grow any more."""


def runtime_signature(session: ort.InferenceSession) -> Signature:
    """The signature as ONNX Runtime sees it. Raises EngineError for sequence and map types."""

    def spec(value: Any) -> TensorSpec:
        kind = value.type.removeprefix("tensor(").removesuffix(")")
        if kind not in _DTYPES:
            raise EngineError(f"{value.name!r} has type {value.type}, which is not a tensor Edgewright can carry")
        return TensorSpec(value.name, _DTYPES[kind], tuple(value.shape))

    return Signature(tuple(map(spec, session.get_inputs())), tuple(map(spec, session.get_outputs())))


def session_options(options: EngineOptions) -> ort.SessionOptions:
    """ONNX Runtime's options for ours: sequential execution, explicit threads, spinning off unless asked for."""
    chosen = ort.SessionOptions()
    chosen.intra_op_num_threads = options.threads
    chosen.inter_op_num_threads = 1
    chosen.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    chosen.graph_optimization_level = _LEVELS[options.graph_level]
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "1" if options.spinning else "0")
    chosen.log_severity_level = 4
    return chosen


class OnnxRuntimeSession(BaseSession):
    """A model open in ONNX Runtime; ``raw`` is the library's own session, for lanes that must not hop."""

    def __init__(self, raw: ort.InferenceSession, requested: str, provider: str) -> None:
        super().__init__(runtime_signature(raw), requested, provider)
        self.raw: ort.InferenceSession | None = raw
        # The library's own wrapper looks at the inputs' names once more, which were checked, and goes on with another
        # provider by itself where one fails, which must be told: half as long again as the run of a small model.
        self._call: Any = getattr(raw, "_sess", raw).run
        self._names = [spec.name for spec in self.signature.outputs]
        self._texts = [spec.name for spec in self.signature.inputs if spec.dtype == "str"]
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = 4
        self._tidying = ort.RunOptions()
        self._tidying.log_severity_level = 4
        self._tidying.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.run_bytes = 0
        """What a run may take, where that is bounded."""

    def _check(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        checked = super()._check(inputs)
        for name in self._texts:
            checked[name] = _text(name, checked[name])
        return checked

    def _run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            outputs = self._call(self._names, inputs, self._run_options)
        except Exception as error:  # pybind's exception classes share no base but Exception
            if _FULL not in str(error):
                raise
            outputs = self._in_a_tidy_arena(inputs)
        return {name: np.asarray(value) for name, value in zip(self._names, outputs, strict=True)}

    def _unfit(self, error: Exception) -> str:
        found = _STATUS.match(str(error))
        if found is None:
            return ""
        status, node, said = found.groups()
        said = said.rpartition(" was false. ")[2]  # before it: the library's own source
        if status != "INVALID_ARGUMENT" and (node is None or not _SIZES.search(said)):
            return ""
        return f"{' '.join(said.split())[:300]}" + (f" (in a {node})" if node else "")

    def _in_a_tidy_arena(self, inputs: dict[str, NDArray[Any]]) -> Any:
        """The same run again where memory ran out: what earlier runs took is kept in pieces, which may be too small for
        this one. They are given back after a run that succeeds, one of made-up numbers. Raises NeedsMemory."""
        with contextlib.suppress(Exception):  # it may decline them, or take strings: then it is as it was
            self._call(self._names, drawn_requests(self.signature, 1)[0], self._tidying)
        try:
            return self._call(self._names, inputs, self._run_options)
        except Exception as error:
            if _FULL not in str(error):
                raise
            raise NeedsMemory(f"a run needs more memory than the {self.run_bytes / 1e6:,.0f} MB it may take") from error

    def interrupt(self) -> None:
        """End the call that runs now, between two operators, and every later one until ``resume``; from any thread."""
        self._run_options.terminate = self._tidying.terminate = True

    def resume(self) -> None:
        """Answer again after ``interrupt``."""
        self._run_options.terminate = self._tidying.terminate = False

    def _release(self) -> None:
        self.raw = self._call = None


def _text(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Strings: of an element in bytes ONNX Runtime would take what Python prints for it."""
    if not any(isinstance(value, bytes) for value in array.flat):
        return array
    made = np.empty(array.size, object)
    try:
        made[:] = [value.decode() if isinstance(value, bytes) else value for value in array.flat]
    except UnicodeDecodeError as error:
        raise InputError(f"input {name!r} holds bytes that are no UTF-8, which ONNX's strings are") from error
    return made.reshape(array.shape)


class OnnxRuntime:
    """The engine. Formats: ``onnx`` and ``ort``."""

    name = "onnxruntime"
    formats = ("onnx", "ort")

    def version(self) -> str:
        """The library's release."""
        return str(ort.__version__)

    def providers(self) -> tuple[str, ...]:
        """The CPU's first, then accelerators this build has."""
        present = ort.get_available_providers()
        return tuple(name for name, provider in _PROVIDERS.items() if name and provider in present)

    def open_bounded(self, model: Model, options: EngineOptions, run_bytes: int) -> OnnxRuntimeSession:
        """As ``open``; a run may take so many bytes for what it computes, weights not counted, and raises NeedsMemory
        when it needs more. The library doubles what it asks for: it may refuse from half of that on."""
        settings = session_options(options)
        for key in ("use_env_allocators", "use_device_allocator_for_initializers"):
            settings.add_session_config_entry(f"session.{key}", "1")
        with _ARENA:  # a session takes the arena that was registered last for its own
            _register_arena(run_bytes)
            try:
                session = self.open(model, options, settings)
            finally:
                _register_arena(_SPARE_BYTES)  # nobody's: the session's own goes when it does
        session.run_bytes = run_bytes
        return session

    def open(
        self, model: Model, options: EngineOptions, settings: ort.SessionOptions | None = None
    ) -> OnnxRuntimeSession:
        """A session. Raises InputError for another format or an unknown provider, EngineError when it cannot open.

        ``settings`` replaces the library's options that ``session_options`` makes (for its profiler).
        """
        if model.format not in self.formats:
            raise InputError(f"onnxruntime opens {' and '.join(self.formats)}, not {model.format}; convert it first")
        if options.precision not in ("f32", "auto"):
            raise InputError(
                f"onnxruntime runs a model in its own types; precision {options.precision!r} needs openvino"
            )
        if options.provider not in _PROVIDERS:
            raise InputError(f"no provider is named {options.provider!r}; there are: {', '.join(_PROVIDERS)[2:]}")
        wanted = _PROVIDERS[options.provider]
        if wanted not in ort.get_available_providers() and options.policy == "fail":
            raise EngineError(
                f"provider {options.provider!r} is not in this build of onnxruntime; "
                "install the build that has it, or pass policy='degrade' to run on the CPU"
            )
        chain = [wanted] if wanted == _PROVIDERS[""] else [wanted, _PROVIDERS[""]]
        chain = [provider for provider in chain if provider in ort.get_available_providers()]
        with contextlib.ExitStack() as stack:
            if isinstance(model.files, FilesIn):
                source: Any = str(model.files.folder / model.main)
            elif len(model.files) == 1:
                source = model.data
            else:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgewright-")))
                for name, data in model.files.items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(data)
                source = str(folder / model.main)
            try:
                with huge_pages() if model.size_bytes >= _LARGE_BYTES else contextlib.nullcontext():
                    raw = ort.InferenceSession(source, settings or session_options(options), providers=chain)
            except Exception as error:  # pybind's exception classes share no base but Exception
                raise EngineError(f"onnxruntime cannot open the model: {first_line(error)}") from error
        actual = raw.get_providers()[0]
        if actual != wanted and options.policy == "fail":
            raise EngineError(f"asked for {wanted}, onnxruntime gave {actual}; pass policy='degrade' to accept that")
        session = OnnxRuntimeSession(raw, wanted, actual)
        session.options = options
        return session


def _register_arena(most_bytes: int) -> None:
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": most_bytes}))
