"""Dtypes: a signature's, as the Open Inference Protocol and each language name them."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.errors import InputError


@dataclass(frozen=True)
class Dtype:
    """``wire``: the protocol's datatype. ``size``: bytes of an element, 0 for strings. The others name the type of an
    element (numpy, C++, Kotlin's and Swift's arrays) or of an array (TypeScript); bfloat16 travels as float32 in
    NumPy, which has none, and FP16 and BF16 are their 16 bits where a language has neither."""

    wire: str
    size: int
    numpy: str
    typescript: str
    cpp: str
    openvino: str
    onnx: str
    kotlin: str
    swift: str


_ALL = {
    "bool": Dtype("BOOL", 1, "np.bool_", "Uint8Array", "std::uint8_t", "boolean", "BOOL", "BooleanArray", "Bool"),
    "uint8": Dtype("UINT8", 1, "np.uint8", "Uint8Array", "std::uint8_t", "u8", "UINT8", "ByteArray", "UInt8"),
    "uint16": Dtype("UINT16", 2, "np.uint16", "Uint16Array", "std::uint16_t", "u16", "UINT16", "", ""),
    "uint32": Dtype("UINT32", 4, "np.uint32", "Uint32Array", "std::uint32_t", "u32", "UINT32", "", "UInt32"),
    "uint64": Dtype("UINT64", 8, "np.uint64", "BigUint64Array", "std::uint64_t", "u64", "UINT64", "", "UInt64"),
    "int8": Dtype("INT8", 1, "np.int8", "Int8Array", "std::int8_t", "i8", "INT8", "ByteArray", "Int8"),
    "int16": Dtype("INT16", 2, "np.int16", "Int16Array", "std::int16_t", "i16", "INT16", "ShortArray", ""),
    "int32": Dtype("INT32", 4, "np.int32", "Int32Array", "std::int32_t", "i32", "INT32", "IntArray", "Int32"),
    "int64": Dtype("INT64", 8, "np.int64", "BigInt64Array", "std::int64_t", "i64", "INT64", "LongArray", "Int64"),
    "float16": Dtype("FP16", 2, "np.float16", "Uint16Array", "std::uint16_t", "f16", "FLOAT16", "", ""),
    "bfloat16": Dtype("BF16", 2, "np.float32", "Uint16Array", "std::uint16_t", "bf16", "BFLOAT16", "", ""),
    "float32": Dtype("FP32", 4, "np.float32", "Float32Array", "float", "f32", "FLOAT", "FloatArray", "Float"),
    "float64": Dtype("FP64", 8, "np.float64", "Float64Array", "double", "f64", "DOUBLE", "DoubleArray", ""),
    "str": Dtype("BYTES", 0, "np.object_", "string[]", "std::string", "string", "STRING", "", "String"),
}
_ALL["object"] = _ALL["str"]


def dtype(name: str) -> Dtype:
    """Raises InputError for a dtype that the protocol has no name for."""
    if name not in _ALL:
        raise InputError(f"the bundle's model has a tensor of {name[:40]!r}, which clients have no type for")
    return _ALL[name]
