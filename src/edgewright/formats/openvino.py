"""OpenVINO IR: a graph in XML and its weights in a file of the same name beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.parsers import expat

from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.core.model import Dimension, Model, Signature, Step, TensorSpec
from edgewright.formats.beside import read_beside
from edgewright.formats.hostile import ask, checked_signature, collect, folder_of, reason
from edgewright.formats.libraries import library, require

_XML, _BIN = "model.xml", "model.bin"
_XML_LIMIT = 512 * 2**20
_MAX_DEPTH = 64
_DTYPES = {"boolean": "bool", "string": "str", "f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16"}
_DTYPES |= {f"{kind[0]}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (4, 8, 16, 32, 64)}


class OpenVinoIr:
    """The format."""

    name = "openvino"

    def sniff(self, path: Path, head: bytes) -> bool:
        """XML whose root is ``net``, or by suffix."""
        return path.suffix.lower() == ".xml" or (head.lstrip()[:1] == b"<" and b"<net " in head)

    def accepts(self, live: Any) -> bool:
        """Nothing: the format lives in files."""
        return False

    def load(self, source: Any, **options: Any) -> Model:
        """The Model at a path, its weights read from beside it. OpenVINO opens it in a child process first."""
        if options:
            raise InputError(f"an OpenVINO model takes no option {next(iter(options))!r}")
        path = Path(source)
        name = str(path)
        require("openvino")
        files = {_XML: read_file(path, _XML_LIMIT)}
        needed = check_xml(files[_XML], name)
        if needed:
            try:
                (files[_BIN],) = read_beside(path, [path.with_suffix(".bin").name]).values()
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
            if len(files[_BIN]) < needed:
                raise InputError(
                    f"{name}: its weights end at {len(files[_BIN]):,} of {needed:,} bytes; the .bin file is truncated "
                    "or belongs to another model, copy both again"
                )
        with folder_of(files) as folder:
            answer = ask("edgewright.formats.openvino:open_in_child", _XML, folder, name)
        return Model("openvino", _XML, files, checked_signature(answer, name))

    def convert(self, model: Model) -> Model:
        """An ONNX model as IR, weights in their own types (not compressed to FP16), names kept.

        In a process of its own: OpenVINO names what has no name by counting all it made before.
        """
        if model.format != "onnx":
            raise InputError(f"there is no route from {model.format} to openvino; start from the ONNX model")
        require("openvino")
        with folder_of({f"in/{name}": data for name, data in model.files.items()}) as folder:
            source = f"the model {model.digest[:12]}"
            given = {"main": f"in/{model.main}", "signature": model.signature.to_json()}
            answer = ask("edgewright.formats.openvino:write_in_child", given, folder, source)
            files = {_XML: collect(folder, _XML, _XML_LIMIT), _BIN: collect(folder, _BIN, 2**40)}
        step = Step("convert", {"to": "openvino"}, model.digest)
        return Model("openvino", _XML, files, checked_signature(answer, source), (*model.lineage, step))


def check_xml(data: bytes, name: str) -> int:
    """Bytes of weights the graph reads. Raises InputError for XML that is broken, hostile, or no IR.

    No document type is accepted, hence no entities that grow or read files (CWE-776, CWE-611).
    """
    depth = needed = 0
    root = ""

    def opened(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, needed, root
        root = root or tag
        depth += 1
        if depth > _MAX_DEPTH:
            raise InputError(f"{name} is nested more than {_MAX_DEPTH} deep; export the model again")
        if tag == "data" and "offset" in attributes:
            offset, size = attributes["offset"], attributes.get("size", "")
            if not (offset.isdecimal() and size.isdecimal()):
                raise InputError(f"{name} has weights without a place in its data file; export the model again")
            needed = max(needed, int(offset) + int(size))

    def closed(tag: str) -> None:
        nonlocal depth
        depth -= 1

    def refused(*_: Any) -> None:
        raise InputError(f"{name} declares a document type, which no OpenVINO model does; export the model again")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.StartDoctypeDeclHandler = refused
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        raise InputError(f"{name} is not whole XML ({error}); export the model again") from error
    if root != "net":
        raise InputError(f"{name} is XML but no OpenVINO model (its root is {root!r}, not 'net')")
    return needed


def open_in_child(name: str) -> dict[str, Any]:
    """Read the IR ``name``; its signature as JSON. Runs in a child process."""
    return _signature(_read(name)).to_json()


def write_in_child(given: dict[str, Any]) -> dict[str, Any]:
    """Write an ONNX file as IR; its signature as JSON. Runs in a child process.

    ``given``: ``main``, the file's name, and its ``signature``.
    """
    model = _read(given["main"])
    wanted = Signature.from_json(given["signature"])
    for ports, specs in ((model.inputs, wanted.inputs), (model.outputs, wanted.outputs)):
        for spec in specs:
            for port in ports:
                # A tensor collects the names of all that was folded into it; only one of them is the user's.
                if spec.name in port.get_names() and not port.get_names() & _others(wanted, spec.name):
                    port.get_tensor().set_names({spec.name})
    library("openvino").save_model(model, _XML, compress_to_fp16=False)
    return _signature(_read(_XML)).to_json()


def _others(signature: Signature, name: str) -> set[str]:
    return {spec.name for spec in (*signature.inputs, *signature.outputs)} - {name}


def _read(name: str) -> Any:
    try:
        return library("openvino").Core().read_model(name)
    except Exception as error:  # openvino raises types of its own
        raise InputError(f"openvino cannot open it: {reason(error)}") from error


def _signature(model: Any) -> Signature:
    def size(dimension: Any) -> Dimension:
        return int(dimension.get_length()) if dimension.is_static else None

    def spec(port: Any, kind: str, number: int) -> TensorSpec:
        if not port.get_names():
            raise InputError(f"its {kind} {number} has no name; export it with names")
        partial = port.get_partial_shape()
        dtype = port.get_element_type().get_type_name()
        shape = tuple(map(size, partial)) if partial.rank.is_static else ()
        return TensorSpec(port.get_any_name(), _DTYPES.get(dtype, dtype), shape)

    inputs = tuple(spec(port, "input", i) for i, port in enumerate(model.inputs))
    return Signature(inputs, tuple(spec(port, "output", i) for i, port in enumerate(model.outputs)))
