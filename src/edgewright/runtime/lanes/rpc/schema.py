"""The messages of ``oip.proto``, made when this module is imported.

Not generated code: what a protoc generates runs only beside protobuf libraries of about its own age, and registers in
the process-wide pool, where the same names of another library (Triton's client) collide. A pool of our own does
neither (seen with protobuf 5.26, 6.33 and 7.36). It takes 2.1 ms once, 0.7 of them protobuf's: a serialised descriptor
would save 1.4 ms and be one more file to keep true. The messages are upb's either way: a small request is parsed in
0.3 us, by Triton's generated class in 0.4. ``protoc`` makes the same descriptors of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

FILE = Path(__file__).with_name("oip.proto")
_TOKEN = re.compile(r"//[^\n]*|\s+|(\"[^\"]*\"|[\w.]+|[{}()<>=;,])")
_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13,
}  # fmt: skip
_MESSAGE, _ENUM = 11, 14
_ONE, _MANY = 1, 3


def read(text: str) -> FileDescriptorProto:
    """The descriptors in ``text``: messages, enums, oneofs, maps and services; nothing else of the language."""
    reader = _Reader(text)
    return reader.file()


class _Reader:
    def __init__(self, text: str) -> None:
        self._words = _words(text)
        self._package = ""
        self._enums: set[str] = set()

    def _next(self, *expected: str) -> str:
        word = next(self._words, "")
        if not word or (expected and word not in expected):
            raise ValueError(f"{word!r} where {' or '.join(expected) or 'a word'} belongs")
        return word

    def file(self) -> FileDescriptorProto:
        made = FileDescriptorProto(name="edgewright/oip.proto", syntax="proto3")
        for word in self._words:
            if word == "syntax":
                self._next("="), self._next('"proto3"'), self._next(";")
            elif word == "package":
                self._package = made.package = self._next()
                self._next(";")
            elif word == "service":
                self._service(made)
            elif word == "enum":
                self._enum(made.enum_type.add())
            elif word == "message":
                self._message(made.message_type.add(), f".{self._package}")
            else:
                raise ValueError(f"{word!r} is not understood")
        _resolve(made, self._package, self._enums)
        return made

    def _service(self, made: FileDescriptorProto) -> None:
        service = made.service.add(name=self._next())
        self._next("{")
        while self._next("rpc", "}") == "rpc":
            call = service.method.add(name=self._next())
            call.input_type, call.client_streaming = self._side()
            self._next("returns")
            call.output_type, call.server_streaming = self._side()
            self._next(";")

    def _side(self) -> tuple[str, bool]:
        self._next("(")
        word = self._next()
        streams = word == "stream"
        name = self._next() if streams else word
        self._next(")")
        return f".{self._package}.{name}", streams

    def _enum(self, made: EnumDescriptorProto) -> None:
        made.name = self._next()
        self._enums.add(made.name)
        self._next("{")
        while (word := self._next()) != "}":
            self._next("=")
            made.value.add(name=word, number=int(self._next()))
            self._next(";")

    def _message(self, made: DescriptorProto, scope: str) -> None:
        made.name = self._next()
        self._next("{")
        within = f"{scope}.{made.name}"
        while (word := self._next()) != "}":
            if word == "message":
                self._message(made.nested_type.add(), within)
            elif word == "oneof":
                made.oneof_decl.add(name=self._next())
                self._next("{")
                while (kind := self._next()) != "}":
                    self._field(made, kind).oneof_index = len(made.oneof_decl) - 1
            elif word == "map":
                self._map(made, within)
            elif word == "repeated":
                self._field(made, self._next()).label = _MANY
            else:
                self._field(made, word)

    def _field(self, made: DescriptorProto, kind: str) -> FieldDescriptorProto:
        name = self._next()
        self._next("=")
        field = made.field.add(name=name, number=int(self._next()), label=_ONE)
        self._next(";")
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type_name = kind  # until all names are known
        return field

    def _map(self, made: DescriptorProto, within: str) -> None:
        self._next("<"), self._next("string"), self._next(",")
        kind = self._next()
        self._next(">")
        field = self._field(made, kind)
        entry = made.nested_type.add(name=field.name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_ONE, type=_SCALARS["string"])
        entry.field.add(name="value", number=2, label=_ONE, type_name=kind)
        field.label, field.type_name = _MANY, f"{within}.{entry.name}"


def _words(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"{text[place]!r} is not understood")
        place = found.end()
        if found[1] is not None:
            yield found[1]


def _resolve(made: FileDescriptorProto, package: str, enums: set[str]) -> None:
    """Give the fields' type names their full path: their own message's, or the file's."""

    def walk(message: DescriptorProto, scopes: dict[str, str]) -> None:
        known = scopes | {n.name: f"{scopes[message.name]}.{n.name}" for n in message.nested_type}
        for field in message.field:
            if field.type_name:
                field.type = _ENUM if field.type_name in enums else _MESSAGE
                if not field.type_name.startswith("."):
                    if field.type_name not in known:
                        raise ValueError(f"there is no type {field.type_name!r}")
                    field.type_name = known[field.type_name]
        for nested in message.nested_type:
            walk(nested, known)

    top = {one.name: f".{package}.{one.name}" for one in (*made.message_type, *made.enum_type)}
    for message in made.message_type:
        walk(message, top)


def _made() -> tuple[dict[str, Any], dict[str, tuple[Any, Any, bool]]]:
    pool = DescriptorPool()
    pool.AddSerializedFile(read(FILE.read_text("utf-8")).SerializeToString())
    file = pool.FindFileByName("edgewright/oip.proto")
    messages = {name: GetMessageClass(descriptor) for name, descriptor in file.message_types_by_name.items()}
    service = file.services_by_name["GRPCInferenceService"]
    calls = {
        call.name: (messages[call.input_type.name], messages[call.output_type.name], bool(call.client_streaming))
        for call in service.methods
    }
    return messages, calls


MESSAGES, CALLS = _made()
"""Message classes by name; by call, the classes of its request and reply and whether it is a stream of both."""
