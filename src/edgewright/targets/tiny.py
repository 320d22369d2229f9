"""Two tiny ONNX models written by hand, so that a device without the onnx library can measure itself.

Field numbers are those of onnx.proto3 (ONNX IR specification); the wire format is Protocol Buffers' encoding.
"""

from __future__ import annotations

FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6
"""TensorProto.DataType."""
_WIDTH = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4}


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dims)))


def _node(op_type: str, inputs: tuple[str, ...], output: str) -> bytes:
    return b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(4, op_type)


def _model(nodes: list[bytes], weights: list[bytes], x: bytes, y: bytes) -> bytes:
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, "probe")
    graph += b"".join(_bytes(5, weight) for weight in weights) + _bytes(11, x) + _bytes(12, y)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13))


def matmul_model(op_type: str, left: int, right: int, out: int, size: int) -> bytes:
    """``y = op_type(x, w)`` for square matrices of ``size``; the weights are ones."""
    ones = {FLOAT: b"\0\0\x80\x3f", INT8: b"\1", UINT8: b"\1"}[right] * (size * size)
    weight = _number(1, size) * 2 + _number(2, right) + _bytes(8, "w") + _bytes(9, ones)
    square = (size, size)
    return _model([_node(op_type, ("x", "w"), "y")], [weight], _value("x", left, square), _value("y", out, square))


def chain_model(length: int) -> bytes:
    """``length`` negations of 16 numbers, one after the other."""
    names = ["x", *(f"t{i}" for i in range(1, length)), "y"]
    nodes = [_node("Neg", (names[i],), names[i + 1]) for i in range(length)]
    return _model(nodes, [], _value("x", FLOAT, (16,)), _value("y", FLOAT, (16,)))
