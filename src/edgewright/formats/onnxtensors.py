"""The tensors an ONNX file stores: every one of them, and whether each declares what it really holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import onnx

from edgewright.core.errors import InputError

MAX_ELEMENTS = 2**31
"""More values than this in one declared tensor is a mistake or an attack: 8 GiB of float32."""
_REUSE = 16

_T = onnx.TensorProto
_BITS = {
    **dict.fromkeys((_T.FLOAT, _T.INT32, _T.UINT32), 32),
    **dict.fromkeys((_T.DOUBLE, _T.INT64, _T.UINT64, _T.COMPLEX64), 64),
    **dict.fromkeys((_T.FLOAT16, _T.BFLOAT16, _T.INT16, _T.UINT16), 16),
    **dict.fromkeys((_T.UINT4, _T.INT4, _T.FLOAT4E2M1), 4),
    _T.COMPLEX128: 128,
}
_NARROW = {"UINT2": 2, "INT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
_BITS |= {_T.DataType.Value(name): bits for name, bits in _NARROW.items() if name in _T.DataType.keys()}  # noqa: SIM118
_BITS |= {number: 8 for name, number in _T.DataType.items() if name in ("INT8", "UINT8", "BOOL") or "FLOAT8" in name}
# Where a type's values lie when they are not raw bytes (onnx.proto, TensorProto): field, values per element.
_FIELDS = {
    _T.FLOAT: ("float_data", 1), _T.COMPLEX64: ("float_data", 2), _T.DOUBLE: ("double_data", 1),
    _T.COMPLEX128: ("double_data", 2), _T.INT64: ("int64_data", 1), _T.UINT32: ("uint64_data", 1),
    _T.UINT64: ("uint64_data", 1),
}  # fmt: skip


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor the model stores, those of subgraphs, functions and sparse tensors included."""

    def of_attributes(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for both in (*sparse, *attribute.sparse_tensors):
                yield from (both.values, both.indices)
            if attribute.HasField("g"):
                yield from of_graph(attribute.g)
            for inner in attribute.graphs:
                yield from of_graph(inner)

    def of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
        yield from graph.initializer
        for both in graph.sparse_initializer:
            yield from (both.values, both.indices)
        for node in graph.node:
            yield from of_attributes(node)

    yield from of_graph(proto.graph)
    for function in proto.functions:
        for node in function.node:
            yield from of_attributes(node)


def external_names(proto: onnx.ModelProto) -> list[str]:
    """The external data files the model's tensors name, each once, in order."""
    external = (t for t in tensors(proto) if t.data_location == onnx.TensorProto.EXTERNAL)
    return list(dict.fromkeys(_entries(t).get("location", "") for t in external))


def check_tensors(proto: onnx.ModelProto, name: str, external: Mapping[str, int]) -> None:
    """InputError when a tensor declares other than it holds. ``external``: sizes of the data files, by name.

    A model is not loaded on the strength of what it declares: a few bytes may declare terabytes.
    """
    used = dict.fromkeys(external, 0)
    for tensor in tensors(proto):
        if any(size < 0 for size in tensor.dims) or tensor.data_type not in {*_BITS, _T.STRING}:
            raise InputError(f"{name}: tensor {tensor.name!r} has an impossible shape or type; export the model again")
        count = math.prod(tensor.dims)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            where = _entries(tensor).get("location", "")
            used[where] += _check_external(tensor, count, name, external[where])
            if used[where] > max(_REUSE * external[where], 2**26):
                raise InputError(f"{name}: tensors read the same bytes of {where!r} over and over; export it again")
        elif not _holds(tensor, count):
            raise InputError(
                f"{name}: tensor {tensor.name!r} declares {count:,} values and does not hold them; "
                "the file is damaged, export the model again"
            )
    for sparse in proto.graph.sparse_initializer:
        if math.prod(sparse.dims) > MAX_ELEMENTS:
            raise InputError(f"{name}: sparse tensor {sparse.values.name!r} would fill the memory; store it smaller")


def _holds(tensor: onnx.TensorProto, count: int) -> bool:
    if tensor.data_type == _T.STRING:
        return len(tensor.string_data) == count
    bits = _BITS[tensor.data_type]
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data) == (count * bits + 7) // 8
    field, each = _FIELDS.get(tensor.data_type, ("int32_data", 1))
    stored = len(getattr(tensor, field))
    # Types narrower than a byte share one: two or four values in each entry of int32_data.
    return stored == count * each or (bits < 8 and stored == (count * bits + 7) // 8)


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _check_external(tensor: onnx.TensorProto, count: int, name: str, size: int) -> int:
    """Bytes the tensor reads from its file of ``size`` bytes. Raises InputError."""
    entries = _entries(tensor)
    where = f"{name}: tensor {tensor.name!r}"
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(max(size - offset, 0))))
    except ValueError as error:
        raise InputError(f"{where} has no number for its place in {entries['location']!r}; export it again") from error
    if offset < 0 or length < 0 or offset + length > size:
        raise InputError(
            f"{where} lies beyond the end of {entries['location']!r} ({size:,} bytes); the data file is truncated or "
            "belongs to another model, copy both again"
        )
    if tensor.data_type == _T.STRING or length != (count * _BITS[tensor.data_type] + 7) // 8:
        raise InputError(f"{where} declares {count:,} values and {length:,} bytes hold them; export the model again")
    return length
