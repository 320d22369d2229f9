"""ORT format: ONNX Runtime's own flatbuffer, which its minimal builds for small devices open without a parser."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.core.model import Model, Signature, Step, TensorSpec
from edgewright.formats.hostile import ask, checked_signature, collect, folder_of, reason
from edgewright.formats.libraries import library
from edgewright.formats.ortbuffer import IDENTIFIER, canonical

_MAIN = "model.ort"
_LIMIT = 2**31 - 1  # flatbuffers' offsets are signed 32-bit numbers
_DTYPES = {"float": "float32", "double": "float64", "string": "str"}


class Ort:
    """The format."""

    name = "ort"

    def sniff(self, path: Path, head: bytes) -> bool:
        """By the flatbuffer's identifier, or by suffix."""
        return head[4:8] == IDENTIFIER or path.suffix.lower() == ".ort"

    def accepts(self, live: Any) -> bool:
        """Nothing: the format lives in files."""
        return False

    def load(self, source: Any, **options: Any) -> Model:
        """The Model at a path. ONNX Runtime opens it in a child process first: its reader trusts the file."""
        if options:
            raise InputError(f"an ORT-format model takes no option {next(iter(options))!r}")
        path = Path(source)
        data = read_file(path, _LIMIT)
        if data[4:8] != IDENTIFIER:
            raise InputError(f"{path} is not in ORT format (no {IDENTIFIER.decode()} mark); convert the model again")
        with folder_of({_MAIN: data}) as folder:
            answer = ask("edgewright.formats.ort:open_in_child", _MAIN, folder, str(path))
        return Model("ort", _MAIN, {_MAIN: data}, checked_signature(answer, str(path)))

    def convert(self, model: Model) -> Model:
        """An ONNX model, optimized as far as every CPU can run it (level "extended"), in the same bytes each time."""
        if model.format != "onnx":
            raise InputError(f"there is no route from {model.format} to ort; start from the ONNX model")
        with folder_of({f"in/{name}": data for name, data in model.files.items()}) as folder:
            source = f"the model {model.digest[:12]}"
            answer = ask("edgewright.formats.ort:write_in_child", f"in/{model.main}", folder, source)
            data = collect(folder, _MAIN, _LIMIT)
        try:
            data = canonical(data)
        except ValueError as error:
            logging.getLogger("edgewright").warning("this ORT file's bytes may differ from run to run: %s", error)
        step = Step("convert", {"to": "ort"}, model.digest)
        return Model("ort", _MAIN, {_MAIN: data}, checked_signature(answer, "the model"), (*model.lineage, step))


def open_in_child(name: str) -> dict[str, Any]:
    """Open the ORT-format file ``name``; its signature as JSON. Runs in a child process."""
    return _signature(_session(name, _options())).to_json()


def write_in_child(name: str) -> dict[str, Any]:
    """Write the ONNX file ``name`` in ORT format; its signature as JSON. Runs in a child process."""
    chosen = _options()
    chosen.graph_optimization_level = library("onnxruntime").GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    chosen.optimized_model_filepath = _MAIN
    chosen.add_session_config_entry("session.save_model_format", "ORT")
    _session(name, chosen)
    return _signature(_session(_MAIN, _options())).to_json()


def _options() -> Any:
    chosen = library("onnxruntime").SessionOptions()
    chosen.intra_op_num_threads = chosen.inter_op_num_threads = 1
    chosen.log_severity_level = 4
    return chosen


def _session(name: str, options: Any) -> Any:
    try:
        return library("onnxruntime").InferenceSession(name, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exception classes share no base but Exception
        raise InputError(f"onnxruntime cannot open it: {reason(error)}") from error


def _signature(session: Any) -> Signature:
    def spec(value: Any) -> TensorSpec:
        kind = value.type.removeprefix("tensor(").removesuffix(")")
        if "(" in kind:
            raise InputError(f"{value.name!r} is a {value.type}, not a tensor; export plain tensors")
        return TensorSpec(value.name, _DTYPES.get(kind, kind), tuple(value.shape))

    return Signature(tuple(map(spec, session.get_inputs())), tuple(map(spec, session.get_outputs())))
