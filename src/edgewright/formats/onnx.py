"""ONNX, with or without external data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from edgewright.core.errors import InputError
from edgewright.core.files import read_file, safe_name
from edgewright.core.model import Dimension, Model, Signature, Step, TensorSpec

_PROTOBUF_LIMIT = 2**31 - 1
_DATA_LIMIT = 64 * 2**30


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
        kind = dimension.WhichOneof("value")
        yield dimension.dim_value if kind == "dim_value" else (dimension.dim_param or None)


def from_proto(proto: onnx.ModelProto, lineage: tuple[Step, ...] = ()) -> Model:
    """A Model of ``proto``, serialised to the same bytes for the same content."""
    data = proto.SerializeToString(deterministic=True)
    return Model("onnx", "model.onnx", {"model.onnx": data}, signature_of(proto), lineage)


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor the model stores, subgraphs included."""

    def walk(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                if attribute.HasField("g"):
                    yield from walk(attribute.g)
                for inner in attribute.graphs:
                    yield from walk(inner)

    return walk(proto.graph)


class Onnx:
    """The format."""

    name = "onnx"

    def sniff(self, path: Path, head: bytes) -> bool:
        """By suffix: protobuf has no magic number."""
        return path.suffix.lower() == ".onnx"

    def accepts(self, live: Any) -> bool:
        """An ``onnx.ModelProto``."""
        return isinstance(live, onnx.ModelProto)

    def load(self, source: Any, **options: Any) -> Model:
        """The Model at a path, its external data read from beside it and nowhere else."""
        if isinstance(source, onnx.ModelProto):
            return from_proto(source)
        path = Path(source)
        if path.stat().st_size > _PROTOBUF_LIMIT:
            raise InputError(f"{path} is over protobuf's 2 GiB; save it with external data")
        data = read_file(path, _PROTOBUF_LIMIT)
        proto = parse(data, str(path))
        files = {path.name: data}
        for tensor in tensors(proto):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                where = {e.key: e.value for e in tensor.external_data}.get("location", "")
                if safe_name(where) not in files:
                    beside = path.parent / where
                    if beside.is_symlink() or not beside.resolve().is_relative_to(path.parent.resolve()):
                        raise InputError(f"{path}: external data {where!r} leaves the model's folder")
                    files[where] = read_file(beside, _DATA_LIMIT)
        return Model("onnx", path.name, files, signature_of(proto))

    def convert(self, model: Model) -> Model:
        """Formats that hold a graph are turned into ONNX when they are loaded; the others have no way back."""
        raise InputError(f"there is no route from {model.format} to onnx; start from the model it was made of")
