"""Dtypes: a signature's, as the Open Inference Protocol and languages name them."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.errors import InputError


@dataclass(frozen=True)
class Dtype:
    """``wire``: the protocol's datatype. ``numpy`` and ``cpp``: an element's type; ``typescript``: an array's.

    NumPy has no bfloat16: there it is float32. Where a language has neither, FP16 and BF16 are their 16 bits, and
    booleans are bytes.
    """

    wire: str
    numpy: str
    cpp: str
    typescript: str


_ALL = {
    "bool": Dtype("BOOL", "np.bool_", "std::uint8_t", "Uint8Array"),
    "uint8": Dtype("UINT8", "np.uint8", "std::uint8_t", "Uint8Array"),
    "uint16": Dtype("UINT16", "np.uint16", "std::uint16_t", "Uint16Array"),
    "uint32": Dtype("UINT32", "np.uint32", "std::uint32_t", "Uint32Array"),
    "uint64": Dtype("UINT64", "np.uint64", "std::uint64_t", "BigUint64Array"),
    "int8": Dtype("INT8", "np.int8", "std::int8_t", "Int8Array"),
    "int16": Dtype("INT16", "np.int16", "std::int16_t", "Int16Array"),
    "int32": Dtype("INT32", "np.int32", "std::int32_t", "Int32Array"),
    "int64": Dtype("INT64", "np.int64", "std::int64_t", "BigInt64Array"),
    "float16": Dtype("FP16", "np.float16", "std::uint16_t", "Uint16Array"),
    "bfloat16": Dtype("BF16", "np.float32", "std::uint16_t", "Uint16Array"),
    "float32": Dtype("FP32", "np.float32", "float", "Float32Array"),
    "float64": Dtype("FP64", "np.float64", "double", "Float64Array"),
    "str": Dtype("BYTES", "np.object_", "std::string", "string[]"),
}
_ALL["object"] = _ALL["str"]


def dtype(name: str) -> Dtype:
    """Raises InputError for a dtype that the protocol has no name for."""
    if name not in _ALL:
        raise InputError(f"the bundle's model has a tensor of {name[:40]!r}, which clients have no type for")
    return _ALL[name]
