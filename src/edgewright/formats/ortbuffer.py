"""ORT-format files laid out anew, the same content always in the same bytes.

ONNX Runtime writes initialisers, values and attributes in the order of its hash maps, which follows the addresses a
process happened to get. Here the flatbuffer is read into plain values, what has no order of its own is sorted, and
it is written again. Schema: onnxruntime/core/flatbuffers/schema/ort.fbs; wire format: flatbuffers.dev, "Internals".
"""

from __future__ import annotations

import struct
from typing import Any

from edgewright.formats.libraries import library

IDENTIFIER = b"ORTM"

# Per table, one kind per field in the schema's order: a struct code for a scalar, "s" a string, "[x]" a vector of x
# ("e": EdgeEnd, three 32-bit numbers), a table's name, "" a field no longer written. A trailing "*": order has no
# meaning, sort by the first string in each entry.
_SCHEMA: dict[str, tuple[str, ...]] = {
    "InferenceSession": ("s", "Model", "", "KernelTypeStrResolver"),
    "Model": ("q", "[OperatorSetId]*", "s", "s", "s", "q", "s", "Graph", "s", "[StringStringEntry]*"),
    "Graph": (
        "[Tensor]*", "[ValueInfo]*", "[Node]", "I", "[NodeEdge]", "[s]", "[s]", "[SparseTensor]",
        "RuntimeOptimizations",
    ),
    "Node": ("s", "s", "s", "i", "I", "s", "i", "s", "[s]", "[s]", "[Attribute]*", "[i]", "[s]"),
    "NodeEdge": ("I", "[e]*", "[e]*"),
    "ValueInfo": ("s", "s", "TypeInfo"),
    "TypeInfo": ("s", "B", "TypeInfoValue"),
    "TensorTypeAndShape": ("i", "Shape"),
    "SequenceType": ("TypeInfo",),
    "MapType": ("i", "TypeInfo"),
    "Shape": ("[Dimension]",),
    "Dimension": ("DimensionValue", "s"),
    "DimensionValue": ("b", "q", "s"),
    "Tensor": ("s", "s", "[q]", "i", "[B]", "[s]", "q"),
    "SparseTensor": ("Tensor", "Tensor", "[q]"),
    "Attribute": (
        "s", "s", "i", "f", "q", "s", "Tensor", "Graph", "[f]", "[q]", "[s]", "[Tensor]", "[Graph]",
    ),
    "OperatorSetId": ("s", "q"),
    "StringStringEntry": ("s", "s"),
    "RuntimeOptimizations": ("[RuntimeOptimizationRecordContainerEntry]*",),
    "RuntimeOptimizationRecordContainerEntry": ("s", "[RuntimeOptimizationRecord]"),
    "RuntimeOptimizationRecord": ("s", "NodesToOptimizeIndices", "", "[s]"),
    "NodesToOptimizeIndices": ("[I]", "I", "I", "?", "?", "I", "I"),
    "KernelTypeStrResolver": ("[OpIdKernelTypeStrArgsEntry]*",),
    "OpIdKernelTypeStrArgsEntry": ("s", "[KernelTypeStrArgsEntry]*"),
    "KernelTypeStrArgsEntry": ("s", "[ArgTypeAndIndex]"),
    "ArgTypeAndIndex": ("b", "I"),
}  # fmt: skip
_UNION = {1: "TensorTypeAndShape", 2: "SequenceType", 3: "MapType"}
_WIDTH = {"q": 8, "i": 4, "I": 4, "f": 4, "b": 1, "B": 1, "?": 1, "e": 12}
_ALIGNMENT = 16

Table = dict[int, Any]


def canonical(data: bytes) -> bytes:
    """``data`` in its one canonical layout. Raises ValueError for a table this version of the schema does not know."""
    try:
        tree = _Reader(data).table("InferenceSession", struct.unpack_from("<I", data)[0])
    except (struct.error, IndexError, KeyError, RecursionError) as error:
        raise ValueError("not an ORT-format buffer of a known schema") from error
    return _Writer().finish(tree)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.view = data, memoryview(data)
        self.left = 16 * len(data) + 4096

    def _spend(self, size: int) -> None:
        """Parts may be shared, but no honest file unfolds to many times its size."""
        self.left -= size + 4
        if self.left < 0 or size < 0:
            raise IndexError("unfolds without end")

    def _number(self, code: str, at: int) -> Any:
        return struct.unpack_from("<" + code, self.data, at)[0]

    def _follow(self, at: int) -> int:
        return at + int(self._number("I", at))

    def table(self, kind: str, at: int) -> Table:
        """Field number -> value, for the fields that are there."""
        slots = at - self._number("i", at)
        count = (self._number("H", slots) - 4) // 2
        self._spend(2 * count)
        fields = _SCHEMA[kind]
        found: Table = {}
        for number in range(count):
            offset = self._number("H", slots + 4 + 2 * number)
            if offset:
                if number >= len(fields) or not fields[number]:
                    raise KeyError(f"{kind} has a field {number} the schema does not name")
                field = fields[number]
                if field == "TypeInfoValue":
                    field = _UNION[found[number - 1]]
                found[number] = self._value(field, at + offset)
        return found

    def _value(self, field: str, at: int) -> Any:
        if field in _WIDTH:
            return self._number(field, at)
        start = self._follow(at)
        if field == "s":
            self._spend(self._number("I", start))
            return bytes(self.view[start + 4 : start + 4 + self._number("I", start)])
        if not field.startswith("["):
            return self.table(field, start)
        count, start, inner = self._number("I", start), start + 4, field.strip("[]*")
        self._spend(count * _WIDTH.get(inner, 4))
        if inner in _WIDTH:
            width = _WIDTH[inner]
            data = bytes(self.view[start : start + width * count])
            if field.endswith("*"):
                data = b"".join(sorted(data[i : i + width] for i in range(0, len(data), width)))
            return data
        entries = [self._value(inner, start + 4 * i) for i in range(count)]
        return sorted(entries, key=_first_string) if field.endswith("*") else entries


def _first_string(entry: Table) -> bytes:
    return next((value for value in entry.values() if isinstance(value, bytes)), b"")


class _Writer:
    def __init__(self) -> None:
        self.builder = library("flatbuffers").Builder(1 << 16)
        self.strings: dict[bytes, int] = {}

    def finish(self, tree: Table) -> bytes:
        self.builder.Finish(self._table("InferenceSession", tree), IDENTIFIER)
        return bytes(self.builder.Output())

    def _table(self, kind: str, values: Table) -> int:
        fields = list(_SCHEMA[kind])
        if kind == "TypeInfo" and 2 in values:
            fields[2] = _UNION[values[1]]
        # A table's parts come before it; widest fields first, as the reference writer lays them out.
        places = {n: self._part(fields[n], v) for n, v in values.items() if fields[n] not in _WIDTH}
        builder = self.builder
        builder.StartObject(len(fields))
        for number in sorted(values, key=lambda n: (-_WIDTH.get(fields[n], 4), n)):
            field = fields[number]
            if field in _WIDTH:
                builder.Prep(_WIDTH[field], 0)
                self._put(struct.pack("<" + field, values[number]))
            else:
                builder.PrependUOffsetTRelative(places[number])
            builder.Slot(number)
        return int(builder.EndObject())

    def _part(self, field: str, value: Any) -> int:
        builder = self.builder
        if field == "s":
            if value not in self.strings:
                self.strings[value] = builder.CreateString(value)
            return self.strings[value]
        if not field.startswith("["):
            return self._table(field, value)
        inner = field.strip("[]*")
        if inner in _WIDTH:
            width = _WIDTH[inner]
            # Weights are read in place: aligned for any element type.
            builder.StartVector(width, len(value) // width, _ALIGNMENT if inner == "B" else min(width, 8) or 4)
            self._put(value)
            return int(builder.EndVector())
        places = [self._part(inner, entry) for entry in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return int(builder.EndVector())

    def _put(self, data: bytes) -> None:
        head = self.builder.head - len(data)
        self.builder.head = head
        self.builder.Bytes[head : head + len(data)] = data


def operators(data: bytes) -> list[tuple[str, str]]:
    """(domain, operator) of every node, subgraphs included. Raises ValueError for a schema that is not known."""
    try:
        tree = _Reader(data).table("InferenceSession", struct.unpack_from("<I", data)[0])
        return _operators(tree[1][7])
    except (struct.error, IndexError, KeyError, RecursionError) as error:
        raise ValueError("not an ORT-format buffer of a known schema") from error


def _operators(graph: Table) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for node in graph.get(2, ()):
        found.append((node.get(2, b"").decode(errors="replace"), node.get(5, b"").decode(errors="replace")))
        for attribute in node.get(10, ()):
            for inner in (*((attribute[7],) if 7 in attribute else ()), *attribute.get(12, ())):
                found += _operators(inner)
    return found
