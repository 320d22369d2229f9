"""ONNX, with or without external data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError, EncodeError

from edgewright.core.digests import digest_files
from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.core.model import Dimension, Model, Signature, Step, TensorSpec
from edgewright.formats.beside import MAIN, read_beside
from edgewright.formats.onnxcheck import arrange, check_operators, check_sizes, check_standard, check_text
from edgewright.formats.onnxfunctions import spell_out
from edgewright.formats.onnxtensors import check_tensors, external_names, tensors

_PROTOBUF_LIMIT = 2**31 - 1

Beside = Callable[[list[str]], dict[str, bytes]]
"""Reads files by the relative names a model gives them."""


def parse(data: bytes, name: str = "the model") -> onnx.ModelProto:
    """The protobuf message in ``data``. Raises InputError for anything else."""
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise InputError(f"{name} is not a whole ONNX file (truncated or another format); export it again") from error
    if not proto.graph.node and not proto.graph.output:
        raise InputError(f"{name} holds no graph; export the model again")
    return proto


def signature_of(proto: onnx.ModelProto) -> Signature:
    """Inputs (without initialisers) and outputs. Raises InputError for sequence, map and optional types."""
    held = {tensor.name for tensor in proto.graph.initializer}

    def spec(value: onnx.ValueInfoProto) -> TensorSpec:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            raise InputError(f"{value.name!r} is a {kind or 'value without type'}, not a tensor; export plain tensors")
        tensor = value.type.tensor_type
        if tensor.elem_type == onnx.TensorProto.STRING:
            dtype = "str"
        elif tensor.elem_type == onnx.TensorProto.BFLOAT16:
            dtype = "bfloat16"
        else:
            try:
                dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
            except (KeyError, ValueError) as error:
                raise InputError(f"{value.name!r} has an unknown element type {tensor.elem_type}") from error
        return TensorSpec(value.name, dtype, tuple(_sizes(tensor.shape)))

    inputs = tuple(spec(v) for v in proto.graph.input if v.name not in held)
    return Signature(inputs, tuple(spec(v) for v in proto.graph.output))


def _sizes(shape: onnx.TensorShapeProto) -> Iterator[Dimension]:
    for dimension in shape.dim:
        fixed = dimension.WhichOneof("value") == "dim_value" and dimension.dim_value >= 0
        # Some exporters write -1 for a size that varies, and engines read it so.
        yield dimension.dim_value if fixed else (dimension.dim_param or None)


def from_proto(proto: onnx.ModelProto, lineage: tuple[Step, ...] = ()) -> Model:
    """A Model of ``proto``, serialised to the same bytes for the same content."""
    try:
        data = proto.SerializeToString(deterministic=True)
    except (EncodeError, ValueError) as error:
        raise InputError("the model does not fit protobuf's 2 GiB; save it with external data and load that") from error
    return Model("onnx", MAIN, {MAIN: data}, signature_of(proto), lineage)


def _nothing_beside(names: list[str]) -> dict[str, bytes]:
    if names:
        raise InputError(f"its external data {names[0]!r} is not with it; load the model's file by its path")
    return {}


def from_bytes(data: bytes, name: str, beside: Beside = _nothing_beside) -> Model:
    """The Model in an ONNX file's bytes after every check; ``beside`` reads the external data files it names.

    Functions are spelled out and nodes put into order where the file has it otherwise; the lineage then says so and
    names the file's own digest. Raises InputError, one line that begins with ``name``.
    """
    proto = parse(data, name)
    check_text(proto, name)
    check_operators(proto, name)
    try:
        external = beside(external_names(proto))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    check_tensors(proto, name, {where: len(blob) for where, blob in external.items()})
    functions = len(proto.functions)
    moved = arrange(proto, name)
    if functions:
        proto = spell_out(proto, name)
        check_operators(proto, name)
        moved |= arrange(proto, name)
    check_sizes(proto, name)
    check_standard(proto, name)
    try:
        signature = signature_of(proto)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if not signature.inputs or not signature.outputs:
        raise InputError(f"{name} takes no input or gives no output; export it with both")
    files = {MAIN: data, **external}
    if not (functions or moved):
        return Model("onnx", MAIN, files, signature)
    step = Step("normalise", {"functions": functions, "sorted": moved}, digest_files(files))
    again = from_proto(proto, (step,))
    return Model("onnx", MAIN, {**again.files, **external}, signature, again.lineage)


class Onnx:
    """The format."""

    name = "onnx"

    def sniff(self, path: Path, head: bytes) -> bool:
        """By suffix, or by a first field that can only be an IR version: protobuf has no magic number."""
        version_first = head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b":", b"B")
        return path.suffix.lower() == ".onnx" or version_first

    def accepts(self, live: Any) -> bool:
        """An ``onnx.ModelProto``."""
        return isinstance(live, onnx.ModelProto)

    def load(self, source: Any, **options: Any) -> Model:
        """The Model at a path, its external data read from beside it and nowhere else; or of an ``onnx.ModelProto``."""
        if options:
            raise InputError(f"an ONNX model takes no option {next(iter(options))!r}")
        if isinstance(source, onnx.ModelProto):
            return from_bytes(from_proto(source).data, "the ModelProto")
        path = Path(source)
        if path.stat().st_size > _PROTOBUF_LIMIT:
            raise InputError(f"{path} is over protobuf's 2 GiB; save it with external data")
        return from_bytes(
            read_file(path, _PROTOBUF_LIMIT), str(path), functools.partial(read_beside, path, reserved=MAIN)
        )

    def convert(self, model: Model) -> Model:
        """Formats that hold a graph are turned into ONNX when they are loaded; the others have no way back."""
        raise InputError(f"there is no route from {model.format} to onnx; start from the model it was made of")


__all__ = ["Onnx", "from_bytes", "from_proto", "parse", "signature_of", "tensors"]
